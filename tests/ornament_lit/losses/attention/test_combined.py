import pytest
import torch

from ornament_lit.batch import Correspondence, select_rows
from ornament_lit.losses import DiffusionLoss
from ornament_lit.losses.attention import (
    CombinedAttentionLoss,
    CorrespondenceAttentionLoss,
    ExpectedPositionLoss,
    MaskGuidedAttentionLoss,
)
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.module import TryOnModule


def with_correspondence(batch):
    known = batch["wearing_mask"]
    uv = torch.rand(len(known), 2, *known.shape[-2:], generator=torch.Generator().manual_seed(0)) * 2 - 1
    truth = Correspondence(uv=uv * (known > 0), known=known, seen=known)
    return {**batch, "correspondence": truth}


def test_it_is_the_weighted_sum_and_asks_each_layer_once(build_module, tiny_batch) -> None:
    batch = with_correspondence(tiny_batch())
    parts = [MaskGuidedAttentionLoss, ExpectedPositionLoss, CorrespondenceAttentionLoss]
    alone = [build_module(attention_loss=part()).losses(batch) for part in parts]
    combined = CombinedAttentionLoss([part() for part in parts], [1.0, 0.3, 0.05])
    module = build_module(attention_loss=combined)
    assert module.mass_layers == module.model.denoiser.highest_resolution_layers()
    losses, seen = module.losses(batch)
    values = [losses["attention"].detach() for losses, _ in alone]
    torch.testing.assert_close(losses["attention"].detach(), values[0] + 0.3 * values[1] + 0.05 * values[2])
    assert all(value > 0 for value in values)
    assert torch.equal(seen.attention_mask, alone[0][1].attention_mask)
    assert torch.equal(losses["noise"], alone[0][0]["noise"])


def test_training_lowers_all_of_them(build_module, tiny_batch) -> None:
    batch = with_correspondence(tiny_batch())
    losses = [MaskGuidedAttentionLoss(), ExpectedPositionLoss(), CorrespondenceAttentionLoss()]
    loss = DiffusionLoss(num_noise_samples=2)
    module: TryOnModule = build_module(attention_loss=CombinedAttentionLoss(losses), diffusion_loss=loss).train()
    optimizer = torch.optim.Adam(module.parameters(), 3e-3)
    values = []
    for _ in range(12):
        loss = module.losses(batch)[0]["attention"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < 0.9 * values[0]


def test_a_sample_counts_the_same_in_any_batch(build_module, tiny_batch) -> None:
    """And one without a correspondence adds nothing."""
    batch = with_correspondence(tiny_batch(3))
    batch["correspondence"]["known"][1], batch["correspondence"]["seen"][1] = 0, 0
    module = build_module(
        attention_loss=CombinedAttentionLoss([ExpectedPositionLoss(), CorrespondenceAttentionLoss()])
    ).eval()
    alone = [module.losses(select_rows(batch, [row]))[0]["attention"] for row in range(3)]
    assert alone[1] == 0 and alone[0] > 0
    torch.testing.assert_close(module.losses(batch)[0]["attention"], torch.stack(alone).mean())


def test_two_that_ask_the_same_layer_for_points_are_refused(build_unet, tiny_batch) -> None:
    twice = CombinedAttentionLoss([CorrespondenceAttentionLoss(), CorrespondenceAttentionLoss(num_points=3)])
    with pytest.raises(ValueError, match="one loss alone may ask"):
        twice.points(Denoiser(build_unet()), with_correspondence(tiny_batch()))


@pytest.mark.parametrize(("losses", "weights"), [([], None), ([MaskGuidedAttentionLoss()], [1.0, 2.0])])
def test_weights_that_do_not_fit(losses, weights) -> None:
    with pytest.raises(ValueError, match="one weight for each"):
        CombinedAttentionLoss(losses, weights)
    with pytest.raises(ValueError, match="not negative"):
        CombinedAttentionLoss([MaskGuidedAttentionLoss()], [-1.0])
