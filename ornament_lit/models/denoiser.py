"""Denoiser: a diffusers UNet that looks at the masked person, at the mask and at reference features.

Shape legend: B batch, c latent channels, h, w latent size, N tokens of a layer, L image tokens of D channels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from diffusers import SchedulerMixin, UNet2DConditionModel
from torch import Tensor, nn

from ornament_lit.models.attention import (
    AttentionContext,
    highest_resolution_layers,
    install_processors,
    project_tokens,
    self_attention_layers,
)
from ornament_lit.models.input_skip import InputSkip, NoInputSkip
from ornament_lit.models.known_pixels import NothingKnown, OutsideBoxKnown
from ornament_lit.models.reference_features import ProjectedTokens, ReferenceFeatures
from ornament_lit.models.reference_matching import NoReferenceMatching, ReferenceMatching
from ornament_lit.models.unet import (
    added_conditions,
    check_conditioning,
    fold_cross_attention,
    start_at_zero,
    widen_input,
)


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

    The order of the channels is that of Stable Diffusion's inpainting UNet, so that its weights fit as they are; a
    UNet with latent channels only is widened, and the new channels start at zero.

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

    Raises:
        ValueError: If the UNet's inputs do not fit, or ``warp_residual`` is without ``warp_condition``.
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
    ) -> None:
        super().__init__()
        if warp_residual and not warp_condition:
            raise ValueError("warp_residual changes what warp_condition looks at; set warp_condition to true, too")
        self.unet = unet
        self.latent_channels = int(unet.config.out_channels)
        self.warp_condition, self.warp_residual = warp_condition, warp_residual
        self.direct_masking = direct_masking
        self._check_input_channels()
        check_conditioning(unet)
        if unet.config.in_channels < self.input_channels:
            widen_input(unet, self.input_channels, keep=unet.config.in_channels)
            if warp_residual:
                start_at_zero(unet)
        install_processors(unet)
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
        """Channels that the UNet looks at: noisy latents, mask, masked person; latents and coverage of the warp."""
        groups = 3 if self.warp_condition else 2
        return groups * self.latent_channels + groups - 1

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
        usual = (self.latent_channels, 2 * self.latent_channels + 1)
        if self.unet.config.in_channels not in (*usual, self.input_channels):
            raise ValueError(
                f"the UNet must have {usual[0]} input channels (latents) or {usual[1]} (noisy latents, mask, "
                f"masked person), got in_channels={self.unet.config.in_channels}"
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
        tokens = {
            name: layer if isinstance(layer, ProjectedTokens) else project_tokens(self.unet.get_submodule(name), layer)
            for name, layer in features.tokens.items()
        }
        return replace(features, tokens=tokens)

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
                have seen the ornament on a canvas. The masked person and the current mask, which was predicted with
                the ornament, stay inputs. None where all samples keep theirs.
            box_mask: The coarse box, (B, 1, h, w) in [0, 1]; ``known_pixels`` and `PositionalMatching` need it.
            points: By layer, points of the person's image whose attention is wanted, (B, S, 2) of x and y in [-1, 1].
            warp_latents: Latents of the warp's composite, and its coverage, (B, c + 1, h, w); ``warp_condition`` needs
                them.

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
            keep_condition=keep_condition,
            match=self.reference_matching.bind(box_mask, ornament_mask),
            points=points or {},
        )
        noisy_latents = self.known.insert(noisy_latents, masked_person_latents, box_mask)
        inputs = torch.cat(
            [noisy_latents, input_mask, masked_person_latents, *self._warp(keep_condition, warp_latents)], dim=1
        )
        tokens = _where(keep_condition, _join_tokens(image_tokens, features.context_tokens))
        residuals = [_where(keep_condition, residual) for residual in features.skip_residuals]
        prediction = self._run(inputs, timesteps, tokens, residuals, context)
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
    ) -> tuple[Tensor, Tensor]:
        """Predict both halves of a guided step in one call, which is faster than two.

        Only self-attention tells them apart: neither half computes anything for the other's keys.

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

        Returns:
            The predictions with the ornament's tokens and features and without them, each (B, c, h, w).
        """
        context = AttentionContext(
            tokens=features.tokens,
            ornament_mask=ornament_mask,
            visible_from=input_mask if self.direct_masking else None,
            guided=True,
            match=self.reference_matching.bind(box_mask, ornament_mask),
        )
        noisy_latents = self.known.insert(noisy_latents, masked_person_latents, box_mask)
        inputs = torch.cat([torch.cat([noisy_latents, input_mask, masked_person_latents], dim=1)] * 2)
        warped = [_and_nothing(condition) for condition in self._warp(None, warp_latents)]
        inputs = torch.cat([inputs, *warped], dim=1)
        tokens = _and_nothing(_join_tokens(image_tokens, features.context_tokens))
        residuals = [_and_nothing(residual) for residual in features.skip_residuals]
        conditional, unconditional = self._run(inputs, timesteps.repeat(2), tokens, residuals, context).chunk(2)
        return conditional, unconditional

    def _warp(self, keep_condition: Tensor | None, warp_latents: Tensor | None) -> list[Tensor]:
        if not self.warp_condition:
            return []
        if warp_latents is None:
            raise ValueError("warp_condition needs a warp, and the model has none; set model.warp")
        return [_where(keep_condition, warp_latents)]

    def _run(
        self, inputs: Tensor, timesteps: Tensor, tokens: Tensor, residuals: list[Tensor], context: AttentionContext
    ) -> Tensor:
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


def _join_tokens(image_tokens: Tensor, context_tokens: Tensor | None) -> Tensor:
    """Append the reference's context tokens, if it has any, to the image tokens."""
    return image_tokens if context_tokens is None else torch.cat([image_tokens, context_tokens], dim=1)


def _and_nothing(condition: Tensor) -> Tensor:
    """A condition for the first half of a guided step, and zeros for the second, (2B, ...)."""
    return torch.cat([condition, torch.zeros_like(condition)])


def _where(keep_condition: Tensor | None, condition: Tensor) -> Tensor:
    """Zeros for the samples that are not given a condition, (B, ...)."""
    return (
        condition
        if keep_condition is None
        else condition * keep_condition.view(-1, *[1] * (condition.ndim - 1)).to(condition.dtype)
    )
