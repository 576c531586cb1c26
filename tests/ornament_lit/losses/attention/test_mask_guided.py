import pytest
import torch

from ornament_lit.losses.attention import MaskGuidedAttentionLoss, ZeroAttentionLoss
from ornament_lit.models.denoiser import Denoiser


def test_a_mass_equal_to_the_mask_costs_nothing() -> None:
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., :2, 2:] = 1
    loss, attention_mask = MaskGuidedAttentionLoss()({"layer": mask.flatten(2).transpose(1, 2)}, mask)
    assert loss == 0 and torch.equal(attention_mask, mask)


def test_maps_are_averaged_over_layers_and_compared_by_mean_squared_error() -> None:
    low, high = torch.full((1, 4, 1), 0.25), torch.full((1, 16, 1), 0.75)
    mask = torch.ones(1, 1, 8, 8)
    loss, attention_mask = MaskGuidedAttentionLoss()({"a": low, "b": high}, mask)
    torch.testing.assert_close(attention_mask, torch.full((1, 1, 8, 8), 0.5))
    assert loss == pytest.approx(0.25)


def test_no_mass_is_an_error_with_a_way_out() -> None:
    with pytest.raises(ValueError, match="use ZeroAttentionLoss otherwise"):
        MaskGuidedAttentionLoss()({}, torch.ones(1, 1, 8, 8))


def test_the_layers_of_the_highest_resolution_are_asked_for(build_unet) -> None:
    denoiser = Denoiser(build_unet())
    assert MaskGuidedAttentionLoss().layers(denoiser) == denoiser.highest_resolution_layers()
    assert ZeroAttentionLoss().layers(denoiser) == []
