"""Shards with latents: what is in them, that the same input gives the same bytes, and that nothing is mixed or lost."""

import tarfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from datamodules.samples.decoding import decode, describe
from datamodules.samples.latents import CARD, PrecomputedTransform, read_card, read_latents
from datamodules.samples.transforms import TripletTransform
from datamodules.shards.index import raise_sample_error, read_index
from datamodules.shards.precompute_latents import Encoders, make_card, write_latents
from datamodules.shards.reading import read_shard
from datamodules.storage.sample_errors import SampleError
from ornament_lit.models.autoencoders import SpaceToDepthAutoencoder
from ornament_lit.models.image_encoders import ImageEncoder, NoImageEncoder

Draw = Callable[..., dict[str, bytes]]
Write = Callable[[Path, Mapping[str, dict[str, bytes]]], Path]
TRANSFORM = TripletTransform(16, flip=True)
ENCODERS = Encoders(SpaceToDepthAutoencoder(4), NoImageEncoder())
CARD_OF_TWO = make_card(ENCODERS, TRANSFORM, 2, 5, "float32")


def samples(shard: Path) -> dict[str, dict[str, bytes]]:
    """All entries of a shard by key."""
    return {
        sample["__key__"]: dict(sample) for sample in read_shard(str(shard), raise_sample_error, lambda entry: True)
    }


def shards(folder: Path) -> list[str]:
    return sorted(map(str, folder.glob("train-*.tar")))


def test_a_sample_keeps_its_entries_and_gains_latents(tmp_path: Path, draw_entries: Draw, write_shard: Write) -> None:
    entries = {f"s{i}": draw_entries(i, bare__jpg=b"kept as it is") for i in range(3)}
    source = write_shard(tmp_path / "a.tar", entries)
    assert write_latents([str(source)], tmp_path / "out", ENCODERS, CARD_OF_TWO, batch_size=4) == []
    made = samples(tmp_path / "out" / "a.tar")
    assert list(made) == ["s0", "s1", "s2"]
    for key, old in entries.items():
        new = {name: content for name, content in made[key].items() if not name.startswith("__")}
        assert old == {name: content for name, content in new.items() if "latents" not in name}
        assert set(new) - set(old) == {"latents_0.safetensors", "latents_1.safetensors"}


def test_the_latents_are_those_of_the_copies_pictures(tmp_path: Path, shard_dir: Path) -> None:
    write_latents(shards(shard_dir)[:1], tmp_path / "out", ENCODERS, CARD_OF_TWO, batch_size=3)
    autoencoder = ENCODERS.autoencoder
    for sample in samples(tmp_path / "out" / "train-000000.tar").values():
        triplet = decode(sample, describe(sample))
        people = []
        for copy, content in enumerate(triplet.latents):
            pictures = TRANSFORM(triplet, CARD_OF_TWO.copy_seed(triplet.key, copy))
            latents = {name: tensor[None] for name, tensor in read_latents(content, CARD_OF_TWO).items()}
            erased = pictures["person_image"] * (1 - pictures["box_mask"])
            assert torch.equal(autoencoder.decode(latents["person_latents"])[0], pictures["person_image"])
            assert torch.equal(autoencoder.decode(latents["ornament_latents"])[0], pictures["ornament_image"])
            assert torch.equal(autoencoder.decode(latents["masked_person_latents"])[0], erased)
            people.append(latents["person_latents"])
        assert len(people) == 2 and not torch.equal(*people)


def test_the_same_input_gives_the_same_bytes(tmp_path: Path, shard_dir: Path) -> None:
    for name, workers in (("one", 1), ("other", 3)):
        write_latents(shards(shard_dir), tmp_path / name, ENCODERS, CARD_OF_TWO, workers=workers)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["index.json", CARD, *(f"train-00000{i}.tar" for i in range(4))]
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes() for name in files)


def test_the_index_is_that_of_the_new_shards(tmp_path: Path, shard_dir: Path) -> None:
    write_latents(shards(shard_dir), tmp_path / "out", ENCODERS, CARD_OF_TWO)
    index = read_index(tmp_path / "out")
    assert [len(entry.samples) for entry in index.values()] == [8] * 4
    for name, entry in index.items():
        assert entry.bytes == (tmp_path / "out" / name).stat().st_size and entry.sha256
    assert read_card(tmp_path / "out") == CARD_OF_TWO


class Interrupted(SpaceToDepthAutoencoder):
    """An autoencoder that is stopped after some calls, as by Ctrl-C."""

    calls = 0

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.calls > 5:
            raise KeyboardInterrupt
        return super().encode(images)


def test_an_interrupted_run_goes_on(tmp_path: Path, shard_dir: Path) -> None:
    write_latents(shards(shard_dir), tmp_path / "whole", ENCODERS, CARD_OF_TWO)
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        write_latents(shards(shard_dir), out, replace(ENCODERS, autoencoder=Interrupted(4)), CARD_OF_TWO)
    done = out / "train-000000.tar"
    assert sorted(path.name for path in out.iterdir()) == ["index.json", CARD, done.name]
    before = done.stat().st_mtime_ns, done.stat().st_ino
    write_latents(shards(shard_dir), out, ENCODERS, CARD_OF_TWO)
    assert (done.stat().st_mtime_ns, done.stat().st_ino) == before
    for path in (tmp_path / "whole").iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes()


def test_a_finished_shard_without_an_index_is_indexed(tmp_path: Path, shard_dir: Path) -> None:
    write_latents(shards(shard_dir)[:2], tmp_path, ENCODERS, CARD_OF_TWO)
    index = (tmp_path / "index.json").read_bytes()
    (tmp_path / "index.json").unlink()
    write_latents(shards(shard_dir)[:2], tmp_path, ENCODERS, CARD_OF_TWO)
    assert (tmp_path / "index.json").read_bytes() == index


