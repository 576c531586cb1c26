from dataclasses import replace

import pytest
import torch
from conditions import told
from diffusers import DDPMScheduler

from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.reference_features import ReferenceFeatures
from ornament_lit.models.reference_nets import UNetReferenceNet


def call(
    denoiser: Denoiser,
    tokens: torch.Tensor,
    features: ReferenceFeatures | None = None,
    warp_latents: torch.Tensor | None = None,
) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    noisy, erased = (torch.randn(2, 4, 8, 8, generator=generator) for _ in range(2))
    mask = torch.rand(2, 1, 8, 8, generator=generator)
    features = features or ReferenceFeatures(noisy[:, :0], noisy[:, :0])
    given = (erased, mask, tokens, features, mask)
    return denoiser(noisy, torch.tensor([3, 700]), *given, warp_latents=warp_latents).prediction


def test_without_reference_and_at_the_start_it_is_the_stock_unet(build_unet) -> None:
    tokens = torch.randn(2, 3, 24)
    noisy = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = build_unet(channels=4)(noisy, torch.tensor([3, 700]), encoder_hidden_states=tokens).sample
    assert torch.equal(call(Denoiser(build_unet(channels=4)), tokens), expected)


def test_an_inpainting_unet_is_taken_as_it_is(build_unet) -> None:
    unet = build_unet(channels=4, in_channels=9)
    weight = unet.conv_in.weight.clone()
    assert torch.equal(Denoiser(unet).unet.conv_in.weight, weight)


def test_another_number_of_input_channels_is_refused(build_unet) -> None:
    with pytest.raises(ValueError, match=r"4 input channels .* or 9 .*got in_channels=5"):
        Denoiser(build_unet(channels=4, in_channels=5))


def test_no_cross_attention_equals_one_zero_token(build_unet) -> None:
    whole, folded = Denoiser(build_unet(channels=4)), Denoiser(build_unet(channels=4))
    folded.drop_cross_attention()
    torch.testing.assert_close(call(folded, torch.zeros(2, 0, 0)), call(whole, torch.zeros(2, 1, 24)))


def test_context_tokens_are_appended_to_the_image_tokens(build_unet) -> None:
    denoiser = Denoiser(build_unet(channels=4))
    tokens = torch.randn(2, 5, 24)
    empty = torch.zeros(2, 0, 8, 8)
    split = ReferenceFeatures(empty, empty, context_tokens=tokens[:, 3:])
    torch.testing.assert_close(call(denoiser, tokens[:, :3], split), call(denoiser, tokens))


@pytest.mark.parametrize("direct_masking", [False, True])
def test_both_halves_of_a_guided_step_are_those_of_a_call_each(build_unet, direct_masking: bool) -> None:
    """With tokens of every layer, context tokens and residuals: everything that can be withheld."""
    denoiser = Denoiser(build_unet(channels=4), direct_masking=direct_masking)
    net = UNetReferenceNet("rows")
    net.attach(denoiser.unet)
    noisy, erased = torch.randn(2, 2, 4, 8, 8)
    mask, ornament_mask = torch.rand(2, 2, 1, 8, 8)
    residuals = tuple(torch.randn(2, *shape) for shape in [(16, 8, 8), (16, 8, 8), (16, 4, 4), (32, 4, 4), (32, 4, 4)])
    features = replace(net(*told(erased, ornament_mask, noisy, mask)), context_tokens=torch.randn(2, 3, 24))
    features = denoiser.project(replace(features, skip_residuals=residuals))
    shared, tokens = (noisy, torch.tensor([3, 700]), erased, mask), torch.randn(2, 4, 24)
    nothing = ReferenceFeatures(features.ornament_map, features.person_map)
    with torch.no_grad():
        conditional, unconditional = denoiser.guided(*shared, tokens, features, ornament_mask)
        expected = denoiser(*shared, tokens, features, ornament_mask).prediction
        alone = denoiser(*shared, torch.zeros_like(tokens), nothing, ornament_mask).prediction
    torch.testing.assert_close(conditional, expected)
    torch.testing.assert_close(unconditional, alone)
    assert not torch.allclose(conditional, unconditional, atol=1e-2)


def test_skip_residuals_reach_the_unet(build_unet) -> None:
    denoiser = Denoiser(build_unet(channels=4))
    tokens, empty = torch.randn(2, 3, 24), torch.zeros(2, 0, 8, 8)
    shapes = [(16, 8), (16, 8), (16, 4), (32, 4), (32, 4)]
    zeros = tuple(torch.zeros(2, channels, size, size) for channels, size in shapes)
    assert torch.equal(
        call(denoiser, tokens, ReferenceFeatures(empty, empty, skip_residuals=zeros)), call(denoiser, tokens)
    )
    ones = tuple(residual + 1 for residual in zeros)
    changed = call(denoiser, tokens, ReferenceFeatures(empty, empty, skip_residuals=ones))
    assert not torch.allclose(changed, call(denoiser, tokens))


