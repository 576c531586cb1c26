"""What fits a diffusers UNet to try-on: input channels, cross-attention without tokens, unused tail, its conditions."""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from ornament_lit.models.attention import AttentionContext
from ornament_lit.models.attention_layers import self_attention_layers


def widen_input(unet: UNet2DConditionModel, in_channels: int, keep: int) -> None:
    """Change the number of input channels: the first ``keep`` stay as they are, the rest starts at zero.

    Args:
        unet: The UNet, changed in place.
        in_channels: Input channels wanted.
        keep: Channels whose weights are kept, at most what the UNet has.
    """
    old = unet.conv_in
    new = nn.Conv2d(in_channels, old.out_channels, old.kernel_size, padding=old.padding)
    with torch.no_grad():
        new.weight.zero_()
        new.weight[:, :keep] = old.weight[:, :keep]
        assert new.bias is not None and old.bias is not None
        new.bias.copy_(old.bias)
    unet.conv_in = new.to(old.weight)
    unet.register_to_config(in_channels=in_channels)


def start_at_zero(unet: UNet2DConditionModel) -> None:
    """Let a UNet predict zeros until it has learned more: its last convolution becomes zero."""
    with torch.no_grad():
        for weights in unet.conv_out.parameters():
            weights.zero_()


def freeze_encoder(unet: UNet2DConditionModel) -> None:
    """Take everything out of training that a UNet computes before its decoder: input, timestep, encoder, middle.

    Checkpoints leave it out where the UNet comes from files of its own.
    """
    for name in ("conv_in", "time_embedding", "add_embedding", "down_blocks", "mid_block"):
        part = getattr(unet, name, None)
        if part is not None:
            part.requires_grad_(False)
            part.kept_when_frozen = not has_own_files(unet)


def has_own_files(unet: UNet2DConditionModel) -> bool:
    """Whether a UNet was loaded from a folder or a hub, so that its weights can be had again from there."""
    return bool(unet.config.get("_name_or_path"))


PIXELS_PER_LATENT = 8
"""Along a side, in Stable Diffusion XL, whose UNet is told the size of the image in pixels."""


def check_conditioning(unet: UNet2DConditionModel) -> None:
    """Refuse a UNet that asks for conditions that try-on does not have.

    Raises:
        ValueError: If it has other embeddings than those of Stable Diffusion 1.x, 2.x and XL.
    """
    known: dict[str, tuple[object, ...]] = {
        "addition_embed_type": (None, "text_time"),
        "class_embed_type": (None,),
        "num_class_embeds": (None,),
        "encoder_hid_dim_type": (None,),
    }
    for name, allowed in known.items():
        value = unet.config.get(name)
        if value not in allowed:
            raise ValueError(
                f"the UNet asks for a condition that try-on does not have, {name}={value!r}; use a UNet of Stable "
                "Diffusion 1.x, 2.x or XL"
            )


def added_conditions(unet: UNet2DConditionModel, batch_size: int, like: Tensor) -> dict[str, Tensor] | None:
    """What Stable Diffusion XL's UNet is told beside the tokens: no text, a whole image of this size.

    Its pooled text embedding is zero, which is what it was trained with where there is no text; its ``time_ids`` are
    the image's height and width, no crop, and the same height and width again (SDXL, 2023, section 2.2).

    Args:
        unet: Any UNet that :func:`check_conditioning` lets pass.
        batch_size: B.
        like: Latents of the image's size, (any, c, h, w).

    Returns:
        ``text_embeds`` (B, D) and ``time_ids`` (B, 6), or None for a UNet that asks for nothing.
    """
    if unet.config.get("addition_embed_type") != "text_time":
        return None
    size = [PIXELS_PER_LATENT * side for side in like.shape[-2:]]
    time_ids = torch.tensor([*size, 0.0, 0.0, *size], device=like.device).expand(batch_size, -1)
    width = unet.add_embedding.linear_1.in_features - time_ids.shape[1] * unet.config.addition_time_embed_dim
    return {"text_embeds": like.new_zeros(batch_size, width), "time_ids": time_ids}


