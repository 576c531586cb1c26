"""Shards of triplets that are composed and not rendered: their masks are true, their images grey."""

import io
import json

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("mitsuba")
from datamodules.rendering.command import correspondence
from datamodules.rendering.composition import Recipe, compose, detail_for
from datamodules.rendering.records import Row, read_log, read_options, write_log
from datamodules.samples.correspondence_png import decode_correspondence
from datamodules.samples.schema import CORRESPONDENCE
from datamodules.shards.index import raise_sample_error, read_index, scan_shard, write_index
from datamodules.shards.reading import read_shard
from datamodules.shards.writing import write_shard

NAME = "train-000000.tar"


def encoded(image, kind):
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def mask_of(coverage, mirrored):
    turned = coverage[:, ::-1] if mirrored else coverage
    return encoded(Image.fromarray(np.asarray(turned * 255 + 0.5, np.uint8)), "PNG")


def sample(index, **changes):
    drawn = compose(index, Recipe(3, size=32, detail=detail_for(32)))
    grey = encoded(Image.new("RGB", (32, 32), (128, 128, 128)), "JPEG")
    said = {"attempt": drawn.attempt, "mirrored": drawn.mirrored, "seed": 3, "split": "train", "box": [1, 1, 9, 9]}
    return {
        "ornament.jpg": grey,
        "person.jpg": grey,
        "ornament_mask.png": mask_of(drawn.laid_masks.visible, drawn.mirrored),
        "wearing_mask.png": mask_of(drawn.masks.visible, drawn.mirrored),
        "json": json.dumps(said | {"type": drawn.design.category} | changes).encode(),
    }


@pytest.fixture(scope="module")
def samples():
    return {f"train-{index:06d}": sample(index) for index in (1, 2)}


@pytest.fixture
def folder(tmp_path, samples):
    strange = samples["train-000002"] | {"json": sample(2, attempt=40)["json"]}
    moved = samples["train-000001"] | {"wearing_mask.png": samples["train-000001"]["ornament_mask.png"]}
    foreign = samples["train-000001"] | {"json": b'{"type": "ring", "box": [1, 1, 9, 9]}'}
    more = {"other-000002": strange, "moved-000001": moved, "shop-000001": foreign}
    path = tmp_path / "set"
    path.mkdir()
    entry = write_shard(path / NAME, (samples | more).items())
    write_index(path, [entry])
    write_log(path, NAME, entry.sha256, [Row("train-000001", "ring", "plain", 1.0, [])])
    options = {"detail": detail_for(32), "seed": 3, "size": 32, "split": "train", "variant": "scalar_rgb"}
    more_options = {"whole_scene": False, "bare": False, "samples_per_pixel": 4, "shard_size": 8}
    (path / "render-train.json").write_text(json.dumps(options | more_options))
    return path


def entries_of(path):
    samples = read_shard(str(path), raise_sample_error, lambda entry: True)
    return {raw["__key__"]: {name: raw[name] for name in raw if name[0] != "_"} for raw in samples}


def test_what_agrees_gets_an_entry_and_what_does_not_is_told(folder, samples, capsys):
    before = entries_of(folder / NAME)
    correspondence(str(folder), workers=1)
    said = capsys.readouterr()
    assert "2 of 5 samples without a correspondence have one now" in said.out
    assert "3 stay without" in said.err and "other-000002: attempt is 40, its seed draws" in said.err
    assert "moved-000001: wearing_mask.png differs from what its seed draws by" in said.err
    assert "shop-000001: its json has no seed and split: data render did not make it" in said.err
    after = entries_of(folder / NAME)
    assert {key: {n: c for n, c in entries.items() if n != CORRESPONDENCE} for key, entries in after.items()} == before
    assert [key for key, entries in after.items() if CORRESPONDENCE in entries] == list(samples)
    mask = np.asarray(Image.open(io.BytesIO(samples["train-000001"]["wearing_mask.png"])))
    found = decode_correspondence(after["train-000001"][CORRESPONDENCE], (32, 32))
    assert np.array_equal(np.round(found.known * 255), mask)
    assert read_index(folder) == {NAME: scan_shard(folder / NAME, checksum=True)}
    assert read_log(folder, NAME)[0] == read_index(folder)[NAME].sha256
    assert "correspondence" not in read_options(folder)["train"]
    assert not list(folder.rglob("*.part"))


def test_a_second_run_changes_nothing_and_another_folder_leaves_the_first_alone(folder, capsys):
    before, out = (folder / NAME).read_bytes(), folder.parent / "out"
    correspondence(str(folder), out=str(out), workers=1)
    assert (folder / NAME).read_bytes() == before
    written = (out / NAME).read_bytes()
    correspondence(str(folder), out=str(out), workers=1)
    assert (out / NAME).read_bytes() == written and "0 of 3 samples" in capsys.readouterr().out
    assert (out / "index.json").exists() and (out / "render-train.json").exists()


def test_a_folder_without_shards_and_no_workers_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"with shards \(\*\.tar\), there is none"):
        correspondence(str(tmp_path))
    with pytest.raises(ValueError, match="--workers must be at least 1, got 0"):
        correspondence(str(tmp_path), workers=0)
