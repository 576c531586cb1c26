"""OOTDiffusion as a configuration: against stock UNets with hand-written blocks, drawn and trained."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conditions import told
from diffusers import DDPMScheduler, UNet2DConditionModel, UniPCMultistepScheduler
from diffusers.models.attention import BasicTransformerBlock
from small_unets import DIM, EVERYWHERE, LIKE_SD15, build_unet, seen_in
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPVisionConfig, CLIPVisionModelWithProjection

from ornament_lit.batch import TryOnBatch
from ornament_lit.diffusion.refresh_policies import RefreshEverySteps, RefreshOnce, RefreshPolicy
from ornament_lit.diffusion.sampler import Sampler
from ornament_lit.losses import DiffusionLoss
from ornament_lit.losses.attention import ZeroAttentionLoss
from ornament_lit.models.attention import AttentionContext
from ornament_lit.models.autoencoders import SpaceToDepthAutoencoder
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.image_encoders import EmbeddingImageEncoder
from ornament_lit.models.mask_heads import BoxMaskHead
from ornament_lit.models.prompt_encoders import CategoryPrompt
from ornament_lit.models.prompts import Prompts
from ornament_lit.models.reference_features import LayerTokens, ReferenceFeatures
from ornament_lit.models.reference_nets import OrnamentUNetReferenceNet
from ornament_lit.module import TryOnModule
from ornament_lit.utils.frozen import check_gradients

LAYOUTS = pytest.mark.parametrize("layout", [EVERYWHERE, LIKE_SD15], ids=["everywhere", "like_sd15"])
OOTDIFFUSION = {
    "trained": True,
    "timestep": "zero",
    "tokens": "raw",
    "prompt": "denoiser",
    "null_features": "zero_latents",
}
TIMES = torch.tensor([20, 700])

exact = partial(torch.testing.assert_close, atol=1e-9, rtol=0)
close = partial(torch.testing.assert_close, atol=1e-5, rtol=1e-5)


def block_names(unet: UNet2DConditionModel) -> list[str]:
    return [name for name, part in unet.named_modules() if isinstance(part, BasicTransformerBlock)]


class DoubledBlock(nn.Module):
    """OOTDiffusion's block: the tokens of both networks go through norm, attention and residual, and half is kept."""

    def __init__(self, stock: BasicTransformerBlock, reference: Tensor) -> None:
        super().__init__()
        self.stock, self.reference = stock, reference

    def forward(self, hidden_states: Tensor, encoder_hidden_states: Tensor, **unused: Any) -> Tensor:
        both = torch.cat([hidden_states, self.reference], dim=1)
        both = both + self.stock.attn1(self.stock.norm1(both))
        own, _ = both.chunk(2, dim=1)
        own = own + self.stock.attn2(self.stock.norm2(own), encoder_hidden_states)
        return own + self.stock.ff(self.stock.norm3(own))


def block_inputs(garment: UNet2DConditionModel, latents: Tensor, tokens: Tensor) -> dict[str, Tensor]:
    """What goes into each transformer block of a whole stock UNet at timestep 0, by the block's name."""
    return {name: given for name, (given, _) in seen_in(garment, block_names(garment), latents, 0, tokens).items()}


def by_hand(stock: UNet2DConditionModel, inputs: Tensor, tokens: Tensor, references: dict[str, Tensor]) -> Tensor:
    unet = copy.deepcopy(stock)
    for name in block_names(stock):
        parent, number = name.rsplit(".", 1)
        unet.get_submodule(parent)[int(number)] = DoubledBlock(unet.get_submodule(name), references[name])
    return unet(inputs, TIMES, tokens).sample


