"""Names that keys, options and classes had before, and what they are called now; kept for one release."""

_LOSS = "model.diffusion_loss"

NOW = {
    "model.condition_dropout": f"{_LOSS}.condition_dropout",
    "model.worn_weight": f"{_LOSS}.foreground_weight",
    "model.noise_draws": f"{_LOSS}.num_noise_samples",
    "model.offset_noise": f"{_LOSS}.offset_noise",
    "model.min_snr_gamma": f"{_LOSS}.min_snr_gamma",
    "MaskVisualizer.draw_steps": "MaskVisualizer.sampling_steps",
    "DrawingReport": "EvaluationReport",
    "ornament_lit.attention_losses": "ornament_lit.losses.attention",
    "ornament_lit.autoencoders": "ornament_lit.models.autoencoders",
    "ornament_lit.checkpoint_io": "ornament_lit.checkpointing.atomic_io",
    "ornament_lit.denoiser": "ornament_lit.models.denoiser",
    "ornament_lit.image_encoders": "ornament_lit.models.image_encoders",
    "ornament_lit.learning_rates": "ornament_lit.utils.learning_rates",
    "ornament_lit.mask_heads": "ornament_lit.models.mask_heads",
    "ornament_lit.pretrained": "ornament_lit.models.pretrained",
    "ornament_lit.reference_matching": "ornament_lit.models.reference_matching",
    "ornament_lit.reference_nets": "ornament_lit.models.reference_nets",
    "ornament_lit.refresh_policies": "ornament_lit.diffusion.refresh_policies",
    "ornament_lit.sampling": "ornament_lit.diffusion.sampler",
    "ornament_lit.timesteps": "ornament_lit.diffusion.timesteps",
}
"""By the old name: a key, ``Class.option``, a class, or the path of a module, which all that is in it follows."""


def name_now(name: str) -> str | None:
    """What a key, an option or a class is called now; None for a name that has not changed.

    Args:
        name: As the user wrote it, without dashes.
    """
    if name in NOW:
        return NOW[name]
    parent, _, last = name.rpartition(".")
    moved = name_now(parent) if parent else None
    return moved and f"{moved}.{last}"
