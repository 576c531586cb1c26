"""WarpLoss against errors known by hand."""

import math
import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from ornament_lit.imaging.texture import sample_texture
from ornament_lit.losses import WarpLoss
from ornament_lit.losses.placing import moved
from ornament_lit.losses.warp import (
    _Answer,
    dice_error,
    field_error,
    light_error,
    mask_error,
    masked_error,
    mean,
    slope_error,
    truly_visible,
)
from ornament_lit.models.warps.base import WarpOutput, WarpTraining, warp_ground_truth, warp_inputs


def perfect(batch: Any, poses: int = 4) -> WarpTraining:
    """What a warp says that knows everything."""
    truth, inputs = warp_ground_truth(batch), warp_inputs(batch)
    worn, image = truth.wearing_mask, truth.person_image
    count = len(worn)
    uv = torch.tensor([[0.0, -1.6], [1.6, 0.0]])
    grid = torch.stack(torch.meshgrid(*[(torch.arange(32) + 0.5) / 16 - 1] * 2, indexing="ij")[::-1])
    shift = torch.tensor([[0.1, -0.05]]) + 0.05 * torch.arange(count)[:, None]
    field = torch.einsum("ij,jhw->ihw", uv, grid)[None] + shift[:, :, None, None]
    ones = torch.ones_like(worn)
    output = WarpOutput(
        uv=field,
        visibility=ones,
        coverage=worn,
        gain=ones.repeat(1, 3, 1, 1),
        skin=image,
        composite=image,
        confidence=torch.full((count,), -math.log(1e-3)),
        warped=image,
    )
    chances = torch.eye(poses)[torch.ones(count).long()]
    return WarpTraining((output, output), field, 40 * chances, chances, torch.ones(count).long(), inputs, truth)


def only_of(name: str) -> WarpLoss:
    """The loss with one term alone, of weight 1."""
    return WarpLoss(**{**dict.fromkeys(WarpLoss().weights, 0.0), name: 1.0})


def test_a_perfect_warp_has_next_to_no_error(worn_batch) -> None:
    loss, terms = WarpLoss(extend=False)(perfect(worn_batch()))
    names = {"pose", "pose_field", "field", "slope", "mask", "area", "detail", "light", "skin", "confidence"} | {
        "place",
        "visibility",
        "pose_slope",
    }
    assert set(terms) == names
    small = {name: float(value) for name, value in terms.items() if name != "mask"}
    assert all(0 <= value < 0.01 for value in small.values()), small
    assert terms["mask"] < 0.5 * 0.3, "edges of the mask are neither 0 nor 1"
    assert loss < 1.5 * terms["mask"] + 0.05


def test_data_without_a_correspondence_are_told_of_once(worn_batch) -> None:
    batch = worn_batch()
    training, loss = perfect(batch), WarpLoss()
    learning = replace(training, logits=training.logits.requires_grad_())
    known = torch.zeros_like(training.ground_truth.correspondence["known"])
    without = replace(
        learning,
        ground_truth=replace(
            training.ground_truth, correspondence={**training.ground_truth.correspondence, "known": known}
        ),
    )
    with pytest.warns(UserWarning, match="WarpLoss learns poses and fields only from samples with a correspondence"):
        loss(without)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss(without)
        WarpLoss()(learning)


@pytest.mark.parametrize("extend", [True, False])
def test_inside_the_mask_the_field_is_taught_as_it_is(worn_batch, extend: bool) -> None:
    training = perfect(worn_batch())
    loss = WarpLoss(extend=extend)
    target, pixels = loss._target(training)
    truth = training.ground_truth
    inside = truth.weight > 0.9
    error = (target - truth.correspondence["uv"]).abs() * inside
    assert error.max() < 0.05 and error.sum() / inside.sum() / 2 < 0.015
    beside = (truth.weight == 0) & (pixels > 0)
    assert beside.any() == extend
    if extend:
        assert ((target - training.first_uv).abs() * beside).max() < 0.1