@dataclass(frozen=True)
class Told:
    """What all networks are told; all of it is random, and in float64."""

    noisy: Tensor
    erased: Tensor
    ornament: Tensor
    mask: Tensor
    image_tokens: Tensor
    null_tokens: Tensor
    prompt: Prompts

    @property
    def tokens(self) -> Tensor:
        return torch.cat([self.prompt.tokens, self.image_tokens], dim=1)

    @property
    def null(self) -> Tensor:
        return torch.cat([self.prompt.null, self.null_tokens], dim=1)

    def reference(self, net: OrnamentUNetReferenceNet, given: Tensor | None = None) -> ReferenceFeatures:
        others = {"image_tokens": self.image_tokens, "null_tokens": self.null_tokens, "prompt": self.prompt}
        latents = (self.ornament, self.mask, self.erased, self.mask)
        return net(*told(*latents, **others, timesteps=TIMES, given=given))

    def predict(self, denoiser: Denoiser, features: ReferenceFeatures, keep: Tensor | None = None) -> Tensor:
        given = (self.noisy, TIMES, self.erased, self.mask, self.image_tokens, features, self.mask)
        others = {"null_tokens": self.null_tokens, "prompt": self.prompt}
        return denoiser(*given, **others, keep_condition=keep).prediction


@pytest.fixture
def said() -> Told:
    generator = torch.Generator().manual_seed(4)

    def normal(*size: int) -> Tensor:
        return torch.randn(2, *size, generator=generator, dtype=torch.float64)

    latents, mask = [normal(4, 8, 8) for _ in range(3)], normal(1, 8, 8).sigmoid()
    return Told(*latents, mask, normal(1, DIM), normal(1, DIM), Prompts(*(normal(3, DIM) for _ in range(3))))


def pair(layout: tuple[tuple[str, ...], ...] = LIKE_SD15) -> tuple[UNet2DConditionModel, UNet2DConditionModel]:
    """Stock UNets of denoiser and reference."""
    return tuple(build_unet(seed, channels, layout=layout).double() for seed, channels in ((1, 8), (2, 4)))


def attached(
    stock: UNet2DConditionModel, garment: UNet2DConditionModel | None, **options: Any
) -> tuple[Denoiser, OrnamentUNetReferenceNet]:
    """Ours, with the weights of stock UNets."""
    denoiser = Denoiser(copy.deepcopy(stock), inputs=["noisy", "erased"])
    net = OrnamentUNetReferenceNet(copy.deepcopy(garment), **{**OOTDIFFUSION, **options})
    net.attach(denoiser.unet)
    return denoiser, net


@torch.no_grad()
def test_a_block_is_ootdiffusions() -> None:
    stock = pair()[0]
    denoiser, _ = attached(stock, None)
    for name in block_names(stock):
        block = stock.get_submodule(name)
        width = block.attn1.to_q.in_features
        hidden, raw = torch.randn(2, 2, 16, width, dtype=torch.float64)
        tokens = torch.randn(2, 4, DIM, dtype=torch.float64)
        layer = LayerTokens(raw, raw[:, :0], raw=True)
        context = AttentionContext({f"{name}.attn1": layer})
        ours = denoiser.unet.get_submodule(name)
        output = ours(hidden, encoder_hidden_states=tokens, cross_attention_kwargs={"context": context})
        expected = DoubledBlock(block, raw)(hidden, tokens)
        exact(output, expected)
        assert (expected - block(hidden, encoder_hidden_states=tokens)).abs().max() > 0.1, "the reference matters"
        normalised = AttentionContext({f"{name}.attn1": replace(layer, raw=False)})
        other = ours(hidden, encoder_hidden_states=tokens, cross_attention_kwargs={"context": normalised})
        assert (other - expected).abs().max() > 0.1, "the norm matters"


@LAYOUTS
@torch.no_grad()
def test_the_whole_network_is_one_with_ootdiffusions_blocks(said, layout) -> None:
    stock, garment = pair(layout)
    denoiser, net = attached(stock, garment)
    references = block_inputs(garment, said.ornament, said.tokens)
    expected = by_hand(stock, torch.cat([said.noisy, said.erased], dim=1), said.tokens, references)
    features = said.reference(net)
    assert {name.removesuffix(".attn1") for name in features.tokens} == references.keys()
    for name, layer in features.tokens.items():
        assert layer.raw and not layer.person.shape[1]
        exact(layer.ornament, references[name.removesuffix(".attn1")])
    for each in (features, denoiser.project(features)):
        exact(said.predict(denoiser, each), expected)
    own_norm = attached(stock, garment, tokens="normalised")[1]
    assert (said.predict(denoiser, said.reference(own_norm)) - expected).abs().max() > 0.1, "their norms differ"


