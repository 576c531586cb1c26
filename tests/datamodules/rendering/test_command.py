import os
import subprocess
import sys

import pytest

from datamodules.rendering import variants
from datamodules.rendering.command import render
from datamodules.rendering.composition import detail_for


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(variants, "require_packages", lambda: None)


def test_the_help_imports_nothing_heavy():
    code = "import sys, datamodules.rendering.command as c; print(*{'numpy', 'torch', 'mitsuba'} & set(sys.modules))"
    words = [sys.executable, "-c", code]
    assert subprocess.run(words, capture_output=True, text=True, env=os.environ, check=True).stdout.strip() == ""


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"num": 0}, "at least 1"),
        ({"size": 8}, "--size must be at least 16"),
        ({"samples_per_pixel": 0}, "--samples_per_pixel"),
        ({"workers": 0}, "--workers at least 1"),
        ({"shard_range": "4:2"}, "must lie in 0:8"),
    ],
)
def test_numbers_out_of_range_are_refused_before_anything_is_made(installed, tmp_path, options, rule):
    with pytest.raises(ValueError, match=rule):
        render(str(tmp_path / "out"), **options)
    assert not (tmp_path / "out").exists()


def test_small_pictures_have_coarser_bodies():
    assert detail_for(32) < detail_for(128) < detail_for(256) == detail_for(512) == 1
