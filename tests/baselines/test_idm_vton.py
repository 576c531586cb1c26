"""IDM-VTON as a configuration: against stock UNets with hand-written attention, frozen, drawn and exported."""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from conditions import told
from diffusers import DDIMScheduler, DDPMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import Attention, AttnProcessor2_0, IPAdapterAttnProcessor2_0
from safetensors.torch import load_file
from small_unets import DIM, EVERYWHERE, LIKE_SD15, build_unet, seen_in, shake
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import CLIPVisionConfig, CLIPVisionModel

from ornament_lit.batch import TryOnBatch
from ornament_lit.diffusion.refresh_policies import RefreshEverySteps, RefreshOnce, RefreshPolicy
from ornament_lit.diffusion.sampler import Sampler
from ornament_lit.losses.attention import ZeroAttentionLoss
from ornament_lit.models.attention import AttentionContext
from ornament_lit.models.attention_layers import cross_attention_layers, install_processors
from ornament_lit.models.autoencoders import SpaceToDepthAutoencoder
from ornament_lit.models.decoupled_attention import DecoupledAttention
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.image_encoders import NoImageEncoder, ResamplerImageEncoder
from ornament_lit.models.mask_heads import BoxMaskHead
from ornament_lit.models.pretrained import pretrained_unet
from ornament_lit.models.prompt_encoders import CategoryEmbedding, NoPrompt
from ornament_lit.models.prompts import Prompts
from ornament_lit.models.reference_features import LayerTokens, ReferenceFeatures
from ornament_lit.models.reference_nets import OrnamentUNetReferenceNet
from ornament_lit.module import TryOnModule
from ornament_lit.pipeline.serialization import Settings, load_folder, save_folder

LAYOUTS = pytest.mark.parametrize("layout", [EVERYWHERE, LIKE_SD15], ids=["everywhere", "like_sd15"])
TIMES = torch.tensor([20, 700])

close = partial(torch.testing.assert_close, atol=1e-9, rtol=0)


def layers(unet: UNet2DConditionModel, ending: str) -> list[str]:
    return [name for name, _ in unet.named_modules() if name.endswith(ending)]


@dataclass
class Networks:
    """Stock UNets of denoiser and reference, and ours with the same weights; in float64."""

    layout: tuple[tuple[str, ...], ...] = EVERYWHERE
    decoupled: bool = True
    absent: str = "zeros"
    stock: UNet2DConditionModel = field(init=False)
    garment: UNet2DConditionModel = field(init=False)
    denoiser: Denoiser = field(init=False)
    net: OrnamentUNetReferenceNet = field(init=False)

    def __post_init__(self) -> None:
        self.stock = build_unet(1, 9, layout=self.layout).double()
        self.garment = build_unet(2, 4, layout=self.layout).double()
        options = {"decoupled_tokens": self.decoupled, "absent_reference": self.absent}
        self.denoiser = Denoiser(copy.deepcopy(self.stock), **options)
        if self.denoiser.decoupled is not None:
            shake(self.denoiser.decoupled, 3)
        self.net = OrnamentUNetReferenceNet(copy.deepcopy(self.garment))
        self.net.attach(self.denoiser.unet)


@dataclass(frozen=True)
class Told:
    """What all networks are told; all of it is random."""

    noisy: Tensor
    erased: Tensor
    ornament: Tensor
    mask: Tensor
    ornament_mask: Tensor
    image_tokens: Tensor
    null_tokens: Tensor
    prompt: Prompts

    def reference(self, net: OrnamentUNetReferenceNet) -> ReferenceFeatures:
        given = (self.ornament, self.ornament_mask, self.erased, self.mask)
        return net(*told(*given, image_tokens=self.image_tokens, prompt=self.prompt, timesteps=TIMES))

    def predict(self, predict: Callable[..., Any], features: ReferenceFeatures, **options: Any) -> Any:
        """Call a denoiser's ``forward`` or ``guided``."""
        given = (self.noisy, TIMES, self.erased, self.mask, self.image_tokens, features, self.ornament_mask)
        return predict(*given, null_tokens=self.null_tokens, prompt=self.prompt, **options)


@pytest.fixture
def said() -> Told:
    generator = torch.Generator().manual_seed(4)

    def normal(*size: int) -> Tensor:
        return torch.randn(2, *size, generator=generator, dtype=torch.float64)

    masks = (torch.rand(2, 1, 8, 8, generator=generator, dtype=torch.float64) for _ in range(2))
    latents = [normal(4, 8, 8) for _ in range(3)]
    return Told(*latents, *masks, normal(3, DIM), normal(3, DIM), Prompts(*(normal(5, DIM) for _ in range(3))))


