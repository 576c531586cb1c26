"""PoseAwareWarp: shapes, independence, ablations, training."""

import math
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import nn

from ornament_lit.batch import TryOnBatch, WideView, select_rows
from ornament_lit.losses import WarpLoss
from ornament_lit.models.warps.alignment import Alignment
from ornament_lit.models.warps.base import WarpInputs, WarpOutput, warp_ground_truth, warp_inputs
from ornament_lit.models.warps.pose import PoseEstimator, Poses
from ornament_lit.models.warps.pose_aware import draw_anchors, most_confident, opaque, resize


def said(output: WarpOutput) -> dict[str, torch.Tensor]:
    return {part.name: getattr(output, part.name) for part in fields(output)}


@torch.no_grad()
def ask(warp: Any, batch: TryOnBatch) -> WarpOutput:
    output: WarpOutput = warp.eval()(warp_inputs(batch))
    return output


@pytest.mark.parametrize("options", [{}, {"bend": True}, {"own_coverage": False}, {"iterations": 1, "hypotheses": 3}])
def test_shapes_ranges_and_what_lies_outside_of_the_box(build_warp, worn_batch, options: dict[str, Any]) -> None:
    batch = worn_batch(3)
    output = ask(build_warp(**options), batch)
    channels = {name: tensor.shape[1:] for name, tensor in said(output).items()}
    assert channels.pop("confidence") == ()
    expected = {"uv": 2, "visibility": 1, "coverage": 1, "gain": 3, "skin": 3, "composite": 3, "warped": 3}
    assert channels == {name: (count, 32, 32) for name, count in expected.items()}
    assert all(tensor.isfinite().all() and tensor.dtype == torch.float32 for tensor in said(output).values())
    for share in (output.coverage, output.visibility):
        assert 0 <= share.min() and share.max() <= 1
    assert output.gain.min() > 0
    outside = batch["box_mask"] == 0
    assert not output.coverage[outside].any() and output.coverage.any()
    masked = warp_inputs(batch).masked_person
    assert torch.equal(output.composite * outside, masked * outside)
    assert torch.equal(output.skin * outside, masked * outside)


def test_the_skin_in_the_box_is_what_is_seen_of_it_and_a_change(build_warp, worn_batch) -> None:
    batch, warp = worn_batch(), build_warp()
    change = ask(warp, batch).skin * batch["box_mask"]
    last = warp.aligner.fine[0]
    torch.nn.init.zeros_(last.weight[-12:])
    torch.nn.init.zeros_(last.bias[-12:])
    batch["bare_person"] = {"image": torch.rand(2, 3, 32, 32), "shown": torch.ones(2)}
    batch["bare_person"]["wide_image"] = torch.rand_like(batch["wide_view"]["image"])
    assert change.any() and torch.equal(ask(warp, batch).skin, batch["bare_person"]["image"])


@pytest.mark.parametrize("looks", [None, 1, 3])
def test_it_looks_as_often_as_it_is_told_where_it_does_not_train(build_warp, worn_batch, looks: int | None) -> None:
    batch, warp = worn_batch(), build_warp(iterations=2, looks=looks)
    seen = said(ask(warp, batch))
    warp.iterations, warp.looks = looks or 2, None
    assert all(torch.equal(seen[name], tensor) for name, tensor in said(ask(warp, batch)).items())
    warp.iterations = 4
    assert not torch.equal(seen["uv"], ask(warp, batch).uv)


def test_what_is_drawn_is_opaque_and_what_is_taught_may_be_in_doubt(build_warp, worn_batch) -> None:
    zeros = torch.zeros(5, 1, 1, 1)
    visibility = torch.tensor([0.0, 0.1, 0.35, 0.6, 1.0]).view(5, 1, 1, 1)
    drawn = opaque(Alignment(zeros, visibility, zeros, zeros, zeros)).visibility.flatten()
    odds = 3 * (torch.logit(torch.tensor([0.1, 0.6])) - math.log(0.35 / 0.65))
    torch.testing.assert_close(drawn[[1, 3]], odds.sigmoid())
    torch.testing.assert_close(drawn[[0, 2, 4]], torch.tensor([0.0, 0.5, 1.0]), atol=1e-6, rtol=0)
    batch, warp = worn_batch(), build_warp(own_poses=1.0).eval()
    taught = warp.training_pass(warp_inputs(batch), warp_ground_truth(batch)).outputs[-1].visibility
    assert taught.max() < 0.9 < 0.95 < ask(warp, batch).visibility.min(), "layers begin at 0.73"


