"""Download the wheels that benchmarks/gpu/run.sh needs on a bare machine; see wheels.sh."""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from benchmarks.gpu.packages import carried

PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_24", "manylinux_2_17", "manylinux2014", "manylinux1")
MIB = 2**20
LARGE = ("scipy",)
"""34 MiB, and on most machines for such work: downloaded with ``--all`` only."""


def main() -> None:
    """Read the words of the command line, download, and say what it weighs."""
    parser = argparse.ArgumentParser(prog="benchmarks/gpu/wheels.sh", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent / "wheels")
    parser.add_argument("--python", default="3.12", help="Python of the machine, such as 3.12")
    parser.add_argument("--have", type=Path, help="pip freeze of the machine: what it has is left out")
    parser.add_argument("--all", action="store_true", help="scipy, too, where the machine has none")
    parser.add_argument("--list", action="store_true", help="say what would be downloaded, and stop")
    options = parser.parse_args()
    there = names(options.have.read_text()) if options.have else []
    there += [] if options.all else LARGE
    wanted = [f"{name}=={number}" for name, number in carried(there).items()]
    if options.list:
        print("\n".join(wanted))
        return
    download(wanted, options.folder, options.python)
    sizes = {path.name: path.stat().st_size / MIB for path in options.folder.glob("*.whl")}
    for name, size in sorted(sizes.items(), key=lambda pair: -pair[1]):
        print(f"{size:7.1f} MiB  {name}")
    print(f"{sum(sizes.values()):7.1f} MiB in {len(sizes)} wheels: {options.folder}")


def names(freeze: str) -> list[str]:
    """Names of packages in what ``pip freeze`` or ``pip list`` prints."""
    found = (re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line.strip()) for line in freeze.splitlines())
    return [match.group() for match in found if match]


def download(wanted: list[str], folder: Path, python: str) -> None:
    """Download wheels for Linux on x86-64, into a folder that holds no others then."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.whl"):
        path.unlink()
    platforms = [word for name in PLATFORMS for word in ("--platform", f"{name}_x86_64")]
    options = ("--no-deps", "--only-binary=:all:", "--python-version", python, "--implementation", "cp", *platforms)
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check")
    subprocess.run([*pip, *options, "--dest", str(folder), *wanted], check=True)


if __name__ == "__main__":
    main()
