import copy

import pytest
import torch
from conditions import told
from torch import Tensor

from ornament_lit.models.attention_layers import self_attention_layers
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.reference_nets import UNetReferenceNet


def attached(build_unet, layout: str, **options) -> UNetReferenceNet:
    net = UNetReferenceNet(layout=layout, **options)
    unet = Denoiser(build_unet(channels=4)).unet
    net.attach(unet)
    return net


def pictures() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(2, channels, 8, 8, generator=generator) for channels in (4, 1, 4, 1)]


@pytest.mark.parametrize("layout", ["rows", "canvas"])
def test_every_layer_of_the_denoiser_gets_tokens_of_its_shape(build_unet, layout: str) -> None:
    net = attached(build_unet, layout)
    features = net(*told(*pictures()))
    assert list(features.tokens) == self_attention_layers(build_unet(channels=4))
    sizes = {
        name: (tuple(tokens.ornament.shape), tuple(tokens.person.shape)) for name, tokens in features.tokens.items()
    }
    assert sizes["down_blocks.0.attentions.0.transformer_blocks.0.attn1"] == ((2, 64, 16), (2, 64, 16))
    assert sizes["mid_block.attentions.0.transformer_blocks.0.attn1"] == ((2, 16, 32), (2, 16, 32))
    assert features.ornament_map.shape == features.person_map.shape == (2, net.feature_channels, 8, 8)


@pytest.mark.parametrize("layout", ["rows", "canvas"])
def test_every_parameter_gets_a_gradient_from_tokens_and_maps(build_unet, layout: str) -> None:
    net = attached(build_unet, layout)
    features = net(*told(*pictures()))
    sum((tokens.ornament**2).sum() + (tokens.person**2).sum() for tokens in features.tokens.values()).backward()
    idle = [name for name, value in net.named_parameters() if value.grad is None or not value.grad.any()]
    assert idle == []


def test_rows_do_not_see_each_other_and_a_canvas_does(build_unet) -> None:
    ornament, ornament_mask, person, mask = pictures()
    for layout, sees in (("rows", False), ("canvas", True)):
        net = attached(build_unet, layout)
        one = net(*told(ornament, ornament_mask, person, mask)).person_map
        other = net(*told(-ornament, ornament_mask, person, mask)).person_map
        assert torch.equal(one, other) is not sees


def test_tokens_are_the_inputs_of_the_stock_layers(build_unet) -> None:
    """Captured tokens equal what hooks on an uncut copy of the UNet see, so the cut tail changes nothing."""
    net = attached(build_unet, "rows")
    stock = build_unet(channels=4)
    seen = {}
    for name in self_attention_layers(stock):
        stock.get_submodule(name).register_forward_pre_hook(
            lambda _, args, name=name: seen.setdefault(name, args[0].detach())
        )
    ornament, ornament_mask, person, mask = pictures()
    stock(torch.cat([ornament, person]), 0, encoder_hidden_states=torch.zeros(4, 1, 24))
    features = net(*told(ornament, ornament_mask, person, mask))
    for name, tokens in features.tokens.items():
        torch.testing.assert_close(torch.cat([tokens.ornament, tokens.person]), seen[name])


def test_the_copy_leaves_the_denoiser_as_it_was(build_unet) -> None:
    unet = Denoiser(build_unet(channels=4)).unet
    before = copy.deepcopy(unet.state_dict())
    UNetReferenceNet().attach(unet)
    assert before.keys() == unet.state_dict().keys()
    assert all(torch.equal(value, unet.state_dict()[name]) for name, value in before.items())


def test_decoder_blocks_behind_the_last_attention_are_removed(build_unet) -> None:
    unet = build_unet(
        channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )
    net = UNetReferenceNet()
    net.attach(Denoiser(unet).unet)
    assert len(net.unet.up_blocks) == 1
    features = net(*told(*pictures()))
    assert features.tokens["up_blocks.0.attentions.1.transformer_blocks.0.attn1"].person.shape == (2, 16, 32)
    assert features.person_map.shape == features.ornament_map.shape == (2, 32, 8, 8), "the maps have the latents' size"
    assert features.person_map.shape[1] == net.feature_channels


def test_gradients_are_equal_with_gradient_checkpointing(build_unet) -> None:
    gradients = []
    for checkpointing in (False, True):
        net = attached(build_unet, "canvas", gradient_checkpointing=checkpointing).train()
        features = net(*told(*pictures()))
        sum((tokens.person**2).sum() for tokens in features.tokens.values()).backward()
        gradients.append({name: value.grad for name, value in net.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], msg=name)


@pytest.mark.parametrize("of_denoiser", [False, True])
@pytest.mark.parametrize("of_reference", [False, True])
def test_gradient_checkpointing_is_that_of_the_net_and_not_of_the_denoiser(
    build_unet, of_denoiser: bool, of_reference: bool
) -> None:
    denoiser = Denoiser(build_unet(channels=4), gradient_checkpointing=of_denoiser)
    net = UNetReferenceNet(gradient_checkpointing=of_reference)
    net.attach(denoiser.unet)
    assert net.unet.is_gradient_checkpointing is of_reference
    assert denoiser.unet.is_gradient_checkpointing is of_denoiser


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(ValueError, match="rows or canvas, got 'both'"):
        UNetReferenceNet(layout="both")
