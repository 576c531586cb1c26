"""What a warp is told of a batch, and what it should say."""

from dataclasses import replace

import torch

from ornament_lit.models.warps import NoWarp
from ornament_lit.models.warps.base import lay_by_ground_truth, split_rows, warp_ground_truth, warp_inputs


def test_a_known_input_mask_is_erased_and_given_beside_the_box(tiny_batch) -> None:
    batch = tiny_batch()
    larger = torch.zeros_like(batch["box_mask"])
    larger[..., 2:12, 2:12] = 1
    inputs = warp_inputs({**batch, "input_mask": larger})
    assert torch.equal(inputs.input_mask, larger) and torch.equal(inputs.box_mask, batch["box_mask"])
    hidden = torch.maximum(larger, batch["box_mask"])
    assert torch.equal(inputs.masked_person, batch["person_image"] * (1 - hidden))
    assert torch.equal(warp_inputs(batch).input_mask, batch["box_mask"])


def test_the_background_of_the_ornament_is_not_told(worn_batch) -> None:
    batch = worn_batch(detail=1)
    other = {**batch, "ornament_image": torch.where(batch["ornament_mask"] > 0, batch["ornament_image"], 0.9)}
    one, two = warp_inputs(batch), warp_inputs(other)
    assert torch.equal(one.ornament_image, two.ornament_image) and torch.equal(one.texture, two.texture)
    assert one.texture.shape == (2, 4, 32, 32) and torch.equal(one.texture[:, 3:], batch["ornament_mask"])


def test_detail_is_sampled_where_there_is_one(worn_batch) -> None:
    batch = worn_batch(detail=2)
    texture = warp_inputs(batch).texture
    assert texture.shape == (2, 4, 64, 64) and torch.equal(texture[:, 3:], batch["ornament_detail"]["mask"])


def test_the_box_is_erased_from_the_wider_view(worn_batch) -> None:
    view = warp_inputs(worn_batch()).wide_view
    assert not (view["image"] * view["box_mask"]).any() and view["image"].any()
    assert warp_inputs(worn_batch(wide_view=None)).wide_view is None


def test_without_a_correspondence_no_pixel_counts(tiny_batch, worn_batch) -> None:
    truth = warp_ground_truth(tiny_batch())
    assert not truth.weight.any() and truth.correspondence["uv"].shape == (2, 2, 32, 32)
    batch = worn_batch()
    known = batch["correspondence"]["known"]
    batch["correspondence"]["seen"] = torch.zeros_like(known)
    torch.testing.assert_close(warp_ground_truth(batch).weight, 0.3 * known)


def test_known_skin_stands_beside_and_under_an_ornament_that_covers_a_part(worn_batch) -> None:
    output = NoWarp()(warp_inputs(worn_batch()))
    half = torch.full_like(output.coverage, 0.5)
    skin, lit, person = (torch.full_like(output.skin, value) for value in (0.2, 1.0, -0.6))
    output = replace(output, skin=skin, coverage=half, composite=0.5 * skin + 0.5 * lit)
    erased = torch.zeros_like(half)
    erased[..., :16] = 1
    found = output.on_known_skin(person, erased)
    assert torch.equal(found.composite[..., :16], output.composite[..., :16])
    torch.testing.assert_close(found.composite[..., 16:], torch.full_like(skin, 0.2)[..., 16:])  # (-0.6 + 1) / 2
    torch.testing.assert_close(found.skin[..., 16:], person[..., 16:])
    assert torch.equal(found.skin[..., :16], skin[..., :16]) and found.coverage is output.coverage


def test_the_truth_lays_the_ornament_where_the_photograph_has_it(worn_batch, build_warp) -> None:
    batch = worn_batch(detail=4)
    inputs = warp_inputs(batch)
    output = replace(build_warp()(inputs), gain=torch.ones_like(batch["person_image"]), skin=batch["person_image"])
    laid = lay_by_ground_truth(output, inputs, warp_ground_truth(batch), share=1.0)
    sure = (batch["wearing_mask"] == 1).expand_as(laid.composite)
    torch.testing.assert_close(laid.composite[sure], batch["person_image"][sure], atol=0.05, rtol=0)
    assert (output.composite - batch["person_image"])[sure].abs().max() > 0.2
    assert torch.equal(laid.coverage, batch["wearing_mask"]) and torch.equal(laid.uv, batch["correspondence"]["uv"])
    assert laid.skin is output.skin and laid.gain is output.gain


def test_a_share_of_the_samples_is_laid_by_the_truth_and_none_whose_truth_is_not_known(worn_batch, build_warp) -> None:
    batch = {**worn_batch(3), "sample_seed": torch.tensor([2100, 2899, 2400])}
    batch["correspondence"]["known"][2] = 0
    inputs = warp_inputs(batch)
    output = build_warp()(inputs)
    laid = lay_by_ground_truth(output, inputs, warp_ground_truth(batch), share=0.5)
    same = [torch.equal(laid.composite[row], output.composite[row]) for row in range(3)]
    assert same == [False, True, True]
    del batch["correspondence"]
    assert torch.equal(lay_by_ground_truth(output, inputs, warp_ground_truth(batch), 1.0).composite, output.composite)


def test_rows_are_split(worn_batch) -> None:
    rows = split_rows(NoWarp()(warp_inputs(worn_batch(3))))
    assert len(rows) == 3 and all(row.uv.shape == (1, 2, 32, 32) and row.confidence.shape == (1,) for row in rows)


def test_no_warp_says_nothing(worn_batch) -> None:
    batch, warp = worn_batch(), NoWarp()
    output = warp(warp_inputs(batch))
    assert torch.equal(output.composite, warp_inputs(batch).masked_person) and not output.coverage.any()
    assert warp.training_pass(warp_inputs(batch), warp_ground_truth(batch)) is None
    assert warp.num_predictions == 0 and not warp.state_dict()


def test_the_bare_person_is_shown_in_the_crop_and_in_the_wider_view(worn_batch) -> None:
    batch = worn_batch()
    bare = {"image": torch.rand(2, 3, 32, 32), "wide_image": torch.rand_like(batch["wide_view"]["image"])}
    batch["bare_person"] = {**bare, "shown": torch.tensor([0.0, 1.0])}
    inputs = warp_inputs(batch)
    assert torch.equal(inputs.masked_person[1], bare["image"][1])
    assert torch.equal(inputs.wide_view["image"][1], bare["wide_image"][1])
    hidden = warp_inputs({name: value for name, value in batch.items() if name != "bare_person"})
    assert torch.equal(inputs.masked_person[0], hidden.masked_person[0])
    assert torch.equal(inputs.wide_view["image"][0], hidden.wide_view["image"][0])
