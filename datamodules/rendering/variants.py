"""Which of Mitsuba's variants runs here, found out by a tiny image in another process.

``llvm_ad_rgb`` is about twice as fast as ``scalar_rgb``, but needs libLLVM, and a release that does not know the
processor ends the process without a word (releases 15 and 16 on some). Hence the probe: a child that can die.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from ctypes.util import find_library
from glob import glob
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

SCALAR = "scalar_rgb"
LLVM = "llvm_ad_rgb"
CUDA = "cuda_ad_rgb"
LIBRARY_VARIABLE = "DRJIT_LIBLLVM_PATH"
OLDEST_LLVM = 19
NEWEST_LLVM = 30
FOLDERS = (
    "/usr/lib/llvm-*/lib",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
    "/opt/homebrew/opt/llvm*/lib",
    f"{sys.prefix}/lib",
)
PACKAGES = ("mitsuba", "skimage", "scipy", "numba")
PROBE = """
import sys
import mitsuba
mitsuba.set_variant(sys.argv[1])
scene = mitsuba.load_dict({"type": "scene", "integrator": {"type": "path"}, "light": {"type": "constant"},
    "sensor": {"type": "perspective", "film": {"type": "hdrfilm", "width": 4, "height": 4}},
    "shape": {"type": "sphere", "center": [0, 0, 5], "bsdf": {"type": "principled"}}})
print("mean", float(mitsuba.TensorXf(mitsuba.render(scene, spp=4)).array[0]) > 0)
"""


class Variant(NamedTuple):
    """What renders.

    Attributes:
        name: Mitsuba's name of it.
        library: Path of libLLVM for ``DRJIT_LIBLLVM_PATH``, or empty to leave that variable as it is.
    """

    name: str
    library: str = ""

    def environment(self) -> dict[str, str]:
        """What to set in the environment before Mitsuba is imported."""
        return {LIBRARY_VARIABLE: self.library} if self.library else {}


def require_packages() -> None:
    """Check that what the extra ``render`` installs is there.

    Raises:
        ValueError: If it is not, with the command that installs it.
    """
    absent = [name for name in PACKAGES if find_spec(name) is None]
    if absent:
        raise ValueError(
            f"rendering needs {', '.join(absent)}, not installed; in the checkout run: pip install -e '.[render]'"
        )


def choose_variant(name: str | None = None) -> Variant:
    """The fastest variant that draws an image on this machine's processor, or the one that is asked for.

    Args:
        name: ``scalar_rgb``, ``llvm_ad_rgb`` or ``cuda_ad_rgb`` to have just that one; None for ``llvm_ad_rgb`` where
            it works and ``scalar_rgb`` elsewhere.

    Raises:
        ValueError: If the one that is asked for is unknown or draws no image.
    """
    if name not in (None, SCALAR, LLVM, CUDA):
        raise ValueError(f"the variant must be one of {SCALAR}, {LLVM}, {CUDA}, got {name!r}")
    if name in (SCALAR, CUDA):
        candidates = [Variant(str(name))]
    else:
        candidates = [Variant(LLVM, library) for library in libraries()]
    for variant in candidates:
        if works(variant):
            return variant
    if name is not None:
        raise ValueError(f"{name} draws no image here{_advice(name)}; leave --variant out to take what works")
    return Variant(SCALAR)


def _advice(name: str) -> str:
    if name != LLVM:
        return ""
    return (
        f": it needs libLLVM {OLDEST_LLVM} or newer, tried {', '.join(libraries()) or 'none'}; set {LIBRARY_VARIABLE}"
    )


def libraries() -> list[str]:
    """Files of libLLVM that may work, the user's own choice alone if there is one, else the newest first."""
    chosen = os.environ.get(LIBRARY_VARIABLE)
    return [chosen] if chosen else list(dict.fromkeys(_found_libraries()))


def _found_libraries() -> Iterator[str]:
    for release in range(NEWEST_LLVM, OLDEST_LLVM - 1, -1):
        for folder in FOLDERS:
            for pattern in (f"libLLVM.so.{release}*", f"libLLVM-{release}.so*", f"libLLVM.{release}.dylib"):
                yield from sorted(glob(f"{folder}/{pattern}"))
        named = find_library(f"LLVM-{release}")
        if named:
            yield named


def works(variant: Variant, seconds: float = 120.0) -> bool:
    """Whether a process with this variant draws an image; that process may abort."""
    environment = {**os.environ, **variant.environment()}
    words = [sys.executable, "-c", PROBE, variant.name]
    try:
        done = subprocess.run(words, env=_with_paths(environment), capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and b"mean True" in done.stdout


def _with_paths(environment: Mapping[str, str]) -> dict[str, str]:
    """The same packages as in this process, whatever folder it was started from."""
    return {**environment, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path and Path(path).exists())}


def activate(variant: Variant) -> None:
    """Make this process render with a variant, on one thread."""
    os.environ.update(variant.environment())
    import drjit
    import mitsuba

    if mitsuba.variant() != variant.name:
        mitsuba.set_variant(variant.name)
    drjit.set_thread_count(1)
