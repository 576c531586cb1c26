"""``data render`` and ``data correspondence``: only the options, so that ``--help`` imports nothing heavy."""

from pathlib import Path
from typing import Literal

from ornament_lit.utils.categories import Category

Split = Literal["train", "val", "test"]
VariantName = Literal["scalar_rgb", "llvm_ad_rgb", "cuda_ad_rgb"]


def render(
    out: str,
    num: int = 1024,
    size: int = 512,
    samples_per_pixel: int = 64,
    seed: int = 0,
    split: Split = "train",
    types: list[Category] | None = None,
    workers: int | None = None,
    shard_size: int = 128,
    shard_range: str | None = None,
    bare: bool = False,
    whole_scene: bool = False,
    variant: VariantName | None = None,
) -> None:
    """Render triplets of drawn ornaments on drawn people, with exact masks, into shards to train on.

    The types come in turn: bracelet, ring, earring, necklace, or those of ``types`` alone. The same options give the
    same bytes, whatever the number of processes. It is safe to interrupt and to run again: finished shards are kept.
    When all are there, the index, a card (README.md) and a contact sheet (contact_sheet.png) are written beside them.
    Needs the extra render.

    Args:
        out: Folder for the shards; made if needed.
        num: Triplets of the set.
        size: Width and height of the images in pixels.
        samples_per_pixel: Of light on the ornament's pixels; the others get a quarter and are denoised.
        seed: Of the set.
        split: Which designs: those of val and test (5 % each) never come into train.
        types: Render these alone, such as ``[bracelet,ring]`` where a model needs more of them; the triplets that a
            set of all types has under the same numbers. Null for all.
        workers: Processes, one thread each; null for one a core. The shards do not depend on it.
        shard_size: Triplets of a shard.
        shard_range: Render only the shards a to b - 1, written a:b, as a part of an array job; the part that makes
            the last shard writes the index, the card and the contact sheet.
        bare: Add an image of the person without the ornament, at about half as much again of the time.
        whole_scene: Show the person as far as the scene goes, instead of about twice the ornament's box.
        variant: Mitsuba's variant; null for llvm_ad_rgb where a libLLVM of release 19 or newer works
            (DRJIT_LIBLLVM_PATH may name it), else scalar_rgb, at about half the speed. Their noise differs.
    """
    from datamodules.rendering.variants import choose_variant, require_packages
    from datamodules.storage.process_pool import available_cores
    from ornament_lit.utils.files import check_folder

    folder = Path(out).expanduser()
    check_folder(folder)
    require_packages()
    from datamodules.rendering.composition import CATEGORIES, Recipe, detail_for
    from datamodules.rendering.plan import Plan, check_plan, parse_range
    from datamodules.rendering.run import Job, run

    categories = CATEGORIES if types is None else tuple(name for name in CATEGORIES if name in types)
    plan = Plan(num, shard_size, split, categories)
    check_plan(plan)
    if size < 16 or samples_per_pixel < 1 or (workers is not None and workers < 1):
        raise ValueError(
            "--size must be at least 16, --samples_per_pixel and --workers at least 1, "
            f"got {size}, {samples_per_pixel}, {workers}"
        )
    shards = parse_range(shard_range, plan.shards)
    recipe = Recipe(seed, split, size, samples_per_pixel, bare, whole_scene, detail_for(size))
    run(Job(folder, plan, shards, recipe, choose_variant(variant), workers or available_cores()))


def correspondence(folder: str, out: str | None = None, workers: int | None = None) -> None:
    """Add to triplets that data render made before which point of the ornament's image each worn pixel shows.

    Each triplet is composed again from its seed and compared with its masks; nothing is rendered, a fifth of a second
    each. One that is not what its seed draws here is told and stays as it is. Shards are replaced when they are
    whole, and samples that have a correspondence are kept: it is safe to interrupt and to run again. Needs the extra
    render.

    Args:
        folder: Where the shards (*.tar) are, with render-*.json.
        out: Folder for the new shards; null to replace those of the folder.
        workers: Processes, one thread each; null for one a core.
    """
    from datamodules.rendering.variants import require_packages
    from datamodules.storage.process_pool import available_cores
    from ornament_lit.utils.files import check_folder

    shards = Path(folder).expanduser()
    target = Path(out).expanduser() if out else shards
    check_folder(target)
    require_packages()
    from datamodules.rendering.supplementing import supplement

    if workers is not None and workers < 1:
        raise ValueError(f"--workers must be at least 1, got {workers}")
    supplement(shards, target, workers or available_cores())