def test_each_term_sees_its_own_mistake(worn_batch) -> None:
    training = perfect(worn_batch())
    right = training.outputs[-1]
    loss = WarpLoss(extend=False)
    _, good = loss(training)
    mistakes = {
        "field": {"uv": right.uv + 0.2},
        "mask": {"coverage": right.coverage.roll(4, 3)},
        "detail": {"warped": right.warped.roll(1, 3)},
        "light": {"gain": right.gain * 1.3},
        "skin": {"skin": right.skin - 0.3},
        "confidence": {"confidence": right.confidence - 2},
    }
    for name, changed in mistakes.items():
        _, bad = loss(replace(training, outputs=(right, replace(right, **changed))))
        assert bad[name] > good[name] + 0.01, name
    _, bad = loss(replace(training, logits=training.logits.roll(1, 1)))
    assert bad["pose"] > good["pose"] + 1
    _, bad = loss(replace(training, first_uv=training.first_uv + 0.2))
    assert bad["pose_field"] > good["pose_field"] + 0.01


def test_area_is_the_logarithm_of_a_ratio(worn_batch) -> None:
    training = perfect(worn_batch())
    right = training.outputs[-1]
    for factor in (0.5, 2.0):
        scaled = replace(right, coverage=factor * training.ground_truth.wearing_mask * training.inputs.box_mask)
        _, terms = only_of("area")(replace(training, outputs=(scaled,)))
        torch.testing.assert_close(terms["area"], torch.tensor(2.0).log(), atol=0.02, rtol=0)


def test_all_iterations_but_the_last_count_half(worn_batch) -> None:
    training = perfect(worn_batch())
    right = training.outputs[-1]
    wrong, only = replace(right, skin=right.skin - 0.3), only_of("skin")
    first, last = (
        only(replace(training, outputs=pair))[0] - only(training)[0] for pair in ((wrong, right), (right, wrong))
    )
    torch.testing.assert_close(last, 2 * first)


def test_light_is_blind_to_detail_and_detail_to_light(worn_batch) -> None:
    """The gradient of detail goes to the field alone, that of light to the gain alone."""
    training = perfect(worn_batch())
    right = training.outputs[-1]
    parts = {"warped": right.warped + 0.1, "gain": right.gain * 1.1}
    for name, taught in (("detail", {"warped"}), ("light", {"gain"})):
        leaves = {key: value.clone().requires_grad_() for key, value in parts.items()}
        output = replace(right, **leaves)
        only_of(name)(replace(training, outputs=(output,)))[0].backward()
        assert {key for key, leaf in leaves.items() if leaf.grad is not None and leaf.grad.any()} == taught


def test_samples_without_correspondence_teach_masks_and_colours_only(worn_batch) -> None:
    batch = worn_batch()
    for entry in batch["correspondence"].values():
        entry[1] = 0
    training = perfect(batch)
    right = training.outputs[-1]
    wrong = torch.tensor([0.0, 0.5]).view(2, 1, 1, 1)
    changed = replace(
        training,
        outputs=(replace(right, uv=right.uv + wrong, confidence=right.confidence - wrong.view(2)),),
        first_uv=training.first_uv + wrong,
        logits=torch.stack([training.logits[0], training.logits[1].roll(1)]),
    )
    one, other = WarpLoss()(replace(training, outputs=(right,))), WarpLoss()(changed)
    assert one[0].isfinite()
    torch.testing.assert_close(other[0], one[0])
    dark = replace(training, outputs=(replace(right, skin=right.skin - wrong),))
    assert WarpLoss()(dark)[1]["skin"] > one[1]["skin"] + 0.05
    nothing = {**batch, "correspondence": {key: 0 * value for key, value in batch["correspondence"].items()}}
    loss, terms = WarpLoss()(perfect(nothing))
    assert loss.isfinite() and not any(terms[name] for name in ("pose", "pose_field", "field", "confidence"))


def test_a_wrong_pose_teaches_confidence_only(worn_batch) -> None:
    training = replace(perfect(worn_batch(1)), pose=torch.tensor([2]))
    right = training.outputs[-1]
    worse = replace(right, coverage=1 - right.coverage, skin=-right.skin, warped=-right.warped, uv=right.uv + 0.3)
    _, terms = WarpLoss()(replace(training, outputs=(worse,)))
    assert {name for name, value in terms.items() if value > 1e-4} == {"confidence"}


def test_a_warp_that_does_not_train_has_no_loss() -> None:
    loss, terms = WarpLoss()(None)
    assert loss == 0 and terms == {}