def norm1_outputs(garment: UNet2DConditionModel, latents: Tensor, timesteps: Tensor, prompt: Tensor) -> dict:
    """The output of the first norm of each transformer block of a whole stock UNet, by the name of its attention."""
    norms = [name.replace("attn1", "norm1") for name in layers(garment, "attn1")]
    seen = seen_in(garment, norms, latents, timesteps, prompt)
    return {name.replace("norm1", "attn1"): output for name, (_, output) in seen.items()}


class TwiceTheQueries:
    """IDM-VTON's attention: all tokens of both networks attend to all, and those of the denoiser are kept."""

    def __init__(self, reference: Tensor) -> None:
        self.reference = reference
        self.stock = AttnProcessor2_0()

    def __call__(self, attn: Attention, hidden_states: Tensor, *others: Any, **named: Any) -> Tensor:
        both = torch.cat([hidden_states, self.reference], dim=1)
        return self.stock(attn, both)[:, : hidden_states.shape[1]]


def ip_adapter(attn: Attention, decoupled: DecoupledAttention, name: str) -> IPAdapterAttnProcessor2_0:
    """Diffusers' processor with the weights of a layer of ours."""
    number = decoupled.names.index(name)
    processor = IPAdapterAttnProcessor2_0(attn.to_q.out_features, DIM, num_tokens=(3,)).double()
    processor.to_k_ip[0].load_state_dict(decoupled.to_k[number].state_dict())
    processor.to_v_ip[0].load_state_dict(decoupled.to_v[number].state_dict())
    return processor


def by_hand(networks: Networks, said: Told, references: dict[str, Tensor], prompt: Tensor, image: Tensor) -> Tensor:
    """IDM-VTON's prediction from a stock UNet with other processors."""
    unet = copy.deepcopy(networks.stock)
    processors = {f"{name}.processor": TwiceTheQueries(references[name]) for name in layers(unet, "attn1")}
    decoupled = networks.denoiser.decoupled
    for name in layers(unet, "attn2"):
        layer = unet.get_submodule(name)
        used = AttnProcessor2_0() if decoupled is None else ip_adapter(layer, decoupled, name)
        processors[f"{name}.processor"] = used
    unet.set_attn_processor(processors)
    tokens = torch.cat([prompt, image], dim=1) if decoupled is None else (prompt, [image])
    return unet(torch.cat([said.noisy, said.mask, said.erased], dim=1), TIMES, tokens).sample


@LAYOUTS
@pytest.mark.parametrize("decoupled", [False, True])
@torch.no_grad()
def test_the_whole_network_is_one_with_idm_vtons_attention_in_every_block(said, layout, decoupled: bool) -> None:
    networks = Networks(layout, decoupled)
    references = norm1_outputs(networks.garment, said.ornament, TIMES, said.prompt.reference)
    expected = by_hand(networks, said, references, said.prompt.tokens, said.image_tokens)
    features = said.reference(networks.net)
    assert features.tokens.keys() == references.keys() and len(references) == {EVERYWHERE: 7, LIKE_SD15: 4}[layout]
    for each in (features, networks.denoiser.project(features)):
        close(said.predict(networks.denoiser, each).prediction, expected)
    without = {name: torch.zeros_like(tokens) for name, tokens in references.items()}
    alone = by_hand(networks, said, without, said.prompt.tokens, said.image_tokens)
    assert (expected - alone).abs().max() > 0.1, "the reference matters"


@LAYOUTS
def test_the_gradients_of_a_reference_that_trains_are_those_through_idm_vtons_attention(said, layout) -> None:
    networks = Networks(layout)
    net = OrnamentUNetReferenceNet(copy.deepcopy(networks.garment), trained=True)
    net.attach(networks.denoiser.unet)
    references = norm1_outputs(networks.garment, said.ornament, TIMES, said.prompt.reference)
    by_hand(networks, said, references, said.prompt.tokens, said.image_tokens).square().mean().backward()
    said.predict(networks.denoiser, said.reference(net)).prediction.square().mean().backward()
    expected = dict(networks.garment.named_parameters())
    for name, parameter in net.unet.named_parameters():
        close(parameter.grad, expected[name].grad)
        assert parameter.grad.any(), name


