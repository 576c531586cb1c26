"""Writing the same numbers twice, and noticing one that differs."""

import json
from pathlib import Path

import pytest

from benchmarks.same_numbers import same_numbers


@pytest.mark.slow
def test_the_same_code_computes_the_same_numbers(tmp_path: Path) -> None:
    file = tmp_path / "numbers.json"
    same_numbers("write", file, ["tiny"])
    written = json.loads(file.read_text())
    assert len(written["tiny"]["losses"]) == 5 and len(written["tiny"]["generated"]) == 5
    same_numbers("compare", file, ["tiny"])
    written["tiny"]["losses"][-1][0] = (1.0).hex()
    file.write_text(json.dumps(written))
    with pytest.raises(SystemExit, match="1 of 1 cases differ"):
        same_numbers("compare", file, ["tiny"])
