import pytest
import torch

from ornament_lit.batch import (
    LATENTS,
    OtherOrnament,
    check_batch,
    input_mask,
    other_ornaments,
    select_rows,
    visible_person,
    with_other_ornament,
)


def test_a_valid_batch_passes(tiny_batch) -> None:
    check_batch(tiny_batch())


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("person_image", torch.zeros(3, 32, 32), r"person_image must be \(B, 3, H, W\), got \(3, 32, 32\)"),
        ("box_mask", torch.zeros(2, 1, 16, 16), r"box_mask must be \(2, 1, 32, 32\).* got \(2, 1, 16, 16\)"),
        ("ornament_image", torch.zeros(2, 1, 32, 32), r"ornament_image must be \(2, 3, 32, 32\)"),
        ("category", ["ring"], r"category must have one entry a sample \(2\), got 1"),
        ("sample_seed", torch.zeros(2), r"sample_seed must be \(2,\) int64, got \(2,\) torch.float32"),
    ],
)
def test_a_wrong_entry_is_named(tiny_batch, key: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_batch({**tiny_batch(), key: value})


def test_an_absent_key_is_named(tiny_batch) -> None:
    batch = tiny_batch()
    del batch["box_mask"]
    with pytest.raises(ValueError, match="box_mask absent"):
        check_batch(batch)


def test_encodings_may_come_along(tiny_batch) -> None:
    latents = dict.fromkeys(LATENTS, torch.zeros(2, 4, 8, 8))
    check_batch({**tiny_batch(), "encoded": {**latents, "image_features": torch.zeros(2, 5, 7)}})
    check_batch({**tiny_batch(), "encoded": {"person_latents": torch.zeros(2, 4, 8, 8)}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"person_latents": torch.zeros(1, 4, 8, 8)}, r"encoded\['person_latents'\] .* 2 rows .* got \(1, 4, 8, 8\)"),
        ({"image_features": torch.zeros(2, 5)}, r"encoded\['image_features'\] .* 3 dimensions, got \(2, 5\)"),
        ({"face_latents": torch.zeros(2, 4, 8, 8)}, r"encoded\['face_latents'\] must be an entry of EncodedImages"),
        (
            {"masked_person_latents": torch.zeros(2, 4, 4, 4)},
            "must have one shape, got .*'masked_person_latents': \\(2, 4, 4, 4\\)",
        ),
    ],
)
def test_wrong_encodings_are_named(tiny_batch, changes: dict[str, torch.Tensor], message: str) -> None:
    latents = dict.fromkeys(LATENTS, torch.zeros(2, 4, 8, 8))
    with pytest.raises(ValueError, match=message):
        check_batch({**tiny_batch(), "encoded": {**latents, **changes}})


def other(value: float) -> OtherOrnament:
    return {
        "ornament_image": torch.full((2, 3, 32, 32), value),
        "ornament_mask": torch.ones(2, 1, 32, 32),
        "key": [f"{value}-{row}" for row in range(2)],
    }


def test_each_other_ornament_can_be_the_reference(tiny_batch) -> None:
    batch = {**tiny_batch(), "other_ornament": other(0.1), "other_ornaments": [other(0.2), other(0.3)]}
    for number, value in enumerate((0.1, 0.2, 0.3)):
        exchanged = with_other_ornament(batch, number)
        assert torch.equal(exchanged["ornament_image"], torch.full((2, 3, 32, 32), value))
        assert exchanged["key"] == batch["key"]
    assert [entry["key"][0] for entry in other_ornaments(batch)] == ["0.1-0", "0.2-0", "0.3-0"]
    with pytest.raises(ValueError, match=r"it has 3; set --data\.other_ornaments=4"):
        with_other_ornament(batch, 3)


def test_rows_of_other_ornaments_are_selected_too(tiny_batch) -> None:
    batch = {**tiny_batch(), "other_ornaments": [other(0.2), other(0.3)]}
    chosen = select_rows(batch, [1])
    assert [entry["key"] for entry in chosen["other_ornaments"]] == [["0.2-1"], ["0.3-1"]]
    assert chosen["other_ornaments"][1]["ornament_mask"].shape == (1, 1, 32, 32)
    assert chosen["key"] == batch["key"][1:2]


def test_the_bare_person_is_seen_in_the_samples_that_show_it(tiny_batch) -> None:
    batch = tiny_batch()
    masked = batch["person_image"] * (1 - batch["box_mask"])
    assert torch.equal(visible_person(batch, input_mask(batch)), masked)
    bare = torch.rand(2, 3, 32, 32)
    batch["bare_person"] = {"image": bare, "shown": torch.tensor([1.0, 0.0])}
    seen = visible_person(batch, input_mask(batch))
    assert torch.equal(seen[0], bare[0]) and torch.equal(seen[1], masked[1])
    assert torch.equal(visible_person(select_rows(batch, [1]), batch["box_mask"][:1]), masked[1:])
