import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ornament_lit.models.attention import (
    AttentionContext,
    attention_with_mass,
    direct_mask,
    given_keys,
    mask_to_tokens,
    project_tokens,
)
from ornament_lit.models.attention_layers import highest_resolution_layers, install_processors, self_attention_layers
from ornament_lit.models.mask_refinement import resize_mask
from ornament_lit.models.reference_features import LayerTokens


def explicit(query: Tensor, key: Tensor, value: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """The same by the attention map, as the paper writes it."""
    attention = (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).softmax(-1)
    return attention @ value, (attention @ columns[:, None]).mean(1)


def inputs(dim: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(2, 3, 16, dim, generator=generator, dtype=torch.float64)
    key = torch.randn(2, 3, 48, dim, generator=generator, dtype=torch.float64)
    value = torch.randn(2, 3, 48, dim, generator=generator, dtype=torch.float64)
    columns = torch.rand(2, 48, 1, generator=generator, dtype=torch.float64)
    return [tensor.to(dtype).requires_grad_() for tensor in (query, key, value)] + [columns.to(dtype)]


@pytest.mark.parametrize("dim", [8, 12, 40, 80])
def test_mass_output_and_gradients_equal_the_explicit_map_in_float64(dim: int) -> None:
    ours, reference = inputs(dim), inputs(dim)
    weights = torch.randn(2, 3, 16, dim, dtype=torch.float64), torch.randn(2, 16, 1, dtype=torch.float64)
    for tensors, function in ((ours, attention_with_mass), (reference, explicit)):
        output, mass = function(*tensors)
        ((output * weights[0]).sum() + (mass * weights[1]).sum()).backward()
    for got, expected in zip(attention_with_mass(*ours), explicit(*reference), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)
    for got, expected in zip(ours[:3], reference[:3], strict=True):
        torch.testing.assert_close(got.grad, expected.grad, rtol=1e-10, atol=1e-12)


def test_mass_of_two_queries_by_hand() -> None:
    query = torch.tensor([[[[0.0], [1.0]]]])
    key = torch.tensor([[[[0.0], [torch.log(torch.tensor(3.0))]]]])
    _, mass = attention_with_mass(query, key, torch.zeros(1, 1, 2, 1), torch.tensor([[[0.0], [1.0]]]), scale=1.0)
    torch.testing.assert_close(mass[0, :, 0], torch.tensor([1 / 2, 3 / 4]))


def test_bfloat16_is_close_to_float64_and_keeps_the_dtype() -> None:
    columns = inputs(40)[-1]
    output, mass = attention_with_mass(*[tensor.detach() for tensor in inputs(40, torch.bfloat16)[:3]], columns)
    assert output.dtype == mass.dtype == torch.bfloat16
    expected_output, expected_mass = explicit(*inputs(40))
    assert (output.double() - expected_output).norm() / expected_output.norm() < 0.02
    assert (mass.double() - expected_mass).abs().max() < 0.01


@pytest.mark.parametrize("dim", [20, 40, 64, 80])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("dropped", [False, True])
def test_a_fused_kernel_is_chosen(dim: int, dtype: torch.dtype, dropped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    math_backend = torch.nn.attention.SDPBackend.MATH.value
    chosen = []

    def record(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None, scale: float) -> Tensor:
        chosen.append(torch._fused_sdp_choice(query, key, value, attn_mask, scale=scale))
        return real(query, key, value, attn_mask, scale=scale)

    real = F.scaled_dot_product_attention
    monkeypatch.setattr(F, "scaled_dot_product_attention", record)
    allowed = given_keys(torch.tensor([True, False]), 16, 48) if dropped else None
    output, _ = attention_with_mass(*inputs(dim, dtype), allowed=allowed)
    output.sum().backward()
    assert chosen and math_backend not in chosen
    query, key, value, columns = inputs(dim, dtype)
    wider = torch.cat([value, columns[:, None].expand(2, 3, 48, 1)], -1)
    assert torch._fused_sdp_choice(query, key, wider) == math_backend, "the trap that the padding avoids is gone"


def test_more_columns_than_fit_are_refused() -> None:
    query = torch.zeros(1, 1, 4, 8)
    with pytest.raises(ValueError, match="at most 8 columns"):
        attention_with_mass(query, query, query, torch.zeros(1, 4, 9))


def test_mask_to_tokens_averages_areas_row_by_row() -> None:
    mask = torch.tensor([[1.0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]])[None, None]
    assert mask_to_tokens(mask, 4)[0, :, 0].tolist() == [1.0, 0.0, 0.0, 0.25]
    assert mask_to_tokens(mask, 16)[0, :, 0].tolist() == mask.flatten().tolist()


def test_layers_are_ordered_and_the_highest_resolution_is_found(build_unet) -> None:
    unet = build_unet(block_out_channels=(16, 32), layers_per_block=1)
    assert self_attention_layers(unet) == [
        "down_blocks.0.attentions.0.transformer_blocks.0.attn1",
        "down_blocks.1.attentions.0.transformer_blocks.0.attn1",
        "mid_block.attentions.0.transformer_blocks.0.attn1",
        "up_blocks.0.attentions.0.transformer_blocks.0.attn1",
        "up_blocks.0.attentions.1.transformer_blocks.0.attn1",
        "up_blocks.1.attentions.0.transformer_blocks.0.attn1",
        "up_blocks.1.attentions.1.transformer_blocks.0.attn1",
    ]
    assert highest_resolution_layers(unet) == [
        "down_blocks.0.attentions.0.transformer_blocks.0.attn1",
        "up_blocks.1.attentions.0.transformer_blocks.0.attn1",
        "up_blocks.1.attentions.1.transformer_blocks.0.attn1",
    ]


def test_stable_diffusion_has_five_layers_of_the_highest_resolution() -> None:
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=768)
    assert [name.split(".trans")[0] for name in highest_resolution_layers(unet)] == [
        "down_blocks.0.attentions.0",
        "down_blocks.0.attentions.1",
        "up_blocks.3.attentions.0",
        "up_blocks.3.attentions.1",
        "up_blocks.3.attentions.2",
    ]


def run_layer(unet, context: AttentionContext, hidden: Tensor) -> Tensor:
    layer = unet.get_submodule("down_blocks.0.attentions.0.transformer_blocks.0.attn1")
    return layer(hidden, context=context)


def test_layer_with_reference_equals_the_explicit_attention(build_unet) -> None:
    unet = build_unet().double()
    install_processors(unet)
    name = "down_blocks.0.attentions.0.transformer_blocks.0.attn1"
    layer = unet.get_submodule(name)
    hidden, ornament, person = (torch.randn(2, 16, 16, dtype=torch.float64) for _ in range(3))
    mask = torch.rand(2, 1, 4, 4, dtype=torch.float64)
    context = AttentionContext({name: LayerTokens(ornament, person)}, mask, frozenset([name]))
    output = run_layer(unet, context, hidden)

    keys = torch.cat([hidden, ornament, person], 1)
    query, key, value = (
        projection(tokens).unflatten(-1, (2, 8)).transpose(1, 2)
        for projection, tokens in ((layer.to_q, hidden), (layer.to_k, keys), (layer.to_v, keys))
    )
    columns = torch.cat([torch.zeros(2, 16), mask.flatten(1), torch.zeros(2, 16)], 1).double()[..., None]
    expected, expected_mass = explicit(query, key, value, columns)
    torch.testing.assert_close(output, layer.to_out[0](expected.transpose(1, 2).flatten(2)))
    torch.testing.assert_close(context.mass[name], expected_mass)
    unmeasured = run_layer(unet, AttentionContext({name: LayerTokens(ornament, person)}, mask), hidden)
    torch.testing.assert_close(unmeasured, output)


def test_layer_without_tokens_is_the_stock_layer(build_unet) -> None:
    stock, ours = build_unet(), build_unet()
    install_processors(ours)
    hidden = torch.randn(2, 16, 16)
    layer = stock.get_submodule("down_blocks.0.attentions.0.transformer_blocks.0.attn1")
    assert torch.equal(run_layer(ours, AttentionContext(), hidden), layer(hidden))


@pytest.mark.parametrize("measured", [False, True])
def test_a_sample_that_is_not_given_its_reference_attends_as_without_one(build_unet, measured: bool) -> None:
    unet = build_unet()
    install_processors(unet)
    name = "down_blocks.0.attentions.0.transformer_blocks.0.attn1"
    hidden, ornament, person = (torch.randn(2, 16, 16) for _ in range(3))
    tokens, mask = {name: LayerTokens(ornament, person)}, torch.ones(2, 1, 4, 4)
    layers = frozenset([name] if measured else [])
    context = AttentionContext(tokens, mask, layers, keep_condition=torch.tensor([True, False]))
    output = run_layer(unet, context, hidden)
    torch.testing.assert_close(output[0], run_layer(unet, AttentionContext(tokens, mask), hidden)[0])
    torch.testing.assert_close(output[1], run_layer(unet, AttentionContext(), hidden)[1])
    if measured:
        assert context.mass[name][0].min() > 0 and context.mass[name][1].abs().max() == 0


def test_projected_tokens_give_the_same_as_tokens(build_unet) -> None:
    unet = build_unet()
    install_processors(unet)
    name = "down_blocks.0.attentions.0.transformer_blocks.0.attn1"
    tokens = LayerTokens(torch.randn(2, 16, 16), torch.randn(2, 4, 16))
    hidden, mask = torch.randn(2, 16, 16), torch.rand(2, 1, 4, 4)
    contexts = [
        AttentionContext({name: given}, mask, frozenset([name]))
        for given in (tokens, project_tokens(unet.get_submodule(name), tokens))
    ]
    assert torch.equal(*(run_layer(unet, context, hidden) for context in contexts))
    assert torch.equal(*(context.mass[name] for context in contexts))


def test_direct_mask_lets_only_inner_queries_see_the_masked_ornament() -> None:
    ornament = torch.tensor([1.0, 0, 0, 0]).view(1, 1, 2, 2)
    wearing = torch.tensor([0.0, 1, 0, 0]).view(1, 1, 2, 2)
    weights = direct_mask(AttentionContext(ornament_mask=ornament, visible_from=wearing), 4, 12, 4)[0, 0].exp()
    expected = torch.ones(4, 12)
    expected[:, 4:8] = 0
    expected[1, 4] = 1
    assert torch.equal(weights, expected)


def test_direct_mask_keeps_a_line_of_one_pixel_at_the_lowest_resolution() -> None:
    """At 64 pixels, latents of 16 x 16 and layers of 4 x 4 tokens: column 2 of the ornament, row 1 of the person."""
    picture = torch.zeros(2, 1, 1, 64, 64)
    picture[0, ..., 37] = picture[1, ..., 25, :] = 1
    ornament, wearing = (resize_mask(each, like=torch.empty(16, 16)) for each in picture)
    assert mask_to_tokens(ornament, 16).max() < 0.1, "by its mean it is not there"
    weights = direct_mask(AttentionContext(ornament_mask=ornament, visible_from=wearing), 16, 48, 16)[0, 0].exp()
    rows, columns = torch.arange(16) // 4, torch.arange(16) % 4
    expected = ((rows == 1)[:, None] & (columns == 2)[None]) * 0.25
    torch.testing.assert_close(weights[:, 16:32], expected)
    assert weights[:, :16].eq(1).all() and weights[:, 32:].eq(1).all()


@pytest.mark.parametrize("seen", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("given", [None, torch.tensor([True, False])])
def test_direct_masking_multiplies_the_attention_by_the_mask(build_unet, seen: float, given: Tensor | None) -> None:
    unet = build_unet()
    install_processors(unet)
    name = "down_blocks.0.attentions.0.transformer_blocks.0.attn1"
    hidden, person = torch.randn(2, 16, 16), torch.randn(2, 1, 16)
    alike = LayerTokens(torch.zeros(2, 16, 16), person)  # all that matters is how many of them count
    mask, wearing = torch.ones(2, 1, 4, 4), torch.full((2, 1, 4, 4), seen)
    masked = run_layer(unet, AttentionContext({name: alike}, mask, visible_from=wearing, keep_condition=given), hidden)
    fewer = LayerTokens(torch.zeros(2, int(16 * seen), 16), person)
    torch.testing.assert_close(
        masked, run_layer(unet, AttentionContext({name: fewer}, mask, keep_condition=given), hidden)
    )


def test_nothing_is_left_on_the_modules(build_unet) -> None:
    unet = build_unet()
    install_processors(unet)
    before = copy.deepcopy([vars(processor) for processor in unet.attn_processors.values()], memo={})
    name = "down_blocks.0.attentions.0.transformer_blocks.0.attn1"
    tokens = LayerTokens(torch.randn(1, 16, 16), torch.randn(1, 16, 16))
    context = AttentionContext({name: tokens}, torch.ones(1, 1, 4, 4), frozenset([name]), captured={})
    run_layer(unet, context, torch.randn(1, 16, 16))
    after = [vars(processor) for processor in unet.attn_processors.values()]
    assert [sorted(state) for state in after] == [sorted(state) for state in before]
    assert [state.get("name") for state in after] == [state.get("name") for state in before]
