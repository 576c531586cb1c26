"""Denoiser: a diffusers UNet that looks at the masked person, at the mask and at reference features.

Shape legend: B batch, c latent channels, h, w latent size, N tokens of a layer, L image tokens of D channels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import torch
from diffusers import SchedulerMixin, UNet2DConditionModel
from torch import Tensor, nn

from ornament_lit.models.attention import AbsentReference, AttentionContext, project_tokens
from ornament_lit.models.attention_layers import (
    cross_attention_layers,
    highest_resolution_layers,
    install_processors,
    self_attention_layers,
)
from ornament_lit.models.decoupled_attention import DecoupledAttention
from ornament_lit.models.denoiser_inputs import Input, check_inputs, count_channels, join_inputs
from ornament_lit.models.input_skip import InputSkip, NoInputSkip
from ornament_lit.models.known_pixels import NothingKnown, OutsideBoxKnown
from ornament_lit.models.prompts import Prompts
from ornament_lit.models.reference_features import LayerTokens, ProjectedTokens, ReferenceFeatures
from ornament_lit.models.reference_matching import NoReferenceMatching, ReferenceMatching
from ornament_lit.models.unet import (
    added_conditions,
    check_conditioning,
    fold_cross_attention,
    freeze_encoder,
    start_at_zero,
    widen_input,
)
from ornament_lit.models.withholding import and_null, cross_tokens, given_or, join_tokens
from ornament_lit.utils.choices import check_choice

Trained = Literal["all", "decoder"]


@dataclass(frozen=True)
class DenoiserOutput:
    """What the denoiser returns.

    Attributes:
        prediction: (B, c, h, w): noise, latents or velocity, as the noise scheduler's ``prediction_type`` says.
        mass: Attention mass of each query on the masked ornament, (B, N, 1), by layer; only the layers asked for.
        places: x and y in [-1, 1] of the ornament's tokens, weighted by mask and attention and summed, (B, N, 2), by
            layer; divided by the mass, they are where in the ornament's image a query looks.
        point_attention: Logarithm of the attention among the ornament's tokens of the points that were asked for,
            averaged over heads, (B, S, M), by layer.
    """

    prediction: Tensor
    mass: dict[str, Tensor]
    places: dict[str, Tensor] = field(default_factory=dict)
    point_attention: dict[str, Tensor] = field(default_factory=dict)


class Denoiser(nn.Module):
    """Predict the noise from concat[noisy latents, mask, masked-person latents] and from reference features.

    This order of the channels is that of Stable Diffusion's inpainting UNet, so that its weights fit as they are; a
    UNet with latent channels only is widened, and the new channels start at zero. ``inputs`` chooses others.

    Args:
        unet: A UNet of diffusers: `diffusers.UNet2DConditionModel` for random weights or
            `ornament_lit.models.pretrained.pretrained_unet` for pretrained ones. Those of Stable Diffusion 1.x, 2.x
            and XL fit; XL's is told that there is no text, and the size of the image.
        gradient_checkpointing: Recompute activations in the backward pass to save memory.
        direct_masking: Ablation that the paper rejects: mask the attention itself, so that only queries inside the
            current wearing mask attend to the ornament, by as much as it says. Not to be used with an attention loss.
        reference_matching: What helps the queries to find their place on the ornament; null for nothing, as in the
            paper.
        known_pixels: Outside of the box stand the clean latents of the masked person in the place of noisy ones, both
            in training, whose noise loss then counts the inside alone, and in sampling. A position of the latents is
            outside where the box covers nothing of it.
        input_skip: Add a linear map of the inputs to the prediction, weighed by the timestep, which starts at zero: for
            UNets whose first convolution is narrower than the inputs, so that they cannot hand them on.
        warp_condition: Look at what the warp says, too: the latents of its composite, and its coverage. The new input
            channels start at zero.
        warp_residual: Predict how the warp's composite is to change: its latents are added to the prediction, and
            where a UNet is widened, its last convolution starts at zero, so that an untrained denoiser generates the
            composite itself. For noise schedulers that predict the latents; needs ``warp_condition``.
        inputs: What the UNet looks at, in the order of its channels: ``noisy`` latents first, then any of ``mask``,
            ``erased`` (latents of the person with the box masked out) and ``keep`` (1 - mask).
        trained: ``all`` of the UNet, or its ``decoder`` alone: the blocks behind the middle one, and the output.
        decoupled_tokens: Attend to the image tokens by keys and values of their own, beside those of a prompt
            (IP-Adapter); needs a prompt encoder and an image encoder.
        absent_reference: What stands in the place of a reference's tokens that a sample is not given: ``dropped`` for
            nothing, ``zeros`` for keys and values of zeros, which take their share of the attention.

    Raises:
        ValueError: If the UNet's inputs do not fit, an option is unknown, or ``warp_residual`` is without
            ``warp_condition``.
    """

    def __init__(
        self,
        unet: UNet2DConditionModel,
        gradient_checkpointing: bool = False,
        direct_masking: bool = False,
        reference_matching: ReferenceMatching | None = None,
        known_pixels: bool = False,
        input_skip: bool = False,
        warp_condition: bool = False,
        warp_residual: bool = False,
        inputs: Sequence[Input] = ("noisy", "mask", "erased"),
        trained: Trained = "all",
        decoupled_tokens: bool = False,
        absent_reference: AbsentReference = "dropped",
    ) -> None:
        super().__init__()
        check_inputs(inputs)
        check_choice("trained", trained, Trained)
        check_choice("absent_reference", absent_reference, AbsentReference)
        if warp_residual and not warp_condition:
            raise ValueError("warp_residual changes what warp_condition looks at; set warp_condition to true, too")
        self.unet = unet
        self.latent_channels = int(unet.config.out_channels)
        self.warp_condition, self.warp_residual = warp_condition, warp_residual
        self.direct_masking = direct_masking
        self.inputs, self.trained = list(inputs), trained
        self.decoupled_tokens, self.absent_reference = decoupled_tokens, absent_reference
        self._check_input_channels()
        check_conditioning(unet)
        if unet.config.in_channels < self.input_channels:
            widen_input(unet, self.input_channels, keep=unet.config.in_channels)
            if warp_residual:
                start_at_zero(unet)
        if trained == "decoder":
            freeze_encoder(unet)
        self.decoupled = DecoupledAttention(unet, cross_attention_layers(unet)) if decoupled_tokens else None
        install_processors(unet, self.decoupled)
        if gradient_checkpointing:
            unet.enable_gradient_checkpointing()
        self.reference_matching = reference_matching or NoReferenceMatching()
        self.reference_matching.attach({name: _heads(unet, name) for name in self.self_attention_layers()})
        self.known_pixels = known_pixels
        self.known = OutsideBoxKnown() if known_pixels else NothingKnown()
        self.input_skip = input_skip
        channels = (self.input_channels, self.latent_channels)
        self.skip = InputSkip(*channels) if input_skip else NoInputSkip()

    @property
    def input_channels(self) -> int:
        """Channels that the UNet looks at: the inputs, and latents and coverage of the warp."""
        warp = self.latent_channels + 1 if self.warp_condition else 0
        return count_channels(self.inputs, self.latent_channels) + warp

    @property
    def needs_erased(self) -> bool:
        """Whether it looks at the latents of the person with the box masked out."""
        return "erased" in self.inputs or self.known_pixels

    def check(self, noise_scheduler: SchedulerMixin) -> None:
        """Check that what is predicted fits the scheduler of training.

        Raises:
            ValueError: If a composite would be added to anything else than latents.
        """
        kind = noise_scheduler.config.get("prediction_type")
        if self.warp_residual and kind != "sample":
            raise ValueError(
                f"warp_residual needs a noise scheduler with prediction_type: sample, got {kind}; set it, or "
                "warp_residual to false"
            )

    def _check_input_channels(self) -> None:
        given, latents = int(self.unet.config.in_channels), self.latent_channels
        told = count_channels(self.inputs, latents)
        if given not in (latents, told, self.input_channels):
            raise ValueError(
                f"the UNet must have {latents} input channels (latents) or {told} ({', '.join(self.inputs)}), got "
                f"in_channels={given}"
            )
        if self.trained == "decoder" and given < self.input_channels:
            raise ValueError(
                f"trained=decoder freezes the first convolution, whose new channels would stay zero; give a UNet with "
                f"{self.input_channels} input channels, or inputs of {given}"
            )

    @property
    def cross_attention_dim(self) -> int:
        """Channels of an image token, D."""
        dim = self.unet.config.cross_attention_dim
        return int(dim if isinstance(dim, int) else dim[0])

    def noised(self, latents: Tensor) -> Tensor:
        """The latents of the person that training adds noise to, of (B, c, h, w): all."""
        return latents

    def drop_cross_attention(self) -> None:
        """Remove the cross-attention layers, because there are no image tokens."""
        fold_cross_attention(self.unet)

    def self_attention_layers(self) -> list[str]:
        """Names of all self-attention layers, from the input to the output."""
        return self_attention_layers(self.unet)

    def highest_resolution_layers(self) -> list[str]:
        """Names of the self-attention layers of the highest resolution in encoder and decoder."""
        return highest_resolution_layers(self.unet)

    def project(self, features: ReferenceFeatures) -> ReferenceFeatures:
        """Project the tokens of all layers to keys and values, for features that serve many steps.

        Args:
            features: Features of the reference net.

        Returns:
            The same features; :meth:`forward` gives the same with them, in less time.
        """
        return replace(features, tokens={name: self._project(name, layer) for name, layer in features.tokens.items()})

    def _project(self, name: str, layer: LayerTokens | ProjectedTokens) -> ProjectedTokens:
        if isinstance(layer, ProjectedTokens):
            return layer
        norm = self.unet.get_submodule(name.removesuffix("attn1") + "norm1")
        return project_tokens(self.unet.get_submodule(name), layer, norm)

    def forward(
        self,
        noisy_latents: Tensor,
        timesteps: Tensor,
        masked_person_latents: Tensor,
        input_mask: Tensor,
        image_tokens: Tensor,
        features: ReferenceFeatures,
        ornament_mask: Tensor,
        mass_layers: Sequence[str] = (),
        keep_condition: Tensor | None = None,
        box_mask: Tensor | None = None,
        points: Mapping[str, Tensor] | None = None,
        warp_latents: Tensor | None = None,
        null_tokens: Tensor | None = None,
        prompt: Prompts | None = None,
    ) -> DenoiserOutput:
        """Predict one denoising step.

        Args:
            noisy_latents: (B, c, h, w).
            timesteps: (B,) int64.
            masked_person_latents: Latents of the person with the box masked out, (B, c, h, w).
            input_mask: Current wearing mask, (B, 1, h, w) in [0, 1].
            image_tokens: (B, L, D); L may be 0.
            features: Features of the reference net.
            ornament_mask: Where the ornament is in its own image, (B, 1, h, w) in [0, 1].
            mass_layers: Layers whose attention mass on the ornament is wanted.
            keep_condition: (B,) bool; where it is False, no token or feature of the reference reaches the sample, as in
                the unconditional half of a guided step: neither those of the ornament nor those of the person, which
                have seen the ornament on a canvas; features with ``own_null`` are taken as they are. The masked person
                and the current mask, which was predicted with the ornament, stay inputs. None where all samples keep
                theirs.
            box_mask: The coarse box, (B, 1, h, w) in [0, 1]; ``known_pixels`` and `PositionalMatching` need it.
            points: By layer, points of the person's image whose attention is wanted, (B, S, 2) of x and y in [-1, 1].
            warp_latents: Latents of the warp's composite, and its coverage, (B, c + 1, h, w); ``warp_condition`` needs
                them.
            null_tokens: What stands in the place of image tokens that are not given, (B, L, D); None for zeros.
            prompt: Tokens of the prompt; None for none.

        Returns:
            The prediction and what was measured; differentiable in latents, mask, tokens and features.

        Raises:
            ValueError: If there must be a box, and is none.
        """
        context = AttentionContext(
            tokens=features.tokens,
            ornament_mask=ornament_mask,
            mass_layers=frozenset(mass_layers),
            visible_from=input_mask if self.direct_masking else None,
            keep_condition=None if features.own_null else keep_condition,
            absent=self.absent_reference,
            match=self.reference_matching.bind(box_mask, ornament_mask),
            points=points or {},
        )
        noisy_latents = self.known.insert(noisy_latents, masked_person_latents, box_mask)
        inputs = join_inputs(self.inputs, noisy_latents, masked_person_latents, input_mask)
        pick = partial(given_or, keep_condition)
        pick_features = partial(given_or, None) if features.own_null else pick
        inputs = torch.cat([inputs, *(pick(condition) for condition in self._warp(warp_latents))], dim=1)
        image = join_tokens(pick(image_tokens, null_tokens), pick_features, features.context_tokens)
        residuals = [pick_features(residual) for residual in features.skip_residuals]
        text = None if prompt is None else pick(prompt.tokens, prompt.null)
        prediction = self._run(inputs, timesteps, text, image, residuals, context)
        return DenoiserOutput(prediction, context.mass, context.places, context.point_attention)

    def guided(
        self,
        noisy_latents: Tensor,
        timesteps: Tensor,
        masked_person_latents: Tensor,
        input_mask: Tensor,
        image_tokens: Tensor,
        features: ReferenceFeatures,
        ornament_mask: Tensor,
        box_mask: Tensor | None = None,
        warp_latents: Tensor | None = None,
        null_tokens: Tensor | None = None,
        prompt: Prompts | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Predict both halves of a guided step in one call, which is faster than two.

        Only self-attention tells them apart: neither half computes anything for the other's keys. It is not for
        features with ``own_null``, which :meth:`forward` takes.

        Args:
            noisy_latents: See :meth:`forward`, as for all others.
            timesteps: (B,).
            masked_person_latents: (B, c, h, w).
            input_mask: (B, 1, h, w).
            image_tokens: (B, L, D).
            features: Features of the reference net.
            ornament_mask: (B, 1, h, w).
            box_mask: (B, 1, h, w).
            warp_latents: (B, c + 1, h, w).
            null_tokens: (B, L, D).
            prompt: Tokens of the prompt.

        Returns:
            The predictions with the ornament's tokens and features and without them, each (B, c, h, w).
        """
        context = AttentionContext(
            tokens=features.tokens,
            ornament_mask=ornament_mask,
            visible_from=input_mask if self.direct_masking else None,
            guided=True,
            absent=self.absent_reference,
            match=self.reference_matching.bind(box_mask, ornament_mask),
        )
        noisy_latents = self.known.insert(noisy_latents, masked_person_latents, box_mask)
        inputs = torch.cat([join_inputs(self.inputs, noisy_latents, masked_person_latents, input_mask)] * 2)
        inputs = torch.cat([inputs, *(and_null(condition) for condition in self._warp(warp_latents))], dim=1)
        image = join_tokens(and_null(image_tokens, null_tokens), and_null, features.context_tokens)
        residuals = [and_null(residual) for residual in features.skip_residuals]
        text = None if prompt is None else and_null(prompt.tokens, prompt.null)
        both = self._run(inputs, timesteps.repeat(2), text, image, residuals, context)
        conditional, unconditional = both.chunk(2)
        return conditional, unconditional

    def _warp(self, warp_latents: Tensor | None) -> list[Tensor]:
        if not self.warp_condition:
            return []
        if warp_latents is None:
            raise ValueError("warp_condition needs a warp, and the model has none; set model.warp")
        return [warp_latents]

    def _run(
        self,
        inputs: Tensor,
        timesteps: Tensor,
        text: Tensor | None,
        image: Tensor,
        residuals: list[Tensor],
        context: AttentionContext,
    ) -> Tensor:
        if self.decoupled is None:
            tokens = cross_tokens(text, image)
        else:
            assert text is not None
            tokens, context = text, replace(context, image_tokens=image)
        prediction: Tensor = self.unet(
            inputs,
            timesteps,
            encoder_hidden_states=tokens,
            cross_attention_kwargs={"context": context},
            added_cond_kwargs=added_conditions(self.unet, len(inputs), inputs),
            down_block_additional_residuals=residuals[:-1] or None,
            mid_block_additional_residual=residuals[-1] if residuals else None,
            return_dict=False,
        )[0]
        skipped: Tensor = self.skip(prediction, inputs, timesteps)
        return skipped + self._composite(inputs) if self.warp_residual else skipped

    def _composite(self, inputs: Tensor) -> Tensor:
        """The latents of the warp's composite among the inputs, (B, c, h, w)."""
        return inputs[:, -1 - self.latent_channels : -1]


def _heads(unet: UNet2DConditionModel, name: str) -> tuple[int, int]:
    """Heads of an attention layer, and the channels of each."""
    layer = unet.get_submodule(name)
    return layer.heads, layer.to_q.out_features // layer.heads
