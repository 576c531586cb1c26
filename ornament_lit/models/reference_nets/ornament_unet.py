"""OrnamentUNetReferenceNet: a UNet that looks at the ornament alone, as IDM-VTON and OOTDiffusion have it.

Shape legend: B batch, c latent channels, h, w latent size, N tokens of a layer, C its channels.
"""

import copy
from typing import Literal

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from ornament_lit.models.attention import AttentionContext, RawLayerNorm
from ornament_lit.models.attention_layers import cross_attention_layers, install_processors, self_attention_layers
from ornament_lit.models.conditioning import Conditioning
from ornament_lit.models.reference_features import LayerTokens, ReferenceFeatures
from ornament_lit.models.reference_nets.base import ReferenceNet
from ornament_lit.models.unet import added_conditions, cut_tail, fold_cross_attention, has_own_files, widen_input
from ornament_lit.models.withholding import given_or
from ornament_lit.utils.choices import check_choice

Timestep = Literal["denoising", "zero"]
Tokens = Literal["normalised", "raw"]
Prompt = Literal["reference", "denoiser", "none"]
NullFeatures = Literal["absent", "zero_latents"]


class OrnamentUNetReferenceNet(ReferenceNet):
    """Run a UNet on the ornament's latents, and hand the input of every self-attention to the denoiser's layer.

    The defaults are those of IDM-VTON (2024, arXiv 2403.05139), but for ``weights``; OOTDiffusion (2024, arXiv
    2403.01779) has ``trained: true, timestep: zero, tokens: raw, prompt: denoiser, null_features: zero_latents``.
    Unlike `UNetReferenceNet` it sees neither the person nor a mask. What lies behind the last self-attention is
    removed.

    Args:
        weights: A UNet of the shape of the denoiser's, such as
            `ornament_lit.models.pretrained.pretrained_unet`; null for a copy of the denoiser's.
        trained: Train it; else it stays as it is.
        timestep: ``denoising``: that of the denoising step, so that it runs in every step; ``zero``: 0, so that it runs
            once for an image.
        tokens: What is handed on: ``normalised`` by its own layer norms, or ``raw``, for the denoiser's to normalise.
        prompt: What its cross-attention looks at: the ``reference`` prompt of the prompt encoder, the prompt and image
            tokens of the ``denoiser``, or nothing (``none``).
        null_features: What samples without their ornament have: ``absent`` for no tokens (see ``absent_reference`` of
            the denoiser), ``zero_latents`` for the features of latents that are zero.
        gradient_checkpointing: Recompute activations in the backward pass to save memory.

    Raises:
        ValueError: If an option is unknown.
    """

    needs = frozenset(("ornament",))
    unet: UNet2DConditionModel

    def __init__(
        self,
        weights: UNet2DConditionModel | None = None,
        trained: bool = False,
        timestep: Timestep = "denoising",
        tokens: Tokens = "normalised",
        prompt: Prompt = "reference",
        null_features: NullFeatures = "absent",
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        check_choice("timestep", timestep, Timestep)
        check_choice("tokens", tokens, Tokens)
        check_choice("prompt", prompt, Prompt)
        check_choice("null_features", null_features, NullFeatures)
        self.weights = weights
        self.trained = trained
        self.timestep = timestep
        self.tokens = tokens
        self.prompt = prompt
        self.null_features = null_features
        self.gradient_checkpointing = gradient_checkpointing
        self.per_step = timestep == "denoising"
        self.own_null = null_features == "zero_latents"
        self.kept_when_frozen = weights is None or not has_own_files(weights)

    def attach(self, unet: UNet2DConditionModel | None) -> None:
        """Take the given UNet, or copy the denoiser's, and leave of it what its tokens need.

        Raises:
            ValueError: If the denoiser has none, or one of another shape.
        """
        if unet is None:
            raise ValueError(
                "OrnamentUNetReferenceNet serves a denoiser's UNet, and NoDenoiser has none; set "
                "model.reference_net=NoReferenceNet"
            )
        own = copy.deepcopy(unet) if self.weights is None else self.weights
        self.weights = None
        _check_shape(own, unet)
        _check_widths(own, unet, has_prompt=self.prompt != "none")
        self.unet = own.requires_grad_(True)
        latent_channels = int(unet.config.out_channels)
        if own.config.in_channels != latent_channels:
            widen_input(own, latent_channels, keep=latent_channels)
        if cross_attention_layers(own) and (self.prompt == "none" or not cross_attention_layers(unet)):
            fold_cross_attention(own)
        last_block = cut_tail(own)
        if self.tokens == "raw":
            _hand_out_raw_tokens(own, last_block)
        install_processors(own)
        own.requires_grad_(self.trained)
        if self.gradient_checkpointing and self.trained:
            own.enable_gradient_checkpointing()
        else:
            own.disable_gradient_checkpointing()

    def forward(self, conditioning: Conditioning, input_mask: Tensor) -> ReferenceFeatures:
        """Compute tokens for every self-attention layer.

        Raises:
            ValueError: If it wants a prompt, and there is none.
        """
        latents = conditioning.ornament_latents
        if self.own_null:
            latents = given_or(conditioning.given, latents)
        timesteps = conditioning.timesteps if self.per_step else None
        captured: dict[str, Tensor] = {}
        self.unet(
            latents,
            latents.new_zeros((), dtype=torch.long) if timesteps is None else timesteps,
            encoder_hidden_states=self._prompt(conditioning),
            cross_attention_kwargs={"context": AttentionContext(captured=captured)},
            added_cond_kwargs=added_conditions(self.unet, len(latents), latents),
            return_dict=False,
        )
        raw = self.tokens == "raw"
        tokens = {name: LayerTokens(layer, layer[:, :0], raw) for name, layer in captured.items()}
        empty = input_mask[:, :0]
        return ReferenceFeatures(empty, empty, tokens=tokens, own_null=self.own_null)

    def _prompt(self, conditioning: Conditioning) -> Tensor | None:
        if not cross_attention_layers(self.unet):
            return None
        if self.prompt == "denoiser":
            return conditioning.tokens()
        if conditioning.prompt is None:
            raise ValueError(
                "reference_net with prompt=reference needs a prompt, and there is none; set model.prompt_encoder, or "
                "prompt to denoiser or none"
            )
        return conditioning.prompt.reference


def _check_shape(own: UNet2DConditionModel, unet: UNet2DConditionModel) -> None:
    """Check that both have the same self-attention layers, of the same widths."""
    widths = [
        {name: each.get_submodule(name).to_q.in_features for name in self_attention_layers(each)}
        for each in (own, unet)
    ]
    differing = sorted(set(widths[0].items()) ^ set(widths[1].items()))
    if differing:
        name = differing[0][0]
        raise ValueError(
            f"weights of the reference net must be of a UNet of the denoiser's shape: {name} has "
            f"{widths[0].get(name, 'no')} channels there, and {widths[1].get(name, 'no')} in the denoiser"
        )


def _check_widths(own: UNet2DConditionModel, unet: UNet2DConditionModel, has_prompt: bool) -> None:
    """Check that a UNet takes the latents, and the tokens of the denoiser's cross-attention where it is told any."""
    latents, given = int(unet.config.out_channels), int(own.config.in_channels)
    if given < latents:
        raise ValueError(
            f"weights of the reference net must take {latents} latent channels or more, got in_channels={given}; take "
            "another UNet"
        )
    told, wanted = (each.config.cross_attention_dim for each in (unet, own))
    if has_prompt and cross_attention_layers(unet) and told != wanted:
        raise ValueError(
            f"weights of the reference net must be told tokens of the denoiser's width, {told}, got "
            f"cross_attention_dim={wanted}; take another UNet, or set prompt to none"
        )


def _hand_out_raw_tokens(unet: UNet2DConditionModel, last_block: str) -> None:
    """Let the norms before self-attention layers pass on what they were given; the last block captures nothing else."""
    for name in self_attention_layers(unet):
        block = unet.get_submodule(name.removesuffix(".attn1"))
        raw = RawLayerNorm(block.norm1.normalized_shape, block.norm1.eps, block.norm1.elementwise_affine)
        raw.to(block.norm1.weight).load_state_dict(block.norm1.state_dict())
        block.norm1 = raw
    unet.get_submodule(last_block).norm1 = nn.Identity()