class ConstantCrossAttention(nn.Module):
    """Cross-attention to a single zero token, which is the output's bias whatever the query.

    Args:
        bias: (C,) bias of the output projection it stands for.
    """

    def __init__(self, bias: Tensor) -> None:
        super().__init__()
        self.bias = nn.Parameter(bias.detach().clone(), requires_grad=bias.requires_grad)

    def forward(self, hidden_states: Tensor, **unused: Any) -> Tensor:  # noqa: ANN401
        """Return the bias, broadcast over (B, N, C)."""
        return self.bias.expand_as(hidden_states)


def fold_cross_attention(unet: UNet2DConditionModel) -> None:
    """Replace every cross-attention by the constant that it gives for a single zero token."""
    for block in _transformer_blocks(unet):
        block.attn2 = ConstantCrossAttention(block.attn2.to_out[0].bias)
        block.norm2 = nn.Identity()


def unfolded(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    """Undo :func:`fold_cross_attention` with stock layers: their output is the constant, whatever they attend to.

    Args:
        unet: A UNet; it is not changed.

    Returns:
        A new UNet with zeros for the weights that folding has removed, or ``unet`` itself where nothing is folded.
    """
    if not any(isinstance(block.attn2, ConstantCrossAttention) for block in _transformer_blocks(unet)):
        return unet
    stock: UNet2DConditionModel = UNet2DConditionModel.from_config(unet.config)
    for block in _transformer_blocks(stock):
        for parameter in block.attn2.parameters():
            nn.init.zeros_(parameter)
    folded = {key.replace("attn2.bias", "attn2.to_out.0.bias"): value for key, value in unet.state_dict().items()}
    if unet.dtype != stock.dtype:
        stock.to(unet.dtype)
    stock.load_state_dict(folded, strict=False)
    return stock


def _transformer_blocks(unet: UNet2DConditionModel) -> list[Any]:
    """Every transformer block that holds a self-attention layer, from input to output."""
    return [unet.get_submodule(name.removesuffix(".attn1")) for name in self_attention_layers(unet)]


class CaptureBlock(nn.Module):
    """Last transformer block of a reference net: normalises and captures its tokens, computes nothing more.

    Args:
        name: Name of the self-attention layer whose input it captures.
        norm: The normalisation before that layer.
    """

    def __init__(self, name: str, norm: nn.Module) -> None:
        super().__init__()
        self.name = name
        self.norm1 = norm

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        timestep: Tensor | None = None,
        cross_attention_kwargs: dict[str, AttentionContext] | None = None,
        class_labels: Tensor | None = None,
    ) -> Tensor:
        """Capture the normalised ``hidden_states``, (B, N, C), and pass them on."""
        context = (cross_attention_kwargs or {}).get("context")
        if context is not None and context.captured is not None:
            context.captured.setdefault(self.name, self.norm1(hidden_states))
        return hidden_states


def cut_tail(unet: UNet2DConditionModel) -> str:
    """Remove everything that a UNet computes after the input of its last self-attention layer.

    What is not computed needs no gradient: under DDP no ``find_unused_parameters`` is needed.

    Returns:
        The name of the last transformer block, which is left with its first normalisation.

    Raises:
        ValueError: If no decoder block has a self-attention layer.
    """
    last = self_attention_layers(unet)[-1]
    parts = last.split(".")
    if parts[0] != "up_blocks":
        raise ValueError(f"the UNet's decoder has no self-attention; the last one is {last}")
    unet.up_blocks = unet.up_blocks[: int(parts[1]) + 1]
    unet.up_blocks[-1].upsamplers = None
    transformer = unet.get_submodule(last.split(".transformer_blocks.", maxsplit=1)[0])
    blocks: Sequence[Any] = transformer.transformer_blocks
    transformer.transformer_blocks = nn.ModuleList([*blocks[:-1], CaptureBlock(last, blocks[-1].norm1)])
    transformer.proj_out = nn.Identity()
    unet.conv_norm_out = None
    unet.conv_out = nn.Identity()
    return last.removesuffix(".attn1")
