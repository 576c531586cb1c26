import platform
import re

import ornament_lit
from ornament_lit.utils.versions import VERSION, versions


def test_the_package_says_its_version_in_one_voice() -> None:
    assert ornament_lit.__version__ == VERSION and re.fullmatch(r"\d+\.\d+\.\d+", VERSION)


def test_what_is_not_installed_is_left_out() -> None:
    found = versions(["torch", "no-such-package"])
    assert list(found) == ["python", "ornament_lit", "torch"]
    assert (found["python"], found["ornament_lit"]) == (platform.python_version(), VERSION)