@LAYOUTS
@torch.no_grad()
def test_a_guided_step_withholds_what_idm_vton_withholds(said, layout) -> None:
    """Features are zeros, the prompt is the negative one, and the image's tokens are those of the null picture."""
    networks = Networks(layout)
    references = norm1_outputs(networks.garment, said.ornament, TIMES, said.prompt.reference)
    zeros = {name: torch.zeros_like(tokens) for name, tokens in references.items()}
    features = networks.denoiser.project(said.reference(networks.net))
    conditional, unconditional = said.predict(networks.denoiser.guided, features)
    close(conditional, by_hand(networks, said, references, said.prompt.tokens, said.image_tokens))
    close(unconditional, by_hand(networks, said, zeros, said.prompt.null, said.null_tokens))
    assert (conditional - unconditional).abs().max() > 0.1


@pytest.mark.parametrize("absent", ["dropped", "zeros"])
@pytest.mark.parametrize("decoupled", [False, True])
@torch.no_grad()
def test_a_guided_step_is_two_calls(said, decoupled: bool, absent: str) -> None:
    networks = Networks(decoupled=decoupled, absent=absent)
    features = said.reference(networks.net)
    both = said.predict(networks.denoiser.guided, features)
    rows = {given: torch.tensor(given) for given in [(True, True), (False, False), (True, False)]}
    kept, withheld, mixed = (
        said.predict(networks.denoiser, features, keep_condition=given).prediction for given in rows.values()
    )
    close(both[0], kept)
    close(both[1], withheld)
    close(mixed, torch.stack([kept[0], withheld[1]]))
    close(kept, said.predict(networks.denoiser, features).prediction)
    assert (kept - withheld).abs().amax((1, 2, 3)).min() > 0.1


@torch.no_grad()
def test_zeros_in_the_place_of_a_reference_are_not_the_same_as_nothing(said) -> None:
    halves = []
    for absent in ("dropped", "zeros"):
        networks = Networks(absent=absent)
        halves.append(said.predict(networks.denoiser.guided, said.reference(networks.net)))
    close(halves[0][0], halves[1][0])
    assert (halves[0][1] - halves[1][1]).abs().max() > 0.01


def heads_of(layer: Attention, hidden: Tensor) -> list[Tensor]:
    """Queries, keys and values of a layer, (B, heads, N, d)."""
    parts = (layer.to_q(hidden), layer.to_k(hidden), layer.to_v(hidden))
    return [part.unflatten(-1, (layer.heads, -1)).transpose(1, 2) for part in parts]


@pytest.mark.parametrize("guided", [False, True])
@torch.no_grad()
def test_an_absent_reference_takes_its_share_of_the_attention(guided: bool) -> None:
    """By S / (S + M), S the sum of exp(q k / sqrt d) over the own keys, which is what M zero keys and values do."""
    unet = build_unet(1, 4).double()
    install_processors(unet)
    name = layers(unet, "attn1")[0]
    layer, (hidden, ornament) = unet.get_submodule(name), torch.randn(2, 2, 64, 16, dtype=torch.float64)
    tokens = {name: LayerTokens(ornament[:, :9], ornament[:, 9:13])}
    given = {"guided": True} if guided else {"keep_condition": torch.tensor([False, False])}
    context = AttentionContext(tokens, absent="zeros", **given)
    output = layer(torch.cat([hidden, hidden]) if guided else hidden, context=context)[-2:]

    query, key, value = heads_of(layer, hidden)
    scores = (query @ key.transpose(-1, -2) / 8**0.5).exp()
    own = scores.sum(-1, keepdim=True)
    scaled = (scores / own) @ value * own / (own + 13)
    zeros = torch.zeros(2, 2, 13, 8, dtype=torch.float64)
    wider_key, wider_value = (torch.cat([own_part, zeros], dim=2) for own_part in (key, value))
    explicit = (query @ wider_key.transpose(-1, -2) / 8**0.5).softmax(-1) @ wider_value
    for expected in (scaled, explicit):
        close(output, layer.to_out[0](expected.transpose(1, 2).flatten(2)))
    assert (output - layer(hidden)).abs().max() > 0.01, "it is not the same as nothing"


