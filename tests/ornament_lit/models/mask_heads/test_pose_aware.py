import pytest
import torch
from torch import Tensor

from ornament_lit.models.mask_heads import BoxMaskHead, PoseAwareMaskHead
from ornament_lit.models.mask_heads.pose_aware import PRIOR
from ornament_lit.models.reference_features import ReferenceFeatures


def reference(input_mask: Tensor) -> ReferenceFeatures:
    """One channel: the person is 2 everywhere, the ornament is 10 in the first column."""
    person = torch.full_like(input_mask, 2.0)
    ornament = torch.zeros_like(input_mask)
    ornament[..., 0] = 10.0
    return ReferenceFeatures(ornament, person)


def linear_head(**options) -> PoseAwareMaskHead:
    """M_hat = sigmoid(f_m M - 1 + 0.1 f_o)."""
    head = PoseAwareMaskHead(hidden_channels=0, **options)
    head.attach(1)
    head.mlp[0].weight.data = torch.tensor([1.0, 0.1]).view(1, 2, 1, 1)
    head.mlp[0].bias.data.fill_(-1.0)
    return head


BOX = torch.tensor([[1.0, 1.0], [0.0, 0.0]])[None, None]


def test_two_iterations_by_hand() -> None:
    refinement = linear_head(num_iterations=2)(reference, BOX, step=0)
    first = torch.tensor([[2.0, 1.0], [0.0, -1.0]]).sigmoid()
    torch.testing.assert_close(refinement.predictions[0][0, 0], first)
    second = (2 * first - 1 + torch.tensor([[1.0, 0.0], [1.0, 0.0]])).sigmoid()
    torch.testing.assert_close(refinement.predictions[1][0, 0], second)
    torch.testing.assert_close(refinement.mask[0, 0], second)


def test_a_small_alpha_trusts_the_box() -> None:
    head = linear_head(num_iterations=1, alpha_start=0.25, alpha_steps=10)
    prediction = torch.tensor([[2.0, 1.0], [0.0, -1.0]]).sigmoid()
    torch.testing.assert_close(head(reference, BOX, step=0).mask[0, 0], 0.25 * prediction + 0.75 * BOX[0, 0])
    torch.testing.assert_close(head(reference, BOX, step=10).mask[0, 0], prediction)


def test_alpha_grows_over_training_or_over_iterations() -> None:
    over_training = PoseAwareMaskHead(alpha_start=0.2, alpha_steps=10)
    assert [round(over_training.alpha(1, step), 3) for step in (0, 5, 10, 20)] == [0.2, 0.6, 1.0, 1.0]
    over_iterations = PoseAwareMaskHead(num_iterations=3, alpha_start=0.2, alpha_over="iterations")
    assert [round(over_iterations.alpha(iteration, 0), 3) for iteration in (1, 2, 3)] == [0.2, 0.6, 1.0]


def test_alpha_grows_over_the_denoising_for_each_sample_by_itself() -> None:
    head = linear_head(num_iterations=1, alpha_start=0.2, alpha_over="denoising", alpha_steps=10)
    box, denoised = BOX.expand(3, -1, -1, -1), torch.tensor([0.0, 0.5, 1.0])
    prediction = torch.tensor([[2.0, 1.0], [0.0, -1.0]]).sigmoid()
    masks = head(reference, box, step=10, denoised=denoised).mask
    for mask, alpha in zip(masks, (0.2, 0.6, 1.0), strict=True):
        torch.testing.assert_close(mask[0], alpha * prediction + (1 - alpha) * BOX[0, 0])
    assert torch.equal(head(reference, box, step=10).mask, masks[:1].expand(3, -1, -1, -1)), "before it begins"
    assert torch.equal(
        linear_head(num_iterations=1)(reference, box, step=0, denoised=denoised).mask, masks[2:].repeat(3, 1, 1, 1)
    )


@pytest.mark.parametrize(("rerun", "calls"), [(False, 1), (True, 3)])
def test_the_reference_net_runs_once_or_once_an_iteration(rerun: bool, calls: int) -> None:
    masks = []

    def counting(input_mask: Tensor) -> ReferenceFeatures:
        masks.append(input_mask)
        return reference(input_mask)

    linear_head(num_iterations=3, rerun_reference=rerun)(counting, BOX, step=0)
    assert len(masks) == calls and torch.equal(masks[0], BOX)


def test_upscaled_masks_are_finer_than_the_tokens() -> None:
    head = PoseAwareMaskHead(num_iterations=2, hidden_channels=4, kernel_size=3, upscale=4)
    head.attach(1)
    refinement = head(reference, BOX, step=0)
    assert [tuple(logits.shape) for logits in refinement.logits] == [(1, 1, 8, 8)] * 2
    assert refinement.mask.shape == BOX.shape


@pytest.mark.parametrize("hidden_channels", [0, 8])
def test_masks_begin_at_the_share_that_ornaments_have(hidden_channels: int) -> None:
    head = PoseAwareMaskHead(num_iterations=1, hidden_channels=hidden_channels)
    head.attach(3)
    torch.nn.init.zeros_(head.mlp[-1].weight)
    features = ReferenceFeatures(torch.randn(1, 3, 4, 4), torch.randn(1, 3, 4, 4))
    prediction = head(lambda mask: features, torch.ones(1, 1, 4, 4), 0).predictions[0]
    torch.testing.assert_close(prediction, torch.full((1, 1, 4, 4), PRIOR))


def test_the_loss_is_the_mean_squared_error_of_all_iterations() -> None:
    head = linear_head(num_iterations=2)
    refinement = head(reference, BOX, step=0)
    target = torch.rand(1, 1, 2, 2)
    expected = torch.stack([(prediction - target).square().mean() for prediction in refinement.predictions]).mean()
    torch.testing.assert_close(head.loss(refinement, target.repeat_interleave(2, 2).repeat_interleave(2, 3)), expected)


def test_the_mask_for_the_denoiser_has_no_gradient() -> None:
    refinement = linear_head(num_iterations=1)(reference, BOX, step=0)
    assert refinement.logits[0].requires_grad and not refinement.mask.requires_grad


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_iterations": 0}, "at least 1, got 0; use BoxMaskHead"),
        ({"kernel_size": 2}, "must be odd, got 2"),
        ({"alpha_start": 1.5}, r"must lie in \[0, 1\], got 1.5"),
        ({"alpha_over": "drawing"}, "training, iterations, denoising, got 'drawing'"),
    ],
)
def test_bad_options_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PoseAwareMaskHead(**options)


def test_no_feature_maps_is_an_error_with_a_way_out() -> None:
    with pytest.raises(ValueError, match="use BoxMaskHead without one"):
        PoseAwareMaskHead().attach(0)


def test_box_head_returns_the_box() -> None:
    head = BoxMaskHead()
    refinement = head(reference, BOX, step=0)
    assert refinement.mask is BOX and refinement.predictions == ()
    assert head.loss(refinement, BOX) == 0
