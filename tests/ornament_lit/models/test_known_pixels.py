"""Known pixels: clean latents outside of the box, in training and in sampling."""

import pytest
import torch

from ornament_lit.diffusion.sampler import Sampler
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.known_pixels import NothingKnown, OutsideBoxKnown


def test_only_what_the_box_touches_is_drawn() -> None:
    latents, erased = torch.ones(1, 2, 1, 3), torch.zeros(1, 2, 1, 3)
    box = torch.tensor([[[[1.0, 0.25, 0.0]]]])
    known = OutsideBoxKnown()
    assert known.insert(latents, erased, box)[0, 1, 0].tolist() == [1, 1, 0]
    unknown = known.unknown(box)
    assert unknown is not None and unknown.flatten().tolist() == [1, 1, 0]
    with pytest.raises(ValueError, match="give box_mask"):
        known.insert(latents, erased, None)
    assert NothingKnown().insert(latents, erased, None) is latents and NothingKnown().unknown(box) is None


def test_the_denoiser_sees_no_noise_outside_and_the_loss_counts_the_inside(
    build_module, build_unet, tiny_batch
) -> None:
    batch = tiny_batch()
    module = build_module(denoiser=Denoiser(build_unet(), known_pixels=True)).train()
    seen = {}
    module.model.denoiser.unet.register_forward_hook(
        lambda _, args, output: seen.update(inputs=args[0], output=output[0])
    )
    losses, _ = module.losses(batch)
    conditioning = module.model.encode(batch)
    inside = (conditioning.box_mask > 0).expand_as(conditioning.masked_person_latents)
    assert torch.equal(seen["inputs"][:, :48][~inside], conditioning.masked_person_latents[~inside])
    assert not torch.allclose(seen["inputs"][:, :48][inside], conditioning.masked_person_latents[inside])
    errors = (seen["output"] - module.model.autoencoder.encode(batch["person_image"])).square()
    torch.testing.assert_close(losses["noise"], errors[inside].mean())


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_a_drawing_has_the_person_outside_of_the_box(build_module, build_unet, tiny_batch, scale: float) -> None:
    batch = tiny_batch()
    module = build_module(denoiser=Denoiser(build_unet(), known_pixels=True), sampler=Sampler(2, scale)).eval()
    image = module.predict_step(batch, 0)["image"]
    outside = (batch["box_mask"] == 0).expand_as(image)
    assert torch.equal(image[outside], batch["person_image"][outside])
    assert not torch.allclose(image[~outside], batch["person_image"][~outside], atol=0.1)