@torch.no_grad()
def test_decoupled_attention_is_that_of_ip_adapter() -> None:
    unet = build_unet(1, 4).double()
    decoupled = DecoupledAttention(unet, layers(unet, "attn2")).double()
    shake(decoupled, 3)
    for name in decoupled.names:
        layer = unet.get_submodule(name)
        hidden = torch.randn(2, 64, layer.to_q.in_features, dtype=torch.float64)
        prompt, image = torch.randn(2, 5, DIM, dtype=torch.float64), torch.randn(2, 3, DIM, dtype=torch.float64)
        expected = ip_adapter(layer, decoupled, name)(layer, hidden, (prompt, [image]))
        close(decoupled(name, layer, hidden, prompt, image), expected)
        assert (expected - layer(hidden, prompt)).abs().max() > 0.1


def test_decoupled_weights_begin_as_those_of_the_prompt_without_bias() -> None:
    unet = build_unet(1, 9)
    first = unet.get_submodule(layers(unet, "attn2")[0])
    first.to_k = nn.Linear(DIM, first.to_q.out_features, bias=True)
    decoupled = Denoiser(unet, decoupled_tokens=True).decoupled
    assert sorted(decoupled.names) == sorted(layers(unet, "attn2"))
    for name, key, value in zip(decoupled.names, decoupled.to_k, decoupled.to_v, strict=True):
        layer = unet.get_submodule(name)
        assert torch.equal(key.weight, layer.to_k.weight) and torch.equal(value.weight, layer.to_v.weight)
        assert key.weight is not layer.to_k.weight and value.weight is not layer.to_v.weight
        assert key.bias is None and value.bias is None


@LAYOUTS
@torch.no_grad()
def test_all_up_blocks_of_the_reference_run(said, layout) -> None:
    """IDM-VTON leaves out those without attention, of which Stable Diffusion 1.5 has one, and it is the first."""
    networks = Networks(layout)
    ran: list[int] = []
    for number, block in enumerate(networks.net.unet.up_blocks):
        block.register_forward_hook(lambda *_, number=number: ran.append(number))
    before = said.reference(networks.net).tokens
    assert ran == [0, 1]
    shake(networks.net.unet.up_blocks[0], 5)
    after = said.reference(networks.net).tokens
    for name in layers(networks.stock, "attn1"):
        unchanged = torch.equal(before[name].ornament, after[name].ornament)
        assert unchanged is not name.startswith("up_blocks."), name


@torch.no_grad()
def test_a_reference_without_prompt_is_told_a_zero_token(said) -> None:
    networks = Networks()
    net = OrnamentUNetReferenceNet(copy.deepcopy(networks.garment), prompt="none")
    net.attach(networks.denoiser.unet)
    expected = norm1_outputs(networks.garment, said.ornament, TIMES, torch.zeros(2, 1, DIM, dtype=torch.float64))
    for name, tokens in said.reference(net).tokens.items():
        close(tokens.ornament, expected[name])


@pytest.fixture
def clip(tmp_path: Path) -> str:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
    CLIPVisionModel(CLIPVisionConfig(num_hidden_layers=2, **sizes)).save_pretrained(tmp_path / "clip")
    return str(tmp_path / "clip")


@pytest.fixture
def build(clip: str) -> Callable[..., TryOnModule]:
    """IDM-VTON at 32 pixels and 16 x 16 latents of 12 channels; parts can be replaced by name."""

    def build(seed: int = 1, **parts: Any) -> TryOnModule:
        torch.manual_seed(seed)
        given = {
            "autoencoder": SpaceToDepthAutoencoder(2),
            "image_encoder": ResamplerImageEncoder(clip, token_dim=DIM, num_tokens=3, width=16, depth=1, heads=2),
            "prompt_encoder": CategoryEmbedding(2, DIM),
            "noise_scheduler": DDPMScheduler(clip_sample=False),
            "reference_net": OrnamentUNetReferenceNet(),
            "mask_head": BoxMaskHead(),
            "attention_loss": ZeroAttentionLoss(),
            **parts,
        }
        options = {"decoupled_tokens": True, "absent_reference": "zeros"}
        denoiser = given.pop("denoiser", None) or Denoiser(build_unet(seed, 25, 12), **options)
        module = TryOnModule(denoiser=denoiser, **given)
        if denoiser.decoupled is not None:
            shake(denoiser.decoupled, seed + 1)
        return module

    return build


def saved(folder: Path, seed: int = 2) -> UNet2DConditionModel:
    """A UNet that comes from a folder."""
    build_unet(seed, 12, 12).save_pretrained(folder / "sd/unet")
    return pretrained_unet(str(folder / "sd"))