def test_coverage_is_that_of_the_ornament_unless_it_is_predicted_freely(build_warp, worn_batch) -> None:
    batch = worn_batch()
    bare = {**batch, "ornament_mask": torch.zeros_like(batch["ornament_mask"])}
    bare["ornament_detail"] = {**batch["ornament_detail"], "mask": torch.zeros(2, 1, 64, 64)}
    assert not ask(build_warp(), bare).coverage.any()
    free = ask(build_warp(own_coverage=False), bare)
    assert torch.equal(free.coverage, free.visibility * batch["box_mask"]) and free.coverage.any()


def test_the_warp_does_not_see_what_the_box_hides(build_warp, worn_batch) -> None:
    batch = worn_batch()
    view = batch["wide_view"]
    hidden = {**batch, "person_image": torch.where(batch["box_mask"] > 0, 0.9, batch["person_image"])}
    hidden["wide_view"] = {**view, "image": torch.where(view["box_mask"] > 0, -0.9, view["image"])}
    one, other = (ask(build_warp(), each) for each in (batch, hidden))
    assert all(torch.equal(tensor, said(other)[name]) for name, tensor in said(one).items())


def test_the_field_of_a_small_picture_serves_a_large_one(build_warp, worn_batch) -> None:
    """The networks see the same 32 pixels of both, but for resampling."""
    warp, (small, large) = build_warp(noise=0.0), (worn_batch(resolution=size) for size in (32, 64))
    one, other = ask(warp, small), ask(warp, large)
    assert other.composite.shape == (2, 3, 64, 64) and other.uv.shape == (2, 2, 64, 64)
    inside = torch.nn.functional.avg_pool2d(large["box_mask"], 2) == 1
    for name, bound in (("uv", 0.02), ("composite", 0.06), ("coverage", 0.06)):
        difference = (resize(said(other)[name], (32, 32)) - said(one)[name]).abs()
        assert (difference * inside).sum() / inside.expand_as(difference).sum() < bound, name


def test_a_row_alone_is_the_row_in_a_batch(build_warp, worn_batch) -> None:
    batch, warp = worn_batch(3), build_warp(hypotheses=2)
    together = said(ask(warp, batch))
    for row in range(3):
        alone = said(ask(warp, select_rows(batch, [row])))
        for name, tensor in alone.items():
            torch.testing.assert_close(tensor, together[name][row : row + 1], atol=1e-4, rtol=1e-4, msg=name)
    again = said(ask(warp, batch))
    assert all(torch.equal(tensor, together[name]) for name, tensor in again.items())


def test_the_most_confident_hypothesis_is_taken_for_each_sample(build_warp, worn_batch) -> None:
    batch = worn_batch()
    output = ask(build_warp(), batch)
    marked = [replace(output, confidence=torch.tensor(pair), uv=output.uv * 0 + mark) for mark, pair in MARKED.items()]
    chosen = most_confident(marked)
    assert chosen.uv[:, 0, 0, 0].tolist() == [2, 1] and chosen.confidence.tolist() == [5.0, 4.0]
    few, all_of_them = (ask(build_warp(hypotheses=count), batch).confidence for count in (1, 99))
    assert (all_of_them >= few).all() and build_warp(hypotheses=99).hypotheses == 8


MARKED = {1: (0.0, 4.0), 2: (5.0, -1.0), 3: (4.9, 3.9)}


