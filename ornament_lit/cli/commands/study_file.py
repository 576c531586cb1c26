"""The files in ``configs/studies``: what a study is."""

from dataclasses import dataclass
from pathlib import Path

FIGURES = ("psnr_worn", "ssim_inside", "colour_error", "count_error", "iou_1", "psnr_worn_gap", "colour_error_gap")


@dataclass(frozen=True)
class Variant:
    """A row of a study.

    Attributes:
        train: Words for ``fit`` and ``test`` beside those of all variants.
        test: Words for ``test`` alone. Variants that are trained alike are trained once.
    """

    train: tuple[str, ...] = ()
    test: tuple[str, ...] = ()


@dataclass(frozen=True)
class Study:
    """What a file in ``configs/studies`` says.

    Attributes:
        title: Of the table.
        variants: By name; the others are compared with the first.
        args: Words for ``fit`` and ``test`` of all variants, after the base configuration.
        test_args: Words for ``test`` of all variants, such as ``--config configs/evaluation/matching.yaml``.
        seeds: Each variant is trained with each of them. The test data are the same for all.
        figures: Columns of the table, as far as they are measured.
    """

    title: str
    variants: dict[str, Variant]
    args: tuple[str, ...] = ()
    test_args: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2)
    figures: tuple[str, ...] = FIGURES


def read_study(file: Path) -> Study:
    """Read the file of a study.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not as :class:`Study` says.
    """
    import yaml

    if not file.is_file():
        known = ", ".join(sorted(path.stem for path in Path("configs/studies").glob("*.yaml")))
        raise FileNotFoundError(f"there is no study {file}; configs/studies has {known or 'none here'}")
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} must be UTF-8, got byte {error.start} of another encoding; save it so") from error
    try:
        content = yaml.safe_load(text)
        variants = {name: _variant(entry or {}) for name, entry in content.pop("variants").items()}
        lists = {name: tuple(content[name]) for name in ("args", "test_args", "seeds", "figures") if name in content}
        found = Study(**{**content, **lists, "variants": variants})
    except (yaml.YAMLError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{file} must have title and variants (with train and test), got: {error}") from error
    if not found.variants or not found.seeds:
        raise ValueError(f"{file} must have at least one variant and one seed")
    if len({slug(name) for name in found.variants}) < len(found.variants):
        raise ValueError(f"the variants of {file} must differ in letters or digits, got {', '.join(found.variants)}")
    return found


def _variant(entry: dict[str, list[str]]) -> Variant:
    return Variant(**{part: tuple(words) for part, words in entry.items()})


def slug(name: str) -> str:
    """Name of a folder for a variant."""
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower()).strip("-")