@LAYOUTS
@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_gradients_of_the_reference_are_those_through_ootdiffusions_blocks(said, layout, checkpointing) -> None:
    """Through the tokens of every layer: those of the last one alone would give each parameter some gradient."""
    stock, garment = pair(layout)
    denoiser, net = attached(stock, garment, gradient_checkpointing=checkpointing)
    references = block_inputs(garment, said.ornament, said.tokens)
    by_hand(stock, torch.cat([said.noisy, said.erased], dim=1), said.tokens, references).square().mean().backward()
    said.predict(denoiser.train(), said.reference(net.train())).square().mean().backward()
    expected = dict(garment.named_parameters())
    for name, parameter in net.unet.named_parameters():
        exact(parameter.grad, expected[name].grad)
        assert parameter.grad.any(), name


@LAYOUTS
@torch.no_grad()
def test_a_sample_without_its_ornament_has_features_of_zero_latents(said, layout) -> None:
    """And both networks are told the null prompt and tokens for it; OOTDiffusion's own are those of all samples."""
    stock, garment = pair(layout)
    denoiser, net = attached(stock, garment)
    inputs, zeros = torch.cat([said.noisy, said.erased], dim=1), torch.zeros_like(said.ornament)
    whole = by_hand(stock, inputs, said.tokens, block_inputs(garment, said.ornament, said.tokens))
    alone = by_hand(stock, inputs, said.null, block_inputs(garment, zeros, said.null))
    given = torch.tensor([True, False])
    features = said.reference(net, given)
    for each in (features, denoiser.project(features)):
        exact(said.predict(denoiser, each, given), torch.stack([whole[0], alone[1]]))
    assert (whole - alone).abs().amax((1, 2, 3)).min() > 0.1


@torch.no_grad()
def test_it_begins_as_a_copy_of_the_denoiser_without_the_further_input_channels(said) -> None:
    stock = pair()[0]
    _, net = attached(stock, None)
    expected = build_unet(1, 4).double()
    state = stock.state_dict()
    expected.load_state_dict({**state, "conv_in.weight": state["conv_in.weight"][:, :4]})
    for name, inputs in block_inputs(expected, said.ornament, said.tokens).items():
        exact(said.reference(net).tokens[f"{name}.attn1"].ornament, inputs)


def test_raw_norms_keep_names_and_weights_and_what_lies_behind_the_last_block_is_gone() -> None:
    stock, garment = pair()
    raw, normalised = (attached(stock, garment, tokens=tokens)[1].unet for tokens in ("raw", "normalised"))
    last = max(name for name in block_names(garment) if name.startswith("up_blocks"))
    assert last == "up_blocks.1.attentions.1.transformer_blocks.0"
    transformer = last.removesuffix(".transformer_blocks.0")
    tail = (f"{last}.", f"{transformer}.proj_out.", "conv_norm_out.", "conv_out.")
    kept = {name for name in garment.state_dict() if not name.startswith(tail)}
    assert raw.state_dict().keys() == kept
    assert normalised.state_dict().keys() == kept | {f"{last}.norm1.weight", f"{last}.norm1.bias"}
    for name, value in raw.state_dict().items():
        assert torch.equal(value, garment.state_dict()[name]), name
    other = attached(stock, build_unet(3, 4).double())[1].unet
    other.load_state_dict(raw.state_dict())
    assert torch.equal(other.conv_in.weight, garment.conv_in.weight)


@pytest.fixture
def clip(tmp_path: Path) -> str:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
    config = CLIPVisionConfig(num_hidden_layers=2, projection_dim=DIM, **sizes)
    CLIPVisionModelWithProjection(config).save_pretrained(tmp_path / "clip")
    return str(tmp_path / "clip")


