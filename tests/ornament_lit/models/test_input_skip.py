import torch
from torch import nn

from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.input_skip import InputSkip, NoInputSkip


def test_it_starts_as_nothing_and_has_gradients() -> None:
    prediction, inputs = torch.randn(2, 4, 8, 8), torch.randn(2, 9, 8, 8)
    skip = InputSkip(9, 4)
    got = skip(prediction, inputs, torch.tensor([3, 700]))
    assert torch.equal(got, prediction) and NoInputSkip()(prediction, inputs, torch.zeros(2)) is prediction
    got.square().sum().backward()
    assert skip.weight.grad.any() and skip.time_weight.grad is not None


def test_it_learns_to_hand_on_what_is_clean_and_not_what_is_noisy() -> None:
    """With little noise the best prediction of the latents is the noisy ones; with much, 0."""
    torch.manual_seed(0)
    skip = InputSkip(3, 1)
    optimizer = torch.optim.Adam(skip.parameters(), 0.02)
    for _ in range(400):
        clean, noise, timesteps = torch.randn(64, 1, 4, 4), torch.randn(64, 1, 4, 4), torch.tensor([0, 999] * 32)
        noisy = torch.where(timesteps.view(-1, 1, 1, 1) > 0, noise, clean)
        prediction = skip(torch.zeros(64, 1, 4, 4), torch.cat([noisy, torch.zeros(64, 2, 4, 4)], 1), timesteps)
        loss = nn.functional.mse_loss(prediction, clean)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.52, "half of the samples can be predicted; a fixed linear map would lose 0.75 at best"


def test_a_denoiser_with_it_starts_as_one_without(build_module, build_unet, tiny_batch) -> None:
    plain, skipping = (build_module(denoiser=Denoiser(build_unet(), input_skip=value)) for value in (False, True))
    one, other = (module.losses(tiny_batch())[0] for module in (plain, skipping))
    assert all(torch.equal(one[name], other[name]) for name in one)
    names = {name for name, _ in skipping.named_parameters()} - {name for name, _ in plain.named_parameters()}
    assert names == {"model.denoiser.skip.weight", "model.denoiser.skip.time_weight"}