def test_the_wider_view_is_needed_where_it_is_looked_at(build_warp, worn_batch) -> None:
    without = worn_batch(wide_view=None)
    with pytest.raises(ValueError, match=r"wider view of the person; set data.wide_view"):
        ask(build_warp(), without)
    narrow = build_warp(wide_view=False)
    one, other = ask(narrow, without), ask(narrow, worn_batch())
    assert all(torch.equal(tensor, said(other)[name]) for name, tensor in said(one).items())


@pytest.mark.parametrize("options", [{}, {"bend": True}, {"wide_view": False, "own_coverage": False, "iterations": 1}])
@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_every_parameter_is_taught(build_warp, worn_batch, options: dict[str, Any], precision: str) -> None:
    warp, batch = build_warp(**options), worn_batch()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        training = warp.training_pass(warp_inputs(batch), warp_ground_truth(batch))
        loss, _ = WarpLoss()(training)
    loss.backward()
    assert loss.isfinite() and loss.dtype == torch.float32
    assert training.first_uv.dtype == training.outputs[-1].uv.dtype == torch.float32
    assert [name for name, value in warp.named_parameters() if value.grad is None] == []
    idle = [name for name, value in warp.named_parameters() if not value.grad.any() or not value.grad.isfinite().all()]
    assert idle == []


def test_autocast_changes_little(build_warp, worn_batch) -> None:
    warp, batch = build_warp(noise=0.02), worn_batch()
    plain = ask(warp, batch)
    with torch.autocast("cpu", torch.bfloat16):
        cast = ask(warp, batch)
    assert cast.uv.dtype == torch.float32
    assert (cast.uv - plain.uv).abs().mean() < 0.05 and (cast.composite - plain.composite).abs().mean() < 0.05


def test_weights_stay_in_32_bits_and_inputs_may_have_fewer(build_warp, worn_batch) -> None:
    warp, batch = build_warp(noise=0.02), worn_batch()
    before, plain = {name: value.clone() for name, value in warp.state_dict().items()}, ask(warp, batch)
    model = torch.nn.ModuleDict({"warp": warp, "other": torch.nn.Linear(2, 2)}).to(torch.bfloat16)
    assert model["other"].weight.dtype == torch.bfloat16
    assert all(torch.equal(value, before[name]) for name, value in warp.state_dict().items())
    inputs = warp_inputs(batch)
    names = [part.name for part in fields(inputs) if part.name != "wide_view"]
    view = {name: value.bfloat16() for name, value in batch["wide_view"].items()}
    coarse = replace(inputs, **{name: getattr(inputs, name).bfloat16() for name in names}, wide_view=view)
    with torch.no_grad():
        output = warp(coarse)
    assert (output.composite - plain.composite).abs().mean() < 0.02


def test_training_begins_where_the_seeds_say(build_warp, worn_batch) -> None:
    batch, warp = worn_batch(2), build_warp(own_poses=0.5)
    first = warp.training_pass(warp_inputs(batch), warp_ground_truth(batch))
    torch.manual_seed(77)
    again = warp.training_pass(warp_inputs(batch), warp_ground_truth(batch))
    assert torch.equal(first.pose, again.pose) and torch.equal(first.first_uv, again.first_uv)
    alone = select_rows(batch, [1])
    torch.testing.assert_close(
        warp.training_pass(warp_inputs(alone), warp_ground_truth(alone)).first_uv,
        first.first_uv[1:],
        atol=1e-4,
        rtol=1e-4,
    )


