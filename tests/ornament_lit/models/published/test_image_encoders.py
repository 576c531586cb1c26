"""Published names, by weights of our own that are written down in the published layout."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ornament_lit.models.image_encoders import ClassTokenImageEncoder, ResamplerImageEncoder
from ornament_lit.models.published.image_encoders import class_token_weights, resampler_weights

State = dict[str, Tensor]
HEADS = 4


@pytest.fixture
def resampler(clip_folder: Path) -> ResamplerImageEncoder:
    torch.manual_seed(1)
    encoder = ResamplerImageEncoder(str(clip_folder), token_dim=24, num_tokens=4, width=32, depth=2, heads=HEADS)
    with torch.no_grad():
        for parameter in encoder.projection.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return encoder


@pytest.fixture
def class_token(clip_folder: Path) -> ClassTokenImageEncoder:
    torch.manual_seed(1)
    return ClassTokenImageEncoder(str(clip_folder), token_dim=24, num_blocks=2)


def published_resampler(encoder: ResamplerImageEncoder) -> State:
    """Our weights in the layout of IP-Adapter."""
    ours = encoder.projection.state_dict()
    state = {name: ours.pop(name) for name in list(ours) if not name.startswith("layers.")}
    for block in range(encoder.depth):
        layer = {name: ours.pop(name) for name in list(ours) if name.startswith(f"layers.{block}.")}
        at = {name.removeprefix(f"layers.{block}."): tensor for name, tensor in layer.items()}
        for kind in ("weight", "bias"):
            state[f"layers.{block}.0.norm1.{kind}"] = at.pop(f"ln0.{kind}")
            state[f"layers.{block}.0.norm2.{kind}"] = at.pop(f"ln1.{kind}")
            state[f"layers.{block}.1.0.{kind}"] = at.pop(f"ff.0.{kind}")
        both = [at.pop(f"attn.to_{kind}.weight") for kind in ("k", "v")]
        state[f"layers.{block}.0.to_kv.weight"] = torch.cat(both)
        state[f"layers.{block}.0.to_q.weight"] = at.pop("attn.to_q.weight")
        state[f"layers.{block}.0.to_out.weight"] = at.pop("attn.to_out.0.weight")
        state[f"layers.{block}.1.1.weight"] = at.pop("ff.1.net.0.proj.weight")
        state[f"layers.{block}.1.3.weight"] = at.pop("ff.1.net.2.weight")
        assert not at
    assert not ours
    return state


def resample(state: State, features: Tensor, depth: int) -> Tensor:
    """The published network, restated: queries ask the picture and themselves, block after block."""

    def norm(name: str, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])

    def heads(x: Tensor) -> Tensor:
        return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)

    x = F.linear(features, state["proj_in.weight"], state["proj_in.bias"])
    queries = state["latents"].expand(len(x), -1, -1)
    for block in range(depth):
        at = f"layers.{block}"
        asked = norm(f"{at}.0.norm2", queries)
        keys = torch.cat([norm(f"{at}.0.norm1", x), asked], dim=1)
        q = F.linear(asked, state[f"{at}.0.to_q.weight"])
        k, v = F.linear(keys, state[f"{at}.0.to_kv.weight"]).chunk(2, dim=-1)
        weights = (heads(q) @ heads(k).transpose(-1, -2) / (q.shape[-1] // HEADS) ** 0.5).softmax(dim=-1)
        found = (weights @ heads(v)).transpose(1, 2).flatten(2)
        queries = queries + F.linear(found, state[f"{at}.0.to_out.weight"])
        hidden = F.gelu(F.linear(norm(f"{at}.1.0", queries), state[f"{at}.1.1.weight"]))
        queries = queries + F.linear(hidden, state[f"{at}.1.3.weight"])
    return norm("norm_out", F.linear(queries, state["proj_out.weight"], state["proj_out.bias"]))


def published_class_token(encoder: ClassTokenImageEncoder) -> State:
    """Our weights in the layout of Paint-by-Example's folder, which transformers 4 wrote."""
    state = {}
    for name, tensor in encoder.state_dict().items():
        part, _, rest = name.partition(".")
        where = {
            "clip": f"model.vision_model.{rest.removeprefix('vision_model.')}",
            "mapper": f"mapper.blocks.{rest}",
            "norm": f"final_layer_norm.{rest}",
            "projection": f"proj_out.{rest}",
            "null": "uncond_vector",
        }
        state[where[part]] = tensor.unsqueeze(0) if part == "null" else tensor
    return state


def same(found: State, expected: State) -> bool:
    return set(found) == set(expected) and all(torch.equal(found[name], expected[name]) for name in found)


def test_class_token_round_trip(class_token: ClassTokenImageEncoder) -> None:
    state = published_class_token(class_token)
    assert state["uncond_vector"].shape == (1, 1, 24)
    assert same(class_token_weights(state), class_token.state_dict())
    state["model.vision_model.embeddings.position_ids"] = torch.arange(17)[None]
    assert same(class_token_weights(state), class_token.state_dict())


@pytest.mark.parametrize("prefix", ["", "image_proj.", "encoder_hid_proj."])
def test_resampler_round_trip(resampler: ResamplerImageEncoder, prefix: str) -> None:
    state = {f"{prefix}{name}": tensor for name, tensor in published_resampler(resampler).items()}
    others = {"ip_adapter.1.to_k_ip.weight": torch.zeros(1), "conv_in.weight": torch.zeros(1)} if prefix else {}
    found = resampler_weights({**state, **others})
    assert same(
        {name.removeprefix("projection."): value for name, value in found.items()}, resampler.projection.state_dict()
    )
    resampler.load_state_dict({**resampler.state_dict(), **found})


def test_halves_are_keys_and_then_values(resampler: ResamplerImageEncoder) -> None:
    """The outputs of the published network are those of ours."""
    state, features = published_resampler(resampler), torch.randn(2, 17, 16)
    torch.testing.assert_close(resampler.project(features), resample(state, features, 2), atol=1e-5, rtol=1e-5)
    found = resampler_weights(state)
    assert torch.equal(found["projection.layers.1.attn.to_k.weight"], state["layers.1.0.to_kv.weight"][:32])
    assert torch.equal(found["projection.layers.1.attn.to_v.weight"], state["layers.1.0.to_kv.weight"][32:])


def test_other_names(resampler: ResamplerImageEncoder, class_token: ClassTokenImageEncoder) -> None:
    state = published_resampler(resampler)
    with pytest.raises(ValueError, match=r"IP-Adapter's resampler: unknown name layers\.0\.2\.x \(1 in all\); choose"):
        resampler_weights({**state, "layers.0.2.x": torch.zeros(1)})
    del state["layers.0.0.to_kv.weight"], state["norm_out.bias"]
    with pytest.raises(ValueError, match=r"missing name layers\.0\.0\.to_kv\.weight \(2 in all\)"):
        resampler_weights(state)
    state = published_class_token(class_token)
    state["other"] = state.pop("uncond_vector")
    with pytest.raises(ValueError, match=r"unknown name other \(1 in all\), missing name uncond_vector \(1 in all\)"):
        class_token_weights(state)
    state = published_class_token(class_token)
    del state["mapper.blocks.0.attn1.to_q.bias"], state["model.vision_model.encoder.layers.0.mlp.fc1.bias"]
    with pytest.raises(ValueError, match=r"missing name mapper\.blocks\.0\.attn1\.to_q\.bias \(2 in all\)"):
        class_token_weights(state)
    with pytest.raises(ValueError, match="missing name"):
        resampler_weights({})