@pytest.fixture
def text(tmp_path: Path) -> str:
    """The sizes of a text model: its tokens are random, and others for each prompt."""
    config = CLIPTextConfig(hidden_size=DIM, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    (tmp_path / "text/text_encoder").mkdir(parents=True)
    (tmp_path / "text/text_encoder/config.json").write_text(json.dumps(config.to_dict()))
    return f"random:{tmp_path / 'text'}"


@pytest.fixture
def build(clip: str, text: str) -> Callable[..., TryOnModule]:
    """OOTDiffusion at 32 pixels and 16 x 16 latents of 12 channels, with a reference that has other weights."""

    def build(dropout: float = 0.5, negative: str = "same", **options: Any) -> TryOnModule:
        module = TryOnModule(
            autoencoder=SpaceToDepthAutoencoder(2),
            image_encoder=EmbeddingImageEncoder(clip, token_dim=DIM),
            prompt_encoder=CategoryPrompt(text, template="{category}", negative_prompt=negative, max_length=3),
            denoiser=Denoiser(build_unet(1, 24, 12), inputs=["noisy", "erased"]),
            noise_scheduler=DDPMScheduler(clip_sample=False),
            reference_net=OrnamentUNetReferenceNet(build_unet(2, 12, 12), **{**OOTDIFFUSION, **options}),
            mask_head=BoxMaskHead(),
            attention_loss=ZeroAttentionLoss(),
            diffusion_loss=DiffusionLoss(condition_dropout=dropout),
        )
        return module.train()

    return build


@pytest.mark.parametrize("negative", ["same", ""])
def test_the_null_half_of_a_guided_step_is_a_call_with_zero_latents(build, tiny_batch, negative: str) -> None:
    """OOTDiffusion keeps the prompt in it; another one would be told to both networks."""
    model, noisy = build(negative=negative).eval().model, torch.randn(2, 12, 16, 16)
    with torch.no_grad():
        conditioning = model.encode(tiny_batch(2))
        prompt, tokens = conditioning.prompt, conditioning.image_tokens
        assert torch.equal(prompt.null, prompt.tokens) is (negative == "same")
        assert torch.equal(conditioning.null_tokens, tokens)
        refinement = model.refine_guided(conditioning)
        halves = [
            model.denoise_guided(noisy, TIMES, conditioning, each) for each in (refinement, model.project(refinement))
        ]
        zeros = torch.zeros_like(conditioning.ornament_latents)
        blank = replace(conditioning, ornament_latents=zeros, prompt=replace(prompt, tokens=prompt.null))
        whole, alone = (
            model.denoise(noisy, TIMES, each, model.refine(each)).prediction for each in (conditioning, blank)
        )
    assert torch.equal(refinement.mask, conditioning.box_mask)
    assert {len(layer.ornament) for layer in refinement.features.tokens.values()} == {4}
    for conditional, unconditional in halves:
        close(conditional, whole)
        close(unconditional, alone)
    assert (whole - alone).abs().amax((1, 2, 3)).min() > 0.1


def watch(module: TryOnModule) -> list[tuple[Tensor, Tensor]]:
    """Latents and timesteps that the reference's UNet is told, each time that it runs."""
    seen: list[tuple[Tensor, Tensor]] = []
    module.model.reference_net.unet.register_forward_pre_hook(lambda _, given: seen.append((given[0], given[1])))
    return seen


def draw(module: TryOnModule, batch: TryOnBatch, scale: float, policy: RefreshPolicy) -> Any:
    sampler = Sampler(4, scale, UniPCMultistepScheduler, refresh=policy)
    with torch.no_grad():
        return sampler(module.model, module.noise_scheduler, module.model.encode(batch), batch["sample_seed"])


POLICIES = pytest.mark.parametrize(
    ("policy", "runs"), [(RefreshOnce(), 1), (RefreshEverySteps(), 4), (RefreshEverySteps(2), 2)]
)


@POLICIES
@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_the_reference_runs_once_a_drawing_or_as_the_policy_says(
    build, tiny_batch, scale: float, policy: RefreshPolicy, runs: int
) -> None:
    module, batch = build().eval(), tiny_batch(2)
    seen, latents = watch(module), module.model.encode(batch).ornament_latents
    expected = latents if scale == 1 else torch.cat([latents, torch.zeros_like(latents)])
    drawn = draw(module, batch, scale, policy)
    assert len(seen) == len(drawn.refinements) == runs
    for told_latents, timesteps in seen:
        assert torch.equal(told_latents, expected) and not timesteps.any()


@POLICIES
def test_after_a_drawing_the_last_refinement_alone_has_features_of_the_samples_with_their_ornaments(
    build, tiny_batch, policy: RefreshPolicy, runs: int
) -> None:
    module, batch = build().eval(), tiny_batch(2)
    *earlier, last = draw(module, batch, 2.0, policy).refinements
    with torch.no_grad():
        conditioning = module.model.encode(batch)
        expected = module.model.refine(conditioning).features.tokens
    assert len(earlier) == runs - 1 and not any(each.features.tokens for each in earlier)
    assert all(torch.equal(each.mask, conditioning.box_mask) for each in (*earlier, last))
    assert last.features.tokens.keys() == expected.keys()
    for name, layer in last.features.tokens.items():
        close(layer.ornament, expected[name].ornament)


@POLICIES
def test_a_guided_drawing_does_not_depend_on_the_batch(build, tiny_batch, policy: RefreshPolicy, runs: int) -> None:
    """In float64: random weights blow rounding up."""
    module, batch = build().eval().double(), tiny_batch(3)
    batch |= {name: value.double() for name, value in batch.items() if torch.is_tensor(value) and name != "sample_seed"}
    last = {name: values[2:] for name, values in batch.items()}
    together, alone = (draw(module, each, 2.0, policy).latents for each in (batch, last))
    torch.testing.assert_close(together[2:], alone, atol=1e-9, rtol=1e-9)
    assert (together[2] - together[1]).abs().max() > 0.1


def test_a_dropped_sample_is_trained_with_features_of_zero_latents(build, tiny_batch) -> None:
    module, batch = build(), tiny_batch(4)
    target = module.model.encode_target(batch)
    noisy = module.diffusion_loss.add_noise(module.noise_scheduler, target, batch["sample_seed"], training=True)
    kept, used = noisy.keep_condition, []
    assert kept.any() and not kept.all()
    module.model.denoiser.register_forward_pre_hook(
        lambda _, __, named: used.append(named["features"].tokens), with_kwargs=True
    )
    seen = watch(module)
    module.losses(batch)
    assert len(seen) == 1 and not seen[0][1].any(), "at timestep 0"
    with torch.no_grad():
        conditioning = module.model.encode(batch)
        blank = replace(conditioning, ornament_latents=torch.zeros_like(conditioning.ornament_latents))
        whole, alone = (module.model.refine(each).features.tokens for each in (conditioning, blank))
    for name, layer in used[0].items():
        close(layer.ornament[kept], whole[name].ornament[kept])
        close(layer.ornament[~kept], alone[name].ornament[~kept])
        assert (whole[name].ornament - alone[name].ornament).abs().amax((1, 2)).min() > 0.1


def gradients(module: TryOnModule, batch: TryOnBatch) -> dict[str, Tensor]:
    module.losses(batch)[0]["noise"].backward()
    check_gradients(module)
    return {name: value.grad for name, value in module.named_parameters() if value.requires_grad}


def test_every_parameter_of_both_networks_gets_a_gradient(build, tiny_batch) -> None:
    module = build()
    found = gradients(module, tiny_batch(4))
    nets = (module.model.denoiser.unet, module.model.reference_net.unet)
    assert len(found) == sum(len(list(net.parameters())) for net in nets)
    assert all(gradient.any() for gradient in found.values())


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_checkpointing_changes_no_gradient(build, tiny_batch, dropout: float) -> None:
    plain, checkpointed = (build(dropout, gradient_checkpointing=option) for option in (False, True))
    unet, ran = checkpointed.model.reference_net.unet, []
    assert unet.is_gradient_checkpointing and not plain.model.reference_net.unet.is_gradient_checkpointing
    unet.down_blocks[0].resnets[0].register_forward_pre_hook(lambda *_: ran.append(1))
    expected, found = (gradients(module, tiny_batch(4)) for module in (plain, checkpointed))
    assert len(ran) == 2, "it is computed anew"
    assert expected.keys() == found.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-6, rtol=1e-4)
