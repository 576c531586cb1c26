"""Which errors are the user's, and how they end: one or two lines and exit code 2, without a traceback.

The rule, in the order of :data:`RULES`. A mistake of the user is

1. what Lightning calls a misconfiguration;
2. a ValueError or OSError while the configuration is read and the parts are built from it, such as the optimizer;
3. a failure to read a checkpoint, or to fit its weights to the model;
4. a ValueError or OSError that one of our packages raises outside of the model's steps: our packages raise it with
   rule, value and way out, be it in ``setup`` or about a sample in a worker of the data loader;
5. an OSError that names a file, outside of the model's steps, or says anywhere that nothing more can be written;
6. a GPU whose memory is too small.

Everything else is a bug and keeps its traceback. The environment variable ORNAMENT_LIT_DEBUG=1 shows it always.
"""

import errno
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from traceback import walk_tb
from types import FrameType

from ornament_lit.cli.messages import shorten
from ornament_lit.cli.parser import DEBUG_VARIABLE, debugging
from ornament_lit.cli.signals import SAID, discard_output, stopped_by
from ornament_lit.utils.imports import OWN_PACKAGES, plugins

USER_ERROR = 2

_PARSING = "parse_args"
_KEYS = {"_set_seed": "seed_everything", "configure_optimizers": "model.optimizer or model.lr_scheduler"}
"""Functions that build from a part of the configuration with others' messages, and the keys of that part."""
_BUILDING = {_PARSING, "parse_object", "instantiate_classes", "import_plugins", "restrict_imports", *_KEYS}
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
_STEPS = {"training_step", "validation_step", "test_step", "predict_step"}
_CHECKPOINTS = "lightning.pytorch.trainer.connectors.checkpoint_connector"


def end_well(command: Callable[[], object]) -> int:
    """Run a command and turn the user's mistakes into a line on stderr.

    Args:
        command: What to run.

    Returns:
        The exit code: 0, 2 after a mistake of the user, 130 after Ctrl-C, 141 where nobody reads the output any more,
        143 after SIGTERM.
    """
    try:
        command()
        if sys.stdout:
            sys.stdout.flush()
    except (KeyboardInterrupt, BrokenPipeError, SystemExit) as error:
        code = stopped_by(error)
        if code is None:
            raise
        if code in SAID:
            say(SAID[code])
        else:
            discard_output()
        return code
    except Exception as error:
        if debugging() or not is_user_error(error):
            raise
        say(f"error: {describe(error)}")
        return USER_ERROR
    return 0


def say(line: str) -> None:
    """Print a line on stderr, once a machine: of several processes there only the first one speaks."""
    local_rank = os.environ.get("LOCAL_RANK") or os.environ.get("SLURM_LOCALID") or "0"
    if local_rank == "0":
        print(line, file=sys.stderr)


def is_user_error(error: Exception) -> bool:
    """Whether an error is the user's mistake, by the rule at the head of this file."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    return any(rule(error, frames) for rule in RULES)


def _functions(error: Exception) -> set[str]:
    """Names of the functions that an error has passed through."""
    return {frame.f_code.co_name for frame, _ in walk_tb(error.__traceback__)}


def _misconfigured(error: Exception, frames: list[FrameType]) -> bool:
    return type(error).__name__ == "MisconfigurationException"


def _while_building(error: Exception, frames: list[FrameType]) -> bool:
    return isinstance(error, ValueError | OSError) and any(frame.f_code.co_name in _BUILDING for frame in frames)


def _while_reading_checkpoint(error: Exception, frames: list[FrameType]) -> bool:
    kinds = RuntimeError | ValueError | OSError | UnpicklingError | EOFError
    return isinstance(error, kinds) and any(frame.f_globals.get("__name__") == _CHECKPOINTS for frame in frames)


def _raised_by_us(error: Exception, frames: list[FrameType]) -> bool:
    if not isinstance(error, ValueError | OSError) or any(frame.f_code.co_name in _STEPS for frame in frames):
        return False
    in_worker = re.findall(r'File "([^"]+)", line \d+', str(error))
    source = in_worker[-1] if in_worker else frames[-1].f_code.co_filename
    return any(Path(source).is_relative_to(folder) for folder in _our_folders())


def _of_files(error: Exception, frames: list[FrameType]) -> bool:
    in_step = any(frame.f_code.co_name in _STEPS for frame in frames)
    return _cannot_write(error) or (isinstance(error, OSError) and error.filename is not None and not in_step)


def _cannot_write(error: BaseException) -> bool:
    """Whether a disk is full or read-only; safetensors has an error of its own for it."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM


def _out_of_memory(error: Exception, frames: list[FrameType]) -> bool:
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


RULES = (_misconfigured, _while_building, _while_reading_checkpoint, _raised_by_us, _of_files, _out_of_memory)


def _our_folders() -> list[Path]:
    """Folders of our packages and of the user's own."""
    modules = [sys.modules.get(name) for name in (*OWN_PACKAGES, *plugins())]
    return [Path(path) for module in modules for path in getattr(module, "__path__", ())]


def describe(error: Exception) -> str:
    """One or two lines for an error; the second one tells how to see more, where the parser has not said all."""
    if _PARSING in _functions(error):
        return str(error)
    text = _text(_of_first_member(error))
    if "Error(s) in loading state_dict" in text:
        text = _describe_misfit(text)
    elif "Original Traceback" in text:
        text = re.split(r"^\w[\w.]*: ", text, flags=re.MULTILINE)[-1]
    key = next((f"{_KEYS[name]}: " for name in _functions(error) & set(_KEYS)), "")
    return f"{key}{shorten(text, 800) or type(error).__name__}\n       ({DEBUG_VARIABLE}=1 shows where this comes from)"


def _text(error: BaseException) -> str:
    """What an error says; of the system's, the file and the reason."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    place = "" if error.filename is None else f"{error.filename}: "
    plain = error.strerror == os.strerror(error.errno or 0)
    return f"{place}{error.strerror}{'; make room, or write elsewhere' if plain and _cannot_write(error) else ''}"


def _of_first_member(error: BaseException) -> BaseException:
    """What the first member of a union of types says, where jsonargparse reports that none of them can be built."""
    while str(error).startswith("Does not validate against any of the Union") and error.__cause__:
        error = error.__cause__
    return error


def _describe_misfit(text: str) -> str:
    """Count the weights that a checkpoint lacks, has too many, or has in another size; name the first of each."""
    kinds = {
        "missing": r"Missing key\(s\) in state_dict: (.*)",
        "unexpected": r"Unexpected key\(s\) in state_dict: (.*)",
    }
    found = {kind: re.findall(r'"([^"]+)"', match[1]) for kind, p in kinds.items() if (match := re.search(p, text))}
    found["of another size"] = re.findall(r"size mismatch for ([^:]+):", text)
    counts = [f"{len(names)} {kind} ({names[0]}, ...)" for kind, names in found.items() if names]
    return f"the checkpoint is of another model; weights: {'; '.join(counts)}; take the config that lies beside it"