def warped(seed: int = 5) -> torch.Tensor:
    """Latents of a composite, and a coverage."""
    return torch.rand(2, 5, 8, 8, generator=torch.Generator().manual_seed(seed))


def test_what_a_warp_says_is_not_looked_at_in_the_beginning_and_is_later(build_unet) -> None:
    plain, looking = Denoiser(build_unet(channels=4)), Denoiser(build_unet(channels=4), warp_condition=True)
    assert looking.input_channels == 14 and looking.unet.config.in_channels == 14
    tokens = torch.randn(2, 3, 24)
    torch.testing.assert_close(call(looking, tokens, warp_latents=warped()), call(plain, tokens))
    assert torch.equal(looking.unet.conv_in.weight[:, 9:], torch.zeros(16, 5, 3, 3))
    torch.nn.init.normal_(looking.unet.conv_in.weight)
    one, other = (call(looking, tokens, warp_latents=warped(seed)) for seed in (5, 6))
    assert not torch.allclose(one, other, atol=1e-2)
    inpainting = Denoiser(build_unet(channels=4, in_channels=9), warp_condition=True)
    assert inpainting.unet.config.in_channels == 14
    ready = build_unet(channels=4, in_channels=14)
    weight = ready.conv_in.weight.clone()
    assert torch.equal(Denoiser(ready, warp_condition=True).unet.conv_in.weight, weight)


@pytest.mark.parametrize("known_pixels", [False, True])
def test_guidance_withholds_what_a_warp_says(build_unet, known_pixels: bool) -> None:
    unet = build_unet(channels=4, in_channels=14)
    denoiser = Denoiser(unet, warp_condition=True, known_pixels=known_pixels)
    noisy, erased = torch.randn(2, 2, 4, 8, 8)
    mask, ornament_mask, box = torch.rand(3, 2, 1, 8, 8)
    features, tokens = ReferenceFeatures(noisy[:, :0], noisy[:, :0]), torch.randn(2, 4, 24)
    shared, more = (noisy, torch.tensor([3, 700]), erased, mask), {"box_mask": box.round(), "warp_latents": warped()}
    with torch.no_grad():
        conditional, unconditional = denoiser.guided(*shared, tokens, features, ornament_mask, **more)
        expected = denoiser(*shared, tokens, features, ornament_mask, **more).prediction
        none = torch.tensor([False, False])
        alone = denoiser(*shared, tokens, features, ornament_mask, **more, keep_condition=none).prediction
    torch.testing.assert_close(conditional, expected)
    torch.testing.assert_close(unconditional, alone)
    assert not torch.allclose(conditional, unconditional, atol=1e-2)


def test_an_untrained_residual_draws_the_composite(build_unet) -> None:
    denoiser = Denoiser(build_unet(channels=4), warp_condition=True, warp_residual=True, input_skip=True)
    tokens, said = torch.randn(2, 3, 24), warped()
    assert torch.equal(call(denoiser, tokens, warp_latents=said), said[:, :4])
    torch.nn.init.normal_(denoiser.unet.conv_out.weight)
    changed = call(denoiser, tokens, warp_latents=said)
    whole = Denoiser(denoiser.unet, warp_condition=True, input_skip=True)
    torch.testing.assert_close(changed, call(whole, tokens, warp_latents=said) + said[:, :4])
    assert whole.unet.conv_out.weight.any(), "a UNet that fits already keeps its weights"


def test_a_residual_needs_a_composite_and_a_scheduler_of_latents(build_unet) -> None:
    with pytest.raises(ValueError, match="set warp_condition to true"):
        Denoiser(build_unet(channels=4), warp_residual=True)
    denoiser = Denoiser(build_unet(channels=4), warp_condition=True, warp_residual=True)
    denoiser.check(DDPMScheduler(prediction_type="sample"))
    with pytest.raises(ValueError, match=r"prediction_type: sample, got epsilon.*warp_residual to false"):
        denoiser.check(DDPMScheduler())


def test_without_a_warp_there_is_nothing_to_look_at(build_unet) -> None:
    denoiser = Denoiser(build_unet(channels=4), warp_condition=True)
    with pytest.raises(ValueError, match=r"warp_condition needs a warp.*set model.warp"):
        call(denoiser, torch.randn(2, 3, 24))
