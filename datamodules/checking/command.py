"""``data check`` and ``data stats``: only the options, so that ``--help`` imports nothing heavy."""

from pathlib import Path


def check(folder: str, write_index: bool = False, workers: int | None = None, sheet: str | None = None) -> None:
    """Read every shard of a folder to its end, decode every sample as training does, and say what is wrong.

    Looks for shards and samples that cannot be read, masks the wrong way round, boxes that cut their mask, keys and
    triplets that come twice, and images that lie in two splits. index.json is written where there is none, and
    compared where there is one. Exit code 1 if anything is wrong; all of it is listed in check_report.csv.

    Args:
        folder: Where the shards (*.tar) are.
        write_index: Write index.json anew, whatever is there.
        workers: Processes; null for one a core.
        sheet: Where the contact sheet goes (.png, .jpg); null for contact_sheet.png in the folder.
    """
    from datamodules.checking.run import run_check
    from ornament_lit.imaging.writing import check_output

    image = None if sheet is None else Path(sheet).expanduser()
    if image is not None:
        check_output(image)
    run_check(Path(folder).expanduser(), write_index, workers, image)


def stats(folder: str, out: str | None = None, workers: int | None = None) -> None:
    """Say what a folder of shards holds: counts by type, sizes of masks and boxes; stats.json and stats.png.

    Args:
        folder: Where the shards (*.tar) are.
        out: Folder for stats.json and stats.png; null for the folder of the shards.
        workers: Processes; null for one a core.
    """
    from datamodules.checking.run import run_stats
    from ornament_lit.utils.files import check_folder

    target = Path(out or folder).expanduser()
    check_folder(target)
    run_stats(Path(folder).expanduser(), target, workers)
