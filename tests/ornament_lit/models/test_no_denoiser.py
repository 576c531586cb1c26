"""NoDenoiser: a module that trains a warp alone."""

import pytest
import torch

from ornament_lit.diffusion.sampler import Sampler
from ornament_lit.losses.attention import ZeroAttentionLoss
from ornament_lit.models.mask_heads import BoxMaskHead
from ornament_lit.models.no_denoiser import NoDenoiser
from ornament_lit.models.reference_nets import NoReferenceNet, UNetReferenceNet


@pytest.fixture
def parts() -> dict[str, object]:
    return {
        "denoiser": NoDenoiser(),
        "reference_net": NoReferenceNet(),
        "mask_head": BoxMaskHead(),
        "attention_loss": ZeroAttentionLoss(),
        "sampler": Sampler(strength=0.0),
    }


def test_the_composite_is_drawn(build_module, build_warp, worn_batch, parts) -> None:
    module = build_module(**parts, warp=build_warp()).eval()
    batch = worn_batch()
    drawn = module.predict_step(batch, 0)
    conditioning = module.model.encode(batch)
    torch.testing.assert_close(drawn["image"], conditioning.warp.composite.clamp(-1, 1))
    assert torch.equal(drawn["mask"], conditioning.warp.coverage) and drawn["mask_predictions"].shape[0] == 1
    assert torch.equal(drawn["correspondence"], conditioning.warp.uv)


def test_the_warp_alone_gets_gradients_and_all_of_it_does(build_module, build_warp, worn_batch, parts) -> None:
    module = build_module(**parts, warp=build_warp())
    losses, _ = module.losses(worn_batch())
    assert set(losses) == {"noise", "mask", "attention", "warp"}
    assert not any(losses[name].requires_grad for name in ("noise", "mask", "attention"))
    torch.stack(list(losses.values())).sum().backward()
    names = {name for name, value in module.named_parameters() if value.grad is not None}
    assert names == {name for name, _ in module.named_parameters()} and all(
        name.startswith("model.warp.") for name in names
    )


def test_steps_are_refused(build_module, build_warp, worn_batch, parts) -> None:
    with pytest.raises(ValueError, match=r"set model.sampler.init_args.strength to 0"):
        build_module(**{**parts, "sampler": None}, warp=build_warp())
    module = build_module(**parts, warp=build_warp()).eval()
    with pytest.raises(ValueError, match=r"set model.sampler.init_args.strength to 0"):
        module.generate(worn_batch(), Sampler(2, 2.0))


def test_parts_that_need_a_unet_are_refused(build_module, parts) -> None:
    with pytest.raises(ValueError, match=r"NoDenoiser has none; set model.reference_net=NoReferenceNet"):
        build_module(**{**parts, "reference_net": UNetReferenceNet()})
