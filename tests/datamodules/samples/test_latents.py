"""Latents that were computed beforehand: which copy is taken, what is refused, and when they are used."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from datamodules import OrnamentDataModule
from datamodules.samples.decoding import Triplet, decode, describe
from datamodules.samples.latents import (
    CARD,
    LatentsCard,
    PrecomputedTransform,
    choose_transform,
    differences,
    read_card,
    read_latents,
    write_card,
)
from datamodules.samples.transforms import TripletTransform
from datamodules.storage.sample_errors import SampleError

TRANSFORM = TripletTransform(16, flip=True)
SHAPES = {"person_latents": (2, 4, 4), "masked_person_latents": (2, 4, 4), "ornament_latents": (2, 4, 4)}


@pytest.fixture
def card() -> LatentsCard:
    return LatentsCard(3, 7, "float16", TRANSFORM, SHAPES, {"autoencoder": "ab" * 32})


def latents(value: float, **changes: torch.Tensor) -> bytes:
    return save({**{name: torch.full(shape, value, dtype=torch.float16) for name, shape in SHAPES.items()}, **changes})


@pytest.fixture
def triplet(draw_entries: Callable[..., dict[str, bytes]]) -> Triplet:
    """A triplet whose copy k has latents that are all k."""
    entries = {f"latents_{copy}.safetensors": latents(copy) for copy in range(3)}
    sample = {"__key__": "k", "__url__": "u", **draw_entries(1), **entries}
    return decode(sample, describe(sample))


def test_decoding_keeps_the_latents_in_order(triplet: Triplet) -> None:
    assert triplet.latents == tuple(latents(copy) for copy in range(3))


def test_the_pictures_are_those_of_the_copy(triplet: Triplet, card: LatentsCard) -> None:
    seen = set()
    for seed in range(20):
        sample = PrecomputedTransform(card)(triplet, seed)
        copy = int(sample["encoded"]["person_latents"][0, 0, 0])
        expected = TRANSFORM(triplet, card.copy_seed("k", copy))
        for name in ("ornament_image", "ornament_mask", "person_image", "wearing_mask", "box_mask"):
            assert torch.equal(sample[name], expected[name])  # type: ignore[literal-required]
        assert sample["sample_seed"] == seed, "noise and timestep must not depend on the copy"
        seen.add(copy)
    assert seen == {0, 1, 2}


def test_copies_are_chosen_purely_and_evenly(triplet: Triplet, card: LatentsCard) -> None:
    def choose(seed: int) -> int:
        return int(PrecomputedTransform(card)(triplet, seed)["encoded"]["masked_person_latents"][0, 0, 0])

    chosen = [choose(seed) for seed in range(150)]
    assert chosen == [choose(seed) for seed in range(150)]
    assert all(30 < count < 70 for count in Counter(chosen).values())


def test_copies_of_one_sample_are_cropped_differently(triplet: Triplet, card: LatentsCard) -> None:
    seeds = [card.copy_seed("k", copy) for copy in range(3)]
    people = [TRANSFORM(triplet, seed)["person_image"] for seed in seeds]
    assert len(set(seeds)) == 3 and card.copy_seed("other", 0) not in seeds
    assert replace(card, seed=8).copy_seed("k", 0) not in seeds
    assert not torch.equal(people[0], people[1]) and not torch.equal(people[1], people[2])


def test_a_seed_goes_on_meaning_the_same_crop(triplet: Triplet, card: LatentsCard) -> None:
    """Latents are stored and masks are not: where this fails, VERSION of the transforms must be raised."""
    assert card.version == 1
    assert [card.copy_seed("k", copy) for copy in range(2)] == [6820280077232980390, 4566790842353044761]
    found = []
    for seed in range(3):
        mask = TripletTransform(100, flip=True)(triplet, seed)["wearing_mask"][0] > 0.5
        rows, columns = mask.nonzero().unbind(1)
        found.append([int(edge) for edge in (columns.min(), columns.max(), rows.min(), rows.max())])
    assert found == [[27, 76, 33, 66], [24, 71, 36, 67], [25, 72, 35, 66]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "."),
        (b"\x80\x04pickle", "."),
        (latents(0)[:-1], "."),
        (latents(0, person_latents=torch.zeros(2, 4, 5, dtype=torch.float16)), r"got .*\(2, 4, 5\)"),
        (latents(0, person_latents=torch.zeros(2, 4, 4)), "got .*float32"),
        (latents(0, more=torch.zeros(1)), "got .*more"),
        (save({"person_latents": torch.zeros(2, 4, 4)}), "expected .*masked_person_latents"),
    ],
)
def test_latents_that_cannot_be_used_are_a_fault(
    triplet: Triplet, card: LatentsCard, content: bytes, message: str
) -> None:
    with pytest.raises(SampleError, match=rf"^k: latents of copy \d: .*{message}") as caught:
        PrecomputedTransform(card)(triplet._replace(latents=(content,) * 3), 0)
    assert caught.value.reason == "undecodable"


def test_an_absent_copy_is_a_fault(triplet: Triplet, card: LatentsCard) -> None:
    with pytest.raises(SampleError, match="k: there are no latents of copy") as caught:
        PrecomputedTransform(card)(triplet._replace(latents=()), 0)
    assert caught.value.reason == "missing_entry"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_latents_become_float32(card: LatentsCard, dtype: str) -> None:
    stored = {name: torch.full(shape, 0.1).to(getattr(torch, dtype)) for name, shape in SHAPES.items()}
    read = read_latents(save(stored), replace(card, dtype=dtype))
    assert all(torch.equal(read[name], stored[name].float()) for name in SHAPES)  # type: ignore[literal-required]


def test_a_card_is_read_as_it_was_written(tmp_path: Path, card: LatentsCard) -> None:
    write_card(tmp_path, card)
    assert read_card(tmp_path) == card and [path.name for path in tmp_path.iterdir()] == [CARD]


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "other/1"},
        {"dtype": "load"},
        {"transform": {"sides": 3}},
        {"copies": None},
        {"copies": 0},
        {"shapes": {"a": 1}},
        {"shapes": []},
    ],
)
def test_a_card_that_is_none_is_refused(tmp_path: Path, card: LatentsCard, changes: dict[str, object]) -> None:
    write_card(tmp_path, card)
    document = json.loads((tmp_path / CARD).read_text())
    (tmp_path / CARD).write_text(json.dumps({**document, **changes}))
    with pytest.raises(ValueError, match=rf"{tmp_path}/latents\.json does not say .* data latents"):
        read_card(tmp_path)


def test_differences_are_named(card: LatentsCard) -> None:
    other = replace(card, copies=4, transform=replace(TRANSFORM, crop_factor=2.0), encoders={"autoencoder": "cd" * 32})
    assert differences(card, card) == []
    assert sorted(differences(card, other)) == [
        "copies 3 and 4",
        "crop_factor 1.5 and 2.0",
        "weights of autoencoder abababababab and cdcdcdcdcdcd",
    ]
    with_features = replace(card, encoders={**card.encoders, "image_encoder": "ef" * 32})
    assert differences(card, with_features) == ["weights of image_encoder None and efefefefefef"]


def test_latents_of_the_same_crops_are_taken(tmp_path: Path, card: LatentsCard) -> None:
    write_card(tmp_path, card)
    shards = [f"{tmp_path}/a.tar", f"{tmp_path}/b.tar"]
    assert choose_transform(shards, TRANSFORM, "auto") == PrecomputedTransform(card)
    assert choose_transform(shards, TRANSFORM, "require") == PrecomputedTransform(card)
    assert choose_transform(shards, TRANSFORM, "never") is TRANSFORM


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resolution": 32}, "resolution 16 and 32"),
        ({"crop_factor": 2.0}, "crop_factor 1.5 and 2.0"),
        ({"box_growth": (0.0, 0.25)}, r"box_growth \[0.1, 0.25\] and \[0.0, 0.25\]"),
        ({"flip": False}, "flip True and False"),
    ],
)
def test_latents_of_other_crops_are_never_taken(
    tmp_path: Path, card: LatentsCard, changes: dict[str, object], message: str
) -> None:
    write_card(tmp_path, card)
    wanted = replace(TRANSFORM, **changes)
    with pytest.warns(UserWarning, match=rf"latents are not used.*{message}"):
        assert choose_transform([f"{tmp_path}/a.tar"], wanted, "auto") is wanted
    with pytest.raises(ValueError, match=message):
        choose_transform([f"{tmp_path}/a.tar"], wanted, "require")


def test_latents_of_another_release_are_never_taken(tmp_path: Path, card: LatentsCard) -> None:
    write_card(tmp_path, replace(card, version=0))
    with pytest.raises(ValueError, match="version 0 and 1"):
        choose_transform([f"{tmp_path}/a.tar"], TRANSFORM, "require")


def test_every_folder_needs_the_same_latents(tmp_path: Path, card: LatentsCard) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    shards = [f"{tmp_path}/a/1.tar", f"{tmp_path}/b/1.tar"]
    write_card(tmp_path / "b", card)
    with pytest.raises(ValueError, match=rf"no latents\.json in {tmp_path}/a"):
        choose_transform(shards, TRANSFORM, "require")
    with pytest.warns(UserWarning, match="are not used"):
        assert choose_transform(shards, TRANSFORM, "auto") is TRANSFORM
    write_card(tmp_path / "a", replace(card, seed=8))
    with pytest.raises(ValueError, match="have latents of seed 8 and 7"):
        choose_transform(shards, TRANSFORM, "require")


@pytest.mark.filterwarnings("error")
def test_without_latents_auto_says_nothing(tmp_path: Path) -> None:
    assert choose_transform([f"{tmp_path}/a.tar"], TRANSFORM, "auto") is TRANSFORM
    assert choose_transform(["https://nowhere.invalid/a.tar"], TRANSFORM, "auto") is TRANSFORM


def test_a_sample_with_bad_latents_is_skipped_and_counted(
    tmp_path: Path,
    draw_entries: Callable[..., dict[str, bytes]],
    write_shard: Callable[[Path, dict[str, dict[str, bytes]]], Path],
    card: LatentsCard,
    caplog: pytest.LogCaptureFixture,
) -> None:
    good = {f"latents_{copy}.safetensors": latents(copy) for copy in range(3)}
    samples = {f"s{i}": {**draw_entries(i), **good} for i in range(8)}
    samples["s3"] |= dict.fromkeys(good, b"damaged")
    write_shard(tmp_path / "a.tar", samples)
    write_card(tmp_path, card)
    data = OrnamentDataModule(str(tmp_path), resolution=16, batch_size=4, precomputed="require")
    with caplog.at_level("WARNING"):
        rows = [batch for batch in data.train_dataloader()]
    assert [len(batch["key"]) for batch in rows] == [4, 4]
    assert all(batch["encoded"]["person_latents"].shape == (4, 2, 4, 4) for batch in rows)
    assert not any("s3" in batch["key"] for batch in rows)
    assert "1 undecodable" in caplog.text and "s3: latents of copy" in caplog.text
    strict = OrnamentDataModule(str(tmp_path), resolution=16, batch_size=4, precomputed="require", strict=True)
    with pytest.raises(SampleError, match="s3: latents of copy"):
        list(strict.train_dataloader())


def test_latents_know_nothing_of_extras_and_are_taken_with_them(tmp_path: Path, card: LatentsCard) -> None:
    write_card(tmp_path, card)
    wanted = replace(TRANSFORM, correspondence=True, wide_view=2.0, detail=2)
    chosen = choose_transform([f"{tmp_path}/a.tar"], wanted, "require")
    assert chosen == PrecomputedTransform(replace(card, transform=wanted)) and chosen.wants("correspondence.png")
    with pytest.raises(ValueError, match=r"rotation 0\.0 and 30\.0"):
        choose_transform([f"{tmp_path}/a.tar"], replace(TRANSFORM, rotation=30.0), "require")
