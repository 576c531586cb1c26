"""``data pack``: only the options, so that ``--help`` imports nothing heavy."""

from pathlib import Path
from typing import Literal

from ornament_lit.utils.categories import Category

Layout = Literal["auto", "viton-hd"]


def pack(
    source: str,
    out: str,
    type: Category | None = None,
    size: int = 768,
    split: str | None = None,
    layout: Layout = "auto",
    auto_mask: str | None = None,
    parse_labels: list[int] | None = None,
    crop_factor: float = 2.5,
    jpeg_quality: int = 95,
    min_extent: int = 32,
    shard_size: int = 128,
    workers: int | None = None,
    strict: bool = False,
    sheet: int = 24,
) -> None:
    """Pack photographs and masks of your own into shards to train on; datamodules/README.md tells how to prepare them.

    Every triplet is checked. Those that break a rule are left out and listed in report.csv with row, file, rule, value
    and what to do. It is safe to interrupt and to run again: finished shards are kept, and only those are packed anew
    whose rows or files have changed. Exit code 1 if nothing could be packed.

    Args:
        source: A manifest (CSV, or JSONL with an object a line; paths are relative to it), or a folder with
            {type}/{name}.ornament.jpg, .ornament_mask.png, .person.jpg and .wearing_mask.png.
        out: Folder for the shards; made if needed.
        type: Type of all triplets that name none.
        size: Greatest side of a stored image in pixels; for training at 512 pixels take 768. Nothing is scaled up.
        split: Shares of the ornaments for training, validation and test, such as 0.9,0.05,0.05. No ornament (by
            ornament_id or the bytes of its photograph) comes into two of them. Without it, the rows' own splits.
        layout: auto, or viton-hd for a folder in the layout of VITON-HD, with ornaments in cloth/; needs --type.
        auto_mask: A SAM in the format of transformers (folder, or hub id such as facebook/sam-vit-base) that makes the
            masks that are not given; the worn ornament then needs a box. They are kept in OUT/auto_masks.
        parse_labels: For viton-hd: which indices of the label maps in image-parse-v3/ are the ornament, such as [15].
        crop_factor: Side of the person's square that is stored over the longer side of the box. Below 2.5 training
            with crop_factor 1.5 and box_growth 0.25 reaches beyond it.
        jpeg_quality: Quality of the photographs, 1 to 100.
        min_extent: Least longer side of an ornament in its photograph, in pixels.
        shard_size: Triplets of a shard.
        workers: Processes; null for one a core. The shards do not depend on it.
        strict: Stop at the first triplet that breaks a rule.
        sheet: Triplets on contact_sheet.png; 0 for none.
    """
    from datamodules.packing.encoding import Encoding
    from datamodules.packing.run import Request, run
    from ornament_lit.utils.files import check_folder

    folder = Path(out).expanduser()
    check_folder(folder)
    run(
        Request(
            source=Path(source).expanduser(),
            out=folder,
            encoding=Encoding(size, crop_factor, jpeg_quality, min_extent),
            category=type,
            layout=layout,
            split=split,
            auto_mask=auto_mask,
            parse_labels=tuple(parse_labels or ()),
            shard_size=shard_size,
            workers=workers,
            strict=strict,
            sheet=sheet,
        )
    )