@pytest.mark.parametrize("name", sorted(WarpLoss().weights))
@pytest.mark.parametrize("weight", [-0.1, math.nan])
def test_negative_weights_are_refused(name: str, weight: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must not be negative"):
        WarpLoss(**{name: weight})


def squares(*values: float) -> Tensor:
    """(1, 1, 1, n)."""
    return torch.tensor(values).view(1, 1, 1, -1)


def test_dice_by_hand() -> None:
    one, other = squares(1, 1, 0, 0), squares(1, 0, 0.5, 0)
    torch.testing.assert_close(dice_error(one, other, 1), torch.tensor([1 - 3 / 4.5]))
    torch.testing.assert_close(dice_error(one, other, 2), torch.tensor([1 - 3 / 4.25]))
    assert dice_error(one, one, 1).item() == pytest.approx(0) and dice_error(0 * one, 0 * one, 2).item() == 0


def test_mask_error_by_hand() -> None:
    worn = torch.zeros(1, 1, 16, 16)
    worn[..., 4:12, 4:12] = 1
    box = torch.ones_like(worn)
    torch.testing.assert_close(mask_error(worn, worn, box), torch.tensor([-math.log(0.998)]), atol=1e-5, rtol=0)
    half = torch.full_like(worn, 0.5)
    blurred = torch.nn.functional.avg_pool2d(worn, 9, 1, 4)
    ground = torch.nn.functional.avg_pool2d(half, 9, 1, 4)
    expected = math.log(2) + dice_error(half, worn, 1) + dice_error(ground, blurred, 2)
    torch.testing.assert_close(mask_error(half, worn, box), expected)
    outside = torch.cat([half[..., :8], worn[..., 8:]], dim=3)
    right = torch.cat([0 * box[..., :8], box[..., 8:]], dim=3)
    entropy = mask_error(outside, worn, right) - dice_error(outside, worn, 1)
    assert entropy < mask_error(outside, worn, box) - dice_error(outside, worn, 1), "entropy counts in the box alone"


def test_masked_error_by_hand() -> None:
    one, other, mask = torch.zeros(2, 3, 2, 2), torch.ones(2, 3, 2, 2), torch.zeros(2, 1, 2, 2)
    other[0, 0] = 4
    mask[0, 0, 0, :] = 1
    torch.testing.assert_close(masked_error(one, other, mask), torch.tensor([2.0, 0.0]))


def test_field_error_by_hand() -> None:
    uv, pixels = torch.zeros(1, 2, 2, 2), torch.tensor([[[[1.0, 1.0], [0.5, 0.0]]]])
    target = torch.zeros(1, 2, 2, 2)
    target[0, 0, 0, 0], target[0, 1, 1, 0], target[0, :, 1, 1] = 0.525, 0.025, 9.0
    expected = ((0.525 - 0.025) + 0.5 * 0.5 * 0.025**2 / 0.05) / 2.5
    torch.testing.assert_close(field_error(uv, target, pixels), torch.tensor([expected]))


def test_slope_error_by_hand() -> None:
    """A field that is 0.1 too steep across and down, in the one coordinate or the other."""
    x, y = torch.meshgrid(*[(torch.arange(8) + 0.5) / 4 - 1] * 2, indexing="xy")
    target, pixels = torch.stack([x, y])[None], torch.ones(1, 1, 8, 8)
    steeper = target + 0.1 * torch.stack([x, x + y])[None]
    torch.testing.assert_close(slope_error(steeper, target, pixels), torch.tensor([0.1 * 3**0.5]), atol=1e-4, rtol=0)
    torch.testing.assert_close(slope_error(target + 5, target, pixels), torch.tensor([1e-3]), atol=1e-4, rtol=0)
    inside = torch.zeros_like(pixels)
    inside[..., 2:6, 2:6] = 1
    assert slope_error(target, target * inside, inside) < 2e-3, "what is not known has no slope"


def test_light_error_by_hand(worn_batch) -> None:
    output, worn = perfect(worn_batch(1)).outputs[-1], torch.zeros(1, 1, 32, 32)
    worn[..., 8:16, 8:24] = 1
    image = output.warped.clone()
    assert light_error(output, image, worn).item() == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(light_error(output, image + 0.2, worn), torch.tensor([0.2]))
    stripes = 0.2 * (-1) ** torch.arange(32).view(1, 1, 1, -1)
    assert light_error(output, image + stripes, worn).item() == pytest.approx(0, abs=1e-5)


def test_light_does_not_take_the_skin_that_is_seen_beside_a_thin_piece_for_the_piece(worn_batch) -> None:
    """A strand that covers half of its pixels: they show half of its colour, and half of the skin's."""
    output, worn = perfect(worn_batch(1)).outputs[-1], torch.zeros(1, 1, 32, 32)
    worn[..., 12:14] = 0.5
    skin, strand = torch.full((1, 3, 32, 32), -0.4), torch.full((1, 3, 32, 32), 0.6)
    output = replace(output, skin=skin, warped=strand, gain=torch.ones_like(output.gain))
    assert light_error(output, skin + (strand - skin) * worn, worn).item() == pytest.approx(0, abs=1e-6)
    assert light_error(output, skin, worn).item() == pytest.approx(0.5 * 1.0), "half of what the colours are apart"


def test_means_are_over_the_batch_so_that_a_sample_counts_the_same_in_any() -> None:
    assert mean(torch.tensor([2.0, 6.0]), torch.tensor([1.0, 0.0])) == 1
    assert mean(torch.tensor([2.0, 6.0]), torch.zeros(2)) == 0


def test_an_ornament_that_lies_beside_its_place_is_wrong_in_place_alone(worn_batch) -> None:
    """The true piece, a little to the left of where it is worn: shape, mask and colours are right."""
    training = perfect(worn_batch())
    shift = torch.tensor([[0.125, 0.0]]).expand(len(training.logits), -1)  # two pixels
    output, ones = training.outputs[-1], torch.ones_like(training.outputs[-1].visibility)
    beside = replace(
        output,
        uv=output.uv + torch.einsum("ij,bj->bi", torch.tensor([[0.0, -1.6], [1.6, 0.0]]), shift)[:, :, None, None],
        coverage=moved(output.coverage, shift),
        warped=moved(output.warped, shift),
    )
    inputs = replace(training.inputs, box_mask=ones, input_mask=ones)
    training = replace(training, outputs=(beside, beside), inputs=inputs)
    in_place, apart = (WarpLoss(place=place, extend=False)(training)[1] for place in (0.0, 3.0))
    assert apart["place"] == pytest.approx(3 * (0.125 - 0.05 / 2), rel=0.05) and in_place["place"] == 0
    for name in ("field", "mask", "detail"):
        assert apart[name] < 0.5 * in_place[name], name
    assert apart["field"] < 0.02 and torch.equal(apart["skin"], in_place["skin"])
    told = replace(training, inputs=replace(inputs, input_mask=training.ground_truth.wearing_mask))
    assert WarpLoss(place=3.0, extend=False)(told)[1] == in_place, "a finer mask tells the place"


def test_what_the_body_hides_is_what_the_true_field_covers_and_the_mask_does_not(worn_batch) -> None:
    training = perfect(worn_batch())
    worn, uv = training.ground_truth.wearing_mask, training.outputs[-1].uv
    half = worn * (torch.arange(32)[:, None] < 16)  # the body is in front of the lower half
    answer = _Answer(uv, torch.ones_like(worn), half, training.ground_truth.person_image)
    visible = truly_visible(answer, training.inputs)
    certain = (worn < 0.01) | (worn > 0.99)
    surely_hidden = (worn > 0.99) & (half == 0)
    assert surely_hidden.any() and visible[surely_hidden].max() < 0.2
    assert visible[certain & ~surely_hidden].min() > 0.75, "edges are neither hidden nor seen"


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_with_a_term_of_its_own_the_visibility_does_not_make_good_for_the_field(worn_batch, weight: float) -> None:
    training = perfect(worn_batch())
    output = training.outputs[-1]
    visibility, uv = torch.full_like(output.visibility, 0.4).requires_grad_(), output.uv.clone().requires_grad_()
    own = sample_texture(training.inputs.texture[:, 3:], uv) * training.inputs.box_mask
    output = replace(output, uv=uv, visibility=visibility, coverage=visibility * own)
    said = replace(training, outputs=(output, output))
    terms: dict[str, float] = {**dict.fromkeys(WarpLoss().weights, 0.0), "visibility": weight}
    loss, found = WarpLoss(**{**terms, "mask": 1.0})(said)
    of_both = torch.autograd.grad(loss, (visibility, uv), retain_graph=True)
    assert all(gradient.abs().max() > 1e-6 for gradient in of_both)
    if weight:
        of_it, of_field = torch.autograd.grad(WarpLoss(**terms)(said)[0], (visibility, uv), allow_unused=True)
        torch.testing.assert_close(of_it, of_both[0])
        assert of_field is None or not of_field.any()
        assert found["mask"] < 0.3 < found["visibility"], "the field is right, and what is seen of it is not"
