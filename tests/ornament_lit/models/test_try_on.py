from dataclasses import replace

import pytest
import torch

from ornament_lit.batch import select_rows
from ornament_lit.losses import DiffusionLoss
from ornament_lit.losses.attention import ZeroAttentionLoss
from ornament_lit.models.autoencoders import SpaceToDepthAutoencoder
from ornament_lit.models.conditioning import encode_images
from ornament_lit.models.image_encoders import NoImageEncoder
from ornament_lit.models.mask_heads import BoxMaskHead
from ornament_lit.models.prompt_encoders import CategoryEmbedding
from ornament_lit.models.reference_features import ProjectedTokens
from ornament_lit.models.reference_nets import OrnamentUNetReferenceNet
from ornament_lit.pipeline.from_checkpoint import pipeline_of
from ornament_lit.utils.frozen import check_gradients

DENOISED = torch.tensor([0.25, 0.75])


@pytest.fixture
def model(build_module):
    return build_module().eval().model


def test_module_and_pipeline_hold_the_same_networks(build_module) -> None:
    module = build_module()
    pipeline = pipeline_of(module, resolution=32)
    assert pipeline.model is module.model and pipeline.unet is module.model.denoiser.unet


def test_noisy_versions_of_a_sample_are_denoised_as_each_alone(model, tiny_batch) -> None:
    batch = tiny_batch(2)
    conditioning = model.encode(batch)
    refinement = model.refine(conditioning)
    latents, timesteps = torch.randn(6, *conditioning.masked_person_latents.shape[1:]), torch.arange(6) * 100
    kept, layers = torch.tensor([True, False, True, True, True, False]), model.denoiser.self_attention_layers()[:1]
    together = model.denoise(latents, timesteps, conditioning, refinement, kept, layers)
    for rows in (slice(0, 2), slice(2, 4), slice(4, 6)):
        alone = model.denoise(latents[rows], timesteps[rows], conditioning, refinement, kept[rows], layers)
        torch.testing.assert_close(together.prediction[rows], alone.prediction, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(together.mass[layers[0]][rows], alone.mass[layers[0]], atol=1e-5, rtol=1e-4)


def test_projected_features_give_the_same(model, tiny_batch) -> None:
    conditioning = model.encode(tiny_batch(2))
    refinement = model.refine(conditioning)
    projected = model.project(refinement)
    assert all(isinstance(tokens, ProjectedTokens) for tokens in projected.features.tokens.values())
    latents, timesteps = torch.randn_like(conditioning.masked_person_latents), torch.tensor([10, 900])
    expected, got = (
        model.denoise(latents, timesteps, conditioning, each).prediction for each in (refinement, projected)
    )
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)
    conditional, _ = model.denoise_guided(latents, timesteps, conditioning, projected)
    torch.testing.assert_close(conditional, expected, atol=1e-5, rtol=1e-4)


def test_the_target_is_the_person_with_the_ornament_and_conditioning_does_not_look_at_it(model, tiny_batch) -> None:
    batch = tiny_batch(2)
    autoencoder = SpaceToDepthAutoencoder(4)
    assert torch.equal(model.encode_target(batch), autoencoder.encode(batch["person_image"]))
    hidden = batch["person_image"] * (1 - batch["box_mask"])
    assert torch.equal(model.encode(batch).masked_person_latents, autoencoder.encode(hidden))
    changed = {**batch, "person_image": batch["person_image"] + batch["box_mask"]}
    assert torch.equal(model.encode(changed).masked_person_latents, model.encode(batch).masked_person_latents)
    batch["encoded"] = encode_images(batch, autoencoder, NoImageEncoder())
    batch["encoded"]["person_latents"] = 0 * batch["encoded"]["person_latents"]
    assert not model.encode_target(batch).any(), "what was encoded beforehand is taken"


def test_the_warp_is_asked_only_if_it_is_wanted(build_module, build_warp, worn_batch) -> None:
    model, batch = build_module(warp=build_warp()).eval().model, worn_batch()
    asked, not_asked = model.encode(batch), model.encode(batch, ask_warp=False)
    assert asked.warp is not None and not_asked.warp is None and not_asked.warp_latents is None
    assert torch.equal(asked.masked_person_latents, not_asked.masked_person_latents)
    with torch.no_grad():
        alone = model.encode(select_rows(batch, [1]))
    torch.testing.assert_close(alone.warp_latents, asked.warp_latents[1:], atol=1e-4, rtol=1e-4)


def test_refinement_starts_where_it_is_told(model, tiny_batch) -> None:
    conditioning = replace(model.encode(tiny_batch(2)), denoised=DENOISED)
    everywhere = torch.ones_like(conditioning.box_mask)
    from_box, from_all = model.refine(conditioning), model.refine(conditioning, start=everywhere)
    assert torch.equal(from_box.mask, model.refine(conditioning, 0, conditioning.box_mask).mask)
    assert not torch.equal(from_box.logits[0], from_all.logits[0])


def test_decoded_images_are_in_range(model) -> None:
    images = model.decode(10 * torch.randn(2, 48, 8, 8))
    assert images.shape == (2, 3, 32, 32) and images.abs().max() == 1


@pytest.mark.parametrize("null_features", ["absent", "zero_latents"])
@pytest.mark.parametrize("timestep", ["denoising", "zero"])
def test_several_noises_of_a_sample_and_dropped_ornaments_fit_every_kind_of_reference(
    build_module, tiny_batch, timestep: str, null_features: str
) -> None:
    """A net that runs once serves all noises of a sample; one that runs for each of them is told so."""
    module = build_module(
        reference_net=OrnamentUNetReferenceNet(
            trained=True, timestep=timestep, prompt="denoiser", null_features=null_features
        ),
        prompt_encoder=CategoryEmbedding(2, 24),
        mask_head=BoxMaskHead(),
        attention_loss=ZeroAttentionLoss(),
        diffusion_loss=DiffusionLoss(num_noise_samples=2, condition_dropout=0.5),
    ).train()
    batch = tiny_batch(3)
    batch["sample_seed"] = torch.tensor([1, 4, 9])
    kept = module.diffusion_loss.add_noise(module.noise_scheduler, torch.zeros(3, 48, 8, 8), batch["sample_seed"], True)
    assert 0 < kept.keep_condition.sum() < 6
    losses, output = module.losses(batch)
    assert losses["noise"].isfinite()
    renewed = timestep == "denoising" or null_features == "zero_latents"
    assert len(output.refinement.features.ornament_map) == (6 if renewed else 3)
    losses["noise"].backward()
    check_gradients(module)


def test_a_prompt_alone_is_enough_for_a_cross_attention(build_module, tiny_batch) -> None:
    module = build_module(prompt_encoder=CategoryEmbedding(2, 24)).eval()
    batch = tiny_batch(2)
    with torch.no_grad():
        conditioning = module.model.encode(batch)
        assert conditioning.tokens().shape == (2, 2, 24)
        refinement = module.model.refine(conditioning)
        told = (torch.randn(2, 48, 8, 8), torch.tensor([3, 3]))
        one = module.model.denoise(*told, conditioning, refinement).prediction
        batch["category"] = batch["category"][::-1]
        other = module.model.denoise(*told, module.model.encode(batch), refinement).prediction
    assert not torch.allclose(one, other, atol=1e-4)