def train(module: TryOnModule, batch: TryOnBatch, path: Path) -> dict[str, Tensor]:
    """Take one step, in which a parameter without gradient would be an error, and write and read a checkpoint."""
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    quiet |= {"enable_model_summary": False, "default_root_dir": path.parent}
    trainer = pl.Trainer(accelerator="cpu", devices=1, max_steps=1, **quiet)
    trainer.fit(module.train(), DataLoader([batch], batch_size=None))
    trainer.save_checkpoint(path)
    return torch.load(path, weights_only=True)["state_dict"]


def of_reference(names: Iterable[str]) -> set[str]:
    return {name for name in names if name.startswith("model.reference_net.")}


@pytest.mark.parametrize("from_folder", [False, True])
def test_a_frozen_reference_learns_nothing_and_is_saved_where_no_folder_has_it(
    build, tiny_batch, tmp_path: Path, from_folder: bool
) -> None:
    def rebuild(seed: int) -> TryOnModule:
        weights = saved(tmp_path) if from_folder else None
        return build(seed, reference_net=OrnamentUNetReferenceNet(weights))

    module = rebuild(1)
    before = {name: value.clone() for name, value in module.named_parameters()}
    checkpoint = train(module, tiny_batch(2), tmp_path / "one.ckpt")
    reference = of_reference(module.state_dict())
    moved = {name for name, value in module.named_parameters() if not torch.equal(value, before[name])}
    assert moved == before.keys() - reference - {name for name in before if ".clip." in name}
    assert all(parameter.grad is None for parameter in module.model.reference_net.parameters())
    assert reference and of_reference(checkpoint) == (set() if from_folder else reference)
    other = rebuild(5)
    content = torch.load(tmp_path / "one.ckpt", weights_only=True)
    other.on_load_checkpoint(content)
    other.load_state_dict(content["state_dict"])
    for name, value in module.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name


def test_a_reference_that_trains_has_no_idle_parameter_and_is_saved(build, tiny_batch, tmp_path: Path) -> None:
    module = build(reference_net=OrnamentUNetReferenceNet(saved(tmp_path), trained=True))
    checkpoint = train(module, tiny_batch(2), tmp_path / "one.ckpt")
    assert of_reference(checkpoint) == of_reference(module.state_dict())


def same(one: ReferenceFeatures, other: ReferenceFeatures) -> bool:
    return all(torch.equal(tokens.ornament, other.tokens[name].ornament) for name, tokens in one.tokens.items())


@pytest.mark.parametrize("policy", [RefreshOnce(), RefreshEverySteps()])
def test_features_are_those_of_each_timestep_and_not_of_noise_or_person(
    build, tiny_batch, policy: RefreshPolicy
) -> None:
    module, batch, seen, times = build().eval(), tiny_batch(2), [], []
    module.model.reference_net.register_forward_hook(lambda net, given, features: seen.append(features))
    module.model.reference_net.unet.register_forward_pre_hook(lambda unet, given: times.extend(given[1].tolist()))
    other = {**batch, "sample_seed": batch["sample_seed"] + 7, "person_image": -batch["person_image"]}
    sampler = Sampler(3, 2.0, DDIMScheduler, refresh=policy)
    one, another = (module.generate(each, sampler)["image"] for each in (batch, other))
    assert (one - another).abs().max() > 0.1
    assert times == [each for each in (666, 333, 0) for _ in range(2)] * 2, "in both drawings, once for both halves"
    for first, second in zip(seen[:3], seen[3:], strict=True):
        assert same(first, second)
        assert all(len(tokens.ornament) == 2 for tokens in first.tokens.values())
    assert not same(seen[0], seen[1]) and not same(seen[1], seen[2])


def test_noises_of_a_sample_have_features_of_their_timesteps(build, tiny_batch) -> None:
    module, batch = build().eval(), tiny_batch(2)
    times = torch.tensor([3, 500, 900, 20])
    with torch.no_grad():
        conditioning = module.model.encode(batch)
        together = module.model.refine(replace(conditioning, timesteps=times)).features
        for rows in (slice(0, 2), slice(2, 4)):
            alone = module.model.refine(replace(conditioning, timesteps=times[rows])).features
            for name, tokens in alone.tokens.items():
                torch.testing.assert_close(together.tokens[name].ornament[rows], tokens.ornament, atol=1e-4, rtol=1e-4)