def test_other_options_are_not_mixed_in(tmp_path: Path, shard_dir: Path) -> None:
    write_latents(shards(shard_dir)[:1], tmp_path / "out", ENCODERS, CARD_OF_TWO)
    with pytest.raises(ValueError, match="was begun in another way: copies 2 and 3; choose another folder"):
        write_latents(shards(shard_dir), tmp_path / "out", ENCODERS, replace(CARD_OF_TWO, copies=3))
    assert read_card(tmp_path / "out") == CARD_OF_TWO


def test_shards_without_latents_are_not_written_over(shard_dir: Path) -> None:
    before = {path: path.read_bytes() for path in shard_dir.iterdir()}
    with pytest.raises(ValueError, match="holds shards without latents"):
        write_latents(shards(shard_dir), shard_dir, ENCODERS, CARD_OF_TWO)
    assert {path: path.read_bytes() for path in shard_dir.iterdir()} == before


def test_two_shards_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="different names"):
        write_latents(["/a/1.tar", "/b/1.tar"], tmp_path, ENCODERS, CARD_OF_TWO)
    with pytest.raises(ValueError, match=r"on a disk, got https://a\.org/1\.tar"):
        write_latents(["https://a.org/1.tar"], tmp_path, ENCODERS, CARD_OF_TWO)
    for numbers in ({"batch_size": 0}, {"workers": 0}):
        with pytest.raises(ValueError, match="must be at least 1, got"):
            write_latents(["/a/1.tar"], tmp_path, ENCODERS, CARD_OF_TWO, **numbers)


def test_a_bad_sample_is_left_out_and_told(tmp_path: Path, draw_entries: Draw, write_shard: Write) -> None:
    entries = {"s0": draw_entries(0), "s1": draw_entries(1, person__jpg=b"no image"), "s2": draw_entries(2)}
    source = write_shard(tmp_path / "a.tar", entries)
    sample_errors = write_latents([str(source)], tmp_path / "out", ENCODERS, CARD_OF_TWO)
    assert [fault.reason for fault in sample_errors] == ["undecodable"] and "s1" in str(sample_errors[0])
    assert list(samples(tmp_path / "out" / "a.tar")) == ["s0", "s2"]


def test_a_cut_shard_gives_no_shard(tmp_path: Path, shard_dir: Path) -> None:
    source = Path(shards(shard_dir)[0])
    source.write_bytes(source.read_bytes()[:-3000])
    with pytest.raises(SampleError, match=r"train-000000\.tar"):
        write_latents([str(source)], tmp_path / "out", ENCODERS, CARD_OF_TWO)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [CARD]


def test_older_latents_are_replaced(tmp_path: Path, shard_dir: Path) -> None:
    write_latents(shards(shard_dir)[:1], tmp_path / "two", ENCODERS, CARD_OF_TWO)
    write_latents(shards(tmp_path / "two"), tmp_path / "one", ENCODERS, replace(CARD_OF_TWO, copies=1))
    with tarfile.open(tmp_path / "one" / "train-000000.tar") as archive:
        names = [name for name in archive.getnames() if "latents" in name]
    assert len(names) == 8 and all(name.endswith("latents_0.safetensors") for name in names)


def test_numbers_that_the_type_cannot_hold_are_refused(tmp_path: Path, shard_dir: Path) -> None:
    class Large(SpaceToDepthAutoencoder):
        def encode(self, images: torch.Tensor) -> torch.Tensor:
            return super().encode(images) * 1e6

    encoders = replace(ENCODERS, autoencoder=Large(4))
    card = make_card(encoders, TRANSFORM, 1, 0, "float16")
    with pytest.raises(ValueError, match="finite numbers of float16, got others"):
        write_latents(shards(shard_dir)[:1], tmp_path / "out", encoders, card)


class Patches(ImageEncoder):
    """One token, the mean colour; trained or not."""

    num_tokens, token_dim = 1, 3

    def __init__(self, trained: bool = False) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()), requires_grad=trained)

    def extract(self, images: torch.Tensor, masks: torch.Tensor | None = None) -> torch.Tensor:
        return self.scale * images.mean((2, 3)).unsqueeze(1)


def test_image_features_are_kept_on_request(tmp_path: Path, shard_dir: Path) -> None:
    encoders = replace(ENCODERS, image_encoder=Patches())
    card = make_card(encoders, TRANSFORM, 1, 0, "float32")
    assert card.shapes["image_features"] == (1, 3) and set(card.encoders) == {"autoencoder", "image_encoder"}
    write_latents(shards(shard_dir)[:1], tmp_path, encoders, card)
    for sample in samples(tmp_path / "train-000000.tar").values():
        row = PrecomputedTransform(card)(decode(sample, describe(sample)), 0)
        expected = row["ornament_image"].mean((1, 2))[None]
        torch.testing.assert_close(row["encoded"]["image_features"], expected)


def test_what_trains_is_refused() -> None:
    with pytest.raises(ValueError, match="no trained parameter"):
        make_card(replace(ENCODERS, image_encoder=Patches(trained=True)), TRANSFORM, 1, 0, "float16")
    trained = SpaceToDepthAutoencoder(4)
    trained.scale = torch.nn.Parameter(torch.ones(()))
    with pytest.raises(ValueError, match="frozen autoencoder, but scale of SpaceToDepthAutoencoder trains"):
        make_card(replace(ENCODERS, autoencoder=trained), TRANSFORM, 1, 0, "float16")
    with pytest.raises(ValueError, match="copies must be at least 1, got 0"):
        make_card(ENCODERS, TRANSFORM, 0, 0, "float16")