def test_poses_are_drawn_from_the_truth_or_from_belief(worn_batch) -> None:
    batch = worn_batch(64)
    true, believed = torch.zeros(2, 64, 4)
    true[:, 1], believed[:, 2] = 1.0, 50.0
    known, unknown = (
        warp_ground_truth(batch),
        warp_ground_truth({name: batch[name] for name in batch if name != "correspondence"}),
    )
    assert draw_anchors(known, true, believed, 0.0).tolist() == [1] * 64
    assert draw_anchors(known, true, believed, 1.0).tolist() == [2] * 64
    assert draw_anchors(unknown, true, believed, 0.0).tolist() == [2] * 64
    shared = draw_anchors(known, true, believed, 0.25)
    assert set(shared.tolist()) == {1, 2} and 4 < (shared == 2).sum() < 30
    even = draw_anchors(known, torch.full((64, 4), 0.25), believed, 0.0)
    assert set(even.tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 30}, "multiple of 8"),
        ({"size": 24}, "at least 32"),
        ({"turns": 0}, "turns must be at least 1"),
        ({"iterations": 0}, "iterations"),
        ({"looks": 0}, "looks must be at least 1"),
        ({"hypotheses": 0}, "hypotheses"),
        ({"own_poses": 1.5}, "share"),
    ],
)
def test_options_out_of_range(build_warp, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_warp(**options)


@pytest.mark.slow
@pytest.mark.parametrize("mirrored", [False, True])
def test_one_pair_is_learned(build_warp, worn_batch, mirrored: bool) -> None:
    linear = ((0.0, -1.6), (-1.6, 0.0)) if mirrored else ((0.0, -1.6), (1.6, 0.0))
    batch, warp = worn_batch(1, linear=linear), build_warp(noise=0.0, own_poses=0.0)
    optimizer, loss = torch.optim.AdamW(warp.parameters(), lr=3e-3), WarpLoss()
    inputs, truth = warp_inputs(batch), warp_ground_truth(batch)
    known = batch["correspondence"]["known"]

    def error(output: WarpOutput) -> float:
        return float(((output.uv - batch["correspondence"]["uv"]).abs() * known).sum() / known.sum() / 2)

    begin = error(ask(warp, batch))
    for _ in range(200):
        optimizer.zero_grad()
        loss(warp.training_pass(inputs, truth))[0].backward()
        torch.nn.utils.clip_grad_norm_(warp.parameters(), 1.0)
        optimizer.step()
    output = ask(warp, batch)
    assert error(output) < min(0.03, begin / 3)
    worn = batch["wearing_mask"]
    assert ((output.coverage > 0.5) & (worn > 0.5)).sum() / ((output.coverage > 0.5) | (worn > 0.5)).sum() > 0.85


def test_poses_turn_with_the_person_and_mirrored_ones_the_other_way() -> None:
    torch.manual_seed(0)
    estimator = PoseEstimator(32, 40, 16, turns=4, wide_view=True, bend=True).eval()
    assert estimator.bend is not None
    for layer in (estimator.logits, estimator.affine, estimator.bend):
        nn.init.normal_(layer.weight)
    nn.init.zeros_(estimator.usual.weight)
    person, ornament = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    box = torch.zeros(1, 1, 32, 32)
    box[..., 12:20, 12:20] = 1

    def look(quarters: int) -> Poses:
        turned = torch.rot90(person, quarters, (2, 3))
        view = WideView(image=turned, box_mask=box, factor=torch.ones(1))
        inputs = WarpInputs(turned * (1 - box), box, box, ornament, box, torch.zeros(1, 4, 32, 32), view)
        with torch.no_grad():
            return estimator(inputs)

    still, turned = look(0), look(1)
    quarter = torch.tensor([[0.0, 1.0], [-1.0, 0.0]])  # what rot90 does to a point, x to the right and y down
    for anchor in range(8):
        expected = still.linear[0, anchor] @ quarter.T
        found = (turned.linear[0] - expected).flatten(1).norm(dim=1)
        match = int(found.argmin())
        assert found[match] < 1e-4 and match // 4 == anchor // 4
        torch.testing.assert_close(turned.logits[0, match], still.logits[0, anchor], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(turned.bend[0, match], still.bend[0, anchor], rtol=1e-4, atol=1e-4)
        fields = turned.choose(torch.tensor([match])), still.choose(torch.tensor([anchor]))
        uv, before = (field.at(torch.zeros(1, 2, 32, 32)) for field in fields)
        torch.testing.assert_close(uv, torch.rot90(before, 1, (2, 3)), rtol=1e-3, atol=1e-3)