def test_decoupled_weights_are_saved_beside_a_stock_unet_and_come_back(build, tiny_batch, tmp_path: Path) -> None:
    module, batch = build(reference_net=OrnamentUNetReferenceNet(saved(tmp_path))).eval(), tiny_batch(2)
    save_folder(tmp_path / "exported", module.model, module.noise_scheduler, Settings(resolution=32))
    stored = load_file(tmp_path / "exported/unet/diffusion_pytorch_model.safetensors")
    assert stored.keys() == build_unet(1, 25, 12).state_dict().keys()
    own = load_file(tmp_path / "exported/try_on.safetensors")
    decoupled = {f"denoiser.decoupled.{name}" for name in module.model.denoiser.decoupled.state_dict()}
    assert decoupled and decoupled == {name for name in own if name.startswith("denoiser.")}
    loaded = load_folder(tmp_path / "exported")["model"].eval()
    noisy, predictions = torch.randn(2, 12, 16, 16), []
    with torch.no_grad():
        for model in (module.model, loaded):
            conditioning = replace(model.encode(batch), timesteps=TIMES)
            refinement = model.refine_guided(conditioning)
            predictions.append(model.denoise_guided(noisy, TIMES, conditioning, refinement))
    for before, after in zip(*predictions, strict=True):
        assert torch.equal(before, after)
    assert not torch.equal(*predictions[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block_out_channels": (16, 48)}, r"down_blocks\.1.*has 48 channels there, and 32 in the denoiser"),
        ({"layers_per_block": 2}, r"down_blocks\.0\.attentions\.1.*has 16 channels there, and no in the denoiser"),
        (
            {"down_block_types": LIKE_SD15[0], "up_block_types": LIKE_SD15[1]},
            r"has no channels there, and 32 in the denoiser",
        ),
    ],
)
def test_weights_of_another_shape_are_refused(options: dict[str, Any], message: str) -> None:
    net = OrnamentUNetReferenceNet(build_unet(2, 4, **{"layout": EVERYWHERE, **options}))
    with pytest.raises(
        ValueError, match=f"weights of the reference net must be of a UNet of the denoiser's.*{message}"
    ):
        net.attach(build_unet(1, 9, layout=EVERYWHERE))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cross_attention_dim": 40}, r"tokens of the denoiser's width, 24, got cross_attention_dim=40; take another"),
        ({"in_channels": 3}, r"must take 4 latent channels or more, got in_channels=3; take another UNet"),
    ],
)
def test_weights_that_take_other_inputs_are_refused(options: dict[str, int], message: str) -> None:
    unet = UNet2DConditionModel.from_config({**build_unet(2, 4).config, **options})
    with pytest.raises(ValueError, match=message):
        OrnamentUNetReferenceNet(unet).attach(build_unet(1, 9))


def test_weights_that_are_told_nothing_may_take_tokens_of_any_width() -> None:
    unet = UNet2DConditionModel.from_config({**build_unet(2, 4).config, "cross_attention_dim": 40})
    net = OrnamentUNetReferenceNet(unet, prompt="none")
    net.attach(build_unet(1, 9))
    assert not cross_attention_layers(net.unet)


def test_a_reference_that_wants_a_prompt_and_has_none_is_refused(build, tiny_batch) -> None:
    module = build(prompt_encoder=NoPrompt(), denoiser=Denoiser(build_unet(1, 25, 12)))
    message = r"prompt=reference needs a prompt, and there is none; set model.prompt_encoder, or prompt to denoiser or"
    with pytest.raises(ValueError, match=message):
        module.losses(tiny_batch(2))


@pytest.mark.parametrize(("name", "part"), [("prompt_encoder", NoPrompt), ("image_encoder", NoImageEncoder)])
def test_decoupled_tokens_need_a_prompt_and_an_image(build, name: str, part: Callable[[], nn.Module]) -> None:
    message = f"decoupled_tokens attends to a prompt and to image tokens, and there is no {name}; set model.{name}, or"
    with pytest.raises(ValueError, match=message):
        build(**{name: part()})


def test_unknown_options_and_a_missing_denoiser_are_refused() -> None:
    for option in ("timestep", "tokens", "prompt", "null_features"):
        with pytest.raises(ValueError, match=rf"{option} must be one of .*, got 'none at all'"):
            OrnamentUNetReferenceNet(**{option: "none at all"})
    with pytest.raises(ValueError, match=r"NoDenoiser has none; set model.reference_net=NoReferenceNet"):
        OrnamentUNetReferenceNet().attach(None)
