"""Test triplets made worse: what changes, what stays, and that the studies name sets that are made."""

import io
import re
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks.photographs import WAYS, laid_on_squares, make, make_worse
from datamodules.shards.index import raise_sample_error
from datamodules.shards.reading import RawSample, is_image, read_shard
from datamodules.shards.writing import write_shard
from datamodules.storage.shard_paths import resolve_shards

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def samples() -> list[RawSample]:
    shard = resolve_shards("bundled:rendered_128/test-*.tar")[0]
    return list(islice(read_shard(shard, raise_sample_error, is_image), 2))


def pixels(content: bytes) -> NDArray[np.float64]:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), np.float64)


@pytest.mark.parametrize("name", WAYS)
def test_images_are_worse_and_their_truth_is_the_same(samples: list[RawSample], name: str) -> None:
    before, after = samples[0], make_worse(samples[0], WAYS[name])
    assert after.keys() == {entry for entry in before if not entry.startswith("__")}
    assert after == make_worse(samples[0], WAYS[name]), "the same again"
    way = WAYS[name]
    plain = WAYS["as_rendered"]
    changed = {"ornament.jpg"} if way.ornament != plain.ornament or way.patterned else set()
    changed |= {"person.jpg", "bare.jpg"} if way.person != plain.person else set()
    assert {entry for entry in after if after[entry] != before[entry]} == changed
    for entry in changed:
        assert np.abs(pixels(after[entry]) - pixels(before[entry])).mean() > 0.5, entry


def test_colours_of_person_and_ornament_part(samples: list[RawSample]) -> None:
    after = make_worse(samples[0], WAYS["warm_and_cold"])
    warmth = {
        entry: np.log(pixels(after[entry]).mean((0, 1)) / pixels(samples[0][entry]).mean((0, 1)))
        for entry in ("person.jpg", "ornament.jpg")
    }
    assert warmth["person.jpg"][0] > 0.1 > -0.1 > warmth["person.jpg"][2]
    assert warmth["ornament.jpg"][2] > 0.1 > -0.1 > warmth["ornament.jpg"][0]


def test_only_the_table_is_patterned() -> None:
    mask = Image.new("L", (16, 16))
    mask.paste(255, (4, 4, 12, 12))
    laid = np.asarray(laid_on_squares(Image.new("RGB", (16, 16), "blue"), mask))
    assert (laid[4:12, 4:12] == (0, 0, 255)).all()
    assert {tuple(colour) for colour in laid[:4].reshape(-1, 3).tolist()} == {(176, 58, 46), (236, 232, 220)}
    assert (laid[0, 0] == laid[1, 1]).all() and (laid[0, 0] != laid[0, 2]).any(), "squares of two pixels"


def test_sets_hold_the_same_samples_and_the_studies_name_them(samples: list[RawSample], tmp_path: Path) -> None:
    entries = ((sample["__key__"], make_worse(sample, WAYS["as_rendered"])) for sample in samples)
    write_shard(tmp_path / "some.tar", entries)
    make(tmp_path / "out", str(tmp_path / "some.tar"))
    for name in WAYS:
        made = read_shard(str(tmp_path / "out" / name / "test-000000.tar"), raise_sample_error, is_image)
        assert [sample["__key__"] for sample in made] == [sample["__key__"] for sample in samples]
        assert (tmp_path / "out" / name / "index.json").is_file()
    for study in ("photographs", "photographic_changes"):
        text = (ROOT / f"configs/studies/{study}.yaml").read_text()
        named = set(re.findall(r"runs/photographs/(\w+)/test-\*\.tar", text))
        assert named and named <= WAYS.keys()
        if study == "photographs":
            assert named == WAYS.keys()
