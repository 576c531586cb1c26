import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from benchmarks.gpu import packages


def test_the_environment_of_the_tests_lacks_nothing() -> None:
    requirements = packages.own_requirements()
    assert any(text.startswith("lightning") for text in requirements)
    assert not packages.unmet(requirements)
    assert packages.unmet(["no-such-package", "torch>=999"]) == ["no-such-package", "torch>=999"]


def test_what_torch_and_lightning_bring_is_not_carried() -> None:
    carried = packages.carried([])
    assert {"diffusers", "webdataset", "jsonargparse", "typeshed-client", "braceexpand"} <= carried.keys()
    assert not {"torch", "lightning", "torchmetrics", "numpy", "sympy", "pyyaml"} & carried.keys()
    assert "scipy" in carried and "scipy" not in packages.carried(["SciPy"])


def test_missing_wheels_are_unpacked_beside_the_environment(tmp_path: Path) -> None:
    wheels, site = tmp_path / "wheels", tmp_path / "site"
    wheels.mkdir()
    for name in ("absent_thing", "torch"):
        with zipfile.ZipFile(wheels / f"{name}-0.1-py3-none-any.whl", "w") as archive:
            archive.writestr(f"{name}.py", "VALUE = 7\n")
            info = f"{name}-0.1.dist-info"
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")
    assert packages.install(wheels, site) == ["absent_thing-0.1-py3-none-any.whl"]
    assert not (site / "torch.py").exists()
    code = "import absent_thing; print(absent_thing.VALUE)"
    found = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(site)}, capture_output=True, text=True)
    assert found.stdout == "7\n"


@pytest.mark.parametrize("folder", ["nowhere", "."])
def test_without_wheels_nothing_is_installed(tmp_path: Path, folder: str) -> None:
    assert packages.install(tmp_path / folder, tmp_path / "site") == []
