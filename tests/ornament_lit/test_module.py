"""Exactness of the training step: checkpointing, accumulation, processes, gradients, resume."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from diffusers import DDPMScheduler
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules import OrnamentDataModule
from ornament_lit.batch import TryOnBatch, select_rows, with_other_ornament
from ornament_lit.diffusion.noise import Noising, draw_noising, min_snr_weights
from ornament_lit.diffusion.sampler import Sampler
from ornament_lit.losses import DiffusionLoss
from ornament_lit.losses.attention import ZeroAttentionLoss
from ornament_lit.models.autoencoders import KLAutoencoder
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.mask_heads import BoxMaskHead, PoseAwareMaskHead
from ornament_lit.models.mask_refinement import resize_mask
from ornament_lit.models.reference_nets import NoReferenceNet, UNetReferenceNet
from ornament_lit.module import TryOnModule


class Samples(Dataset):
    """The samples of one batch, one by one."""

    def __init__(self, batch: TryOnBatch) -> None:
        self.batch = batch

    def __len__(self) -> int:
        return len(self.batch["key"])

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {name: values[index] for name, values in self.batch.items()}


def loader(batch: TryOnBatch, batch_size: int) -> DataLoader:
    return DataLoader(Samples(batch), batch_size=batch_size)


def fit(module: TryOnModule, loader: DataLoader, folder: Path, **options: Any) -> pl.Trainer:
    trainer = pl.Trainer(
        **{
            "accelerator": "cpu",
            "devices": 1,
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "default_root_dir": folder,
            **options,
        }
    )
    trainer.fit(module, loader)
    return trainer


def gradients(module: TryOnModule, batch: TryOnBatch) -> dict[str, Tensor]:
    module.zero_grad()
    losses, _ = module.losses(batch)
    torch.stack(list(losses.values())).sum().backward()
    return {name: value.grad.clone() for name, value in module.named_parameters() if value.grad is not None}


def test_every_trained_parameter_gets_a_gradient(build_module, tiny_batch) -> None:
    module = build_module()
    got = gradients(module, tiny_batch())
    assert {name for name, value in module.named_parameters() if value.requires_grad} == set(got)
    assert [name for name, gradient in got.items() if not gradient.any()] == []


def test_a_parameter_without_gradient_is_reported(build_module, tiny_batch, tmp_path: Path) -> None:
    module = build_module()
    module.idle = torch.nn.Linear(1, 1)
    with pytest.raises(RuntimeError, match=r"got no gradient: idle.weight, idle.bias"):
        fit(module, loader(tiny_batch(), 2), tmp_path, max_steps=1)


def test_gradients_are_equal_with_gradient_checkpointing(build_module, build_unet, tiny_batch) -> None:
    plain = build_module().train()
    checkpointed = build_module(
        denoiser=Denoiser(build_unet(), gradient_checkpointing=True),
        reference_net=UNetReferenceNet(gradient_checkpointing=True),
    ).train()
    checkpointed.load_state_dict(plain.state_dict())
    expected, got = gradients(plain, tiny_batch()), gradients(checkpointed, tiny_batch())
    assert expected.keys() == got.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(got[name], gradient, msg=name)


def test_no_reference_is_the_stock_unet(build_module, build_unet, tiny_batch) -> None:
    module = build_module(
        denoiser=Denoiser(build_unet(channels=48)),
        reference_net=NoReferenceNet(),
        mask_head=BoxMaskHead(),
        attention_loss=ZeroAttentionLoss(),
    )
    seen = {}
    module.model.denoiser.unet.register_forward_hook(lambda _, args, output: seen.update(args=args, output=output[0]))
    module.losses(tiny_batch())
    noisy = seen["args"][0][:, :48]
    stock = build_unet(channels=48)
    expected = stock(noisy, seen["args"][1], encoder_hidden_states=torch.zeros(2, 1, 24)).sample
    torch.testing.assert_close(seen["output"], expected)


def trained(module: TryOnModule) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def test_one_step_of_four_equals_four_accumulated_steps_of_one(build_module, tiny_batch, tmp_path: Path) -> None:
    results = []
    for batch_size, accumulate in ((4, 1), (1, 4)):
        module = build_module(optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1))
        fit(module, loader(tiny_batch(4), batch_size), tmp_path, max_steps=2, accumulate_grad_batches=accumulate)
        results.append(trained(module))
    for name, value in results[0].items():
        torch.testing.assert_close(results[1][name], value, msg=name)


class SaveAtEnd(pl.Callback):
    """Write the trained parameters, since those of a forked process are lost with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_end(self, trainer: pl.Trainer, pl_module: TryOnModule) -> None:
        torch.save(trained(pl_module), self.folder / f"rank-{trainer.global_rank}-of-{trainer.world_size}.pt")


def test_two_processes_equal_one_with_the_same_global_batch(build_module, tiny_batch, tmp_path: Path) -> None:
    for strategy, devices, batch_size in (("auto", 1, 4), ("ddp_fork", 2, 2)):
        module = build_module(optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1))
        fit(
            module,
            loader(tiny_batch(4), batch_size),
            tmp_path,
            max_epochs=3,
            strategy=strategy,
            devices=devices,
            callbacks=[SaveAtEnd(tmp_path)],
        )
    single, first, second = (
        torch.load(tmp_path / f"rank-{name}.pt", weights_only=True) for name in ("0-of-1", "0-of-2", "1-of-2")
    )
    initial = trained(build_module())
    assert any(not torch.equal(single[name], initial[name]) for name in single)
    for name, value in single.items():
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], value, msg=name)


def test_the_loss_is_the_weighted_sum(build_module, tiny_batch) -> None:
    module = build_module(mask_loss_weight=3.0, attention_loss_weight=0.5)
    module.log = module.log_dict = lambda *args, **kwargs: None
    losses, _ = module.losses(tiny_batch())
    expected = losses["noise"] + 3 * losses["mask"] + 0.5 * losses["attention"]
    torch.testing.assert_close(module.training_step(tiny_batch(), 0), expected)
    module.loss_weights["mask"] = 0.0
    torch.testing.assert_close(module.training_step(tiny_batch(), 0), expected - 3 * losses["mask"])


def test_losses_do_not_depend_on_the_batch_a_sample_is_in(build_module, tiny_batch) -> None:
    module = build_module()
    batch = tiny_batch(4)
    together = module.losses(batch)[0]
    alone = [module.losses({name: values[i : i + 1] for name, values in batch.items()})[0] for i in range(4)]
    for name, value in together.items():
        torch.testing.assert_close(value, torch.stack([losses[name] for losses in alone]).mean(), msg=name)


def test_steps_return_what_callbacks_look_at(build_module, tiny_batch) -> None:
    module = build_module().eval()
    module.log_dict = lambda *args, **kwargs: None
    batch = tiny_batch()
    outputs = module.validation_step(batch, 0)
    assert outputs["mask_predictions"].shape == (2, 2, 1, 32, 32)
    assert torch.equal(outputs["mask_predictions"], module.predict_masks(batch))
    assert outputs["attention_mask"].shape == (2, 1, 32, 32)
    assert 0 <= outputs["attention_mask"].min() and outputs["attention_mask"].max() <= 1
    erased = outputs["masked_person_image"]
    inside = batch["box_mask"].expand_as(erased) == 1
    assert not erased[inside].any() and torch.equal(erased[~inside], batch["person_image"][~inside])


def test_what_lies_in_the_box_is_never_seen(build_module, tiny_batch) -> None:
    """The ornament must come from the reference: whatever the person wears in the box changes no prediction."""
    module = build_module(sampler=Sampler(2)).eval()
    batch = tiny_batch()
    changed = {**batch, "person_image": batch["person_image"] * (1 - 2 * batch["box_mask"])}
    assert not torch.equal(changed["person_image"], batch["person_image"])
    with torch.no_grad():
        one, other = module.predict_step(batch, 0), module.predict_step(changed, 0)
    assert torch.equal(one["image"], other["image"]) and torch.equal(one["mask"], other["mask"])


def test_a_dropped_sample_learns_without_the_ornament(build_module, tiny_batch) -> None:
    """In training at a dropout of almost 1 the ornament changes the mask, and neither drawing nor attention."""
    batch = tiny_batch()
    changed = {**batch, "ornament_image": -batch["ornament_image"]}
    dropped = build_module(diffusion_loss=DiffusionLoss(condition_dropout=0.999999)).train()
    one, other = dropped.losses(batch)[0], dropped.losses(changed)[0]
    assert torch.equal(one["noise"], other["noise"]) and torch.equal(one["attention"], other["attention"])
    assert one["attention"] == 0 and not torch.equal(one["mask"], other["mask"])
    names = {name for name, gradient in gradients(dropped, batch).items() if gradient is not None}
    assert names == {name for name, value in dropped.named_parameters() if value.requires_grad}
    dropped.eval()
    assert not torch.equal(dropped.losses(batch)[0]["noise"], dropped.losses(changed)[0]["noise"])


def test_parts_that_do_not_fit_are_refused(build_module, build_unet) -> None:
    with pytest.raises(ValueError, match="out_channels=48, the autoencoder's latent channels, got 4"):
        build_module(denoiser=Denoiser(build_unet(channels=4)))
    with pytest.raises(ValueError, match="use BoxMaskHead without one"):
        build_module(reference_net=NoReferenceNet())


def test_direct_masking_trains_without_attention_loss(build_module, build_unet, tiny_batch) -> None:
    module = build_module(denoiser=Denoiser(build_unet(), direct_masking=True), attention_loss=ZeroAttentionLoss())
    assert all(gradient.isfinite().all() for gradient in gradients(module, tiny_batch()).values())
    guided = build_module(denoiser=Denoiser(build_unet(), direct_masking=True))
    with pytest.raises(ValueError, match="no direct_masking"):
        guided.losses(tiny_batch())


def test_the_mask_head_is_told_the_steps_taken(build_module, tiny_batch, tmp_path: Path) -> None:
    module = build_module()
    steps = []
    module.model.mask_head.register_forward_pre_hook(lambda _, args: steps.append(args[2]))
    fit(module, loader(tiny_batch(4), 2), tmp_path, max_epochs=2)
    assert steps == [0, 1, 2, 3]


def test_a_process_without_a_validation_batch_ends_with_the_same_means(
    build_module, tmp_path: Path, draw_entries, write_shard
) -> None:
    """Three processes and two samples."""

    class Keep(pl.Callback):
        def on_validation_end(self, trainer: pl.Trainer, pl_module: TryOnModule) -> None:
            means = {name: float(value) for name, value in trainer.callback_metrics.items()}
            (tmp_path / f"{trainer.world_size}-{trainer.global_rank}.json").write_text(json.dumps(means))

    shard = write_shard(tmp_path / "val.tar", {f"k{index}": draw_entries(index) for index in range(2)})
    for strategy, devices in (("auto", 1), ("ddp_fork", 3)):
        trainer = pl.Trainer(
            accelerator="cpu",
            strategy=strategy,
            devices=devices,
            callbacks=Keep(),
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        data = OrnamentDataModule(val_shards=str(shard), resolution=32, batch_size=1)
        trainer.validate(build_module(), data, verbose=False)
    expected = json.loads((tmp_path / "1-0.json").read_text())
    assert {"val/loss_noise", "val/loss_mask", "val/loss_attention", "val/iou_box"} <= expected.keys()
    for rank in range(3):
        assert json.loads((tmp_path / f"3-{rank}.json").read_text()) == pytest.approx(expected, rel=1e-5)


def test_two_noises_a_pair_are_the_mean_of_each_alone(build_module, tiny_batch) -> None:
    batch = tiny_batch(3)
    both, _ = build_module(diffusion_loss=DiffusionLoss(num_noise_samples=2)).losses(batch)
    module = build_module()
    latents = module.model.autoencoder.encode(batch["person_image"])
    noising = draw_noising(batch["sample_seed"], 1000, latents, num_noise_samples=2)
    conditioning = module.model.encode(batch)
    refinement = module.model.refine(conditioning)
    errors, masses = [], []
    for rows in (slice(0, 3), slice(3, 6)):
        timesteps = noising.timesteps[rows]
        output = module.model.denoiser(
            module.noise_scheduler.add_noise(latents, noising.noise[rows], timesteps),
            timesteps,
            conditioning.masked_person_latents,
            refinement.mask,
            conditioning.image_tokens,
            refinement.features,
            conditioning.ornament_mask,
            module.mass_layers,
        )
        errors.append((output.prediction - latents).square().mean())
        masses.append(module.attention_loss(output.mass, batch["wearing_mask"])[0])
    torch.testing.assert_close(both["noise"], torch.stack(errors).mean())
    torch.testing.assert_close(both["attention"], torch.stack(masses).mean())


def test_autocast_does_not_round_the_noise_of_training(
    build_module, build_unet, tiny_batch, vae_folder, monkeypatch
) -> None:
    """At every timestep the noise in what the denoiser sees is that of float32, whatever the VAE computes in."""
    module = build_module(
        autoencoder=KLAutoencoder(str(vae_folder)),
        denoiser=Denoiser(build_unet(channels=4)),
        reference_net=NoReferenceNet(),
        mask_head=BoxMaskHead(),
        attention_loss=ZeroAttentionLoss(),
        diffusion_loss=DiffusionLoss(num_noise_samples=1000),
    )
    batch, seen = tiny_batch(1), []

    class Looked(Exception):
        """What was to be seen was seen."""

    def draw(seeds: Tensor, num_timesteps: int, like: Tensor, *_: object) -> Noising:
        return Noising(torch.arange(1000), torch.ones(1000, *like.shape[1:]), torch.ones(1000, dtype=torch.bool))

    def look(noisy: Tensor, *_: object, **__: object) -> None:
        seen.append(noisy)
        raise Looked

    monkeypatch.setattr("ornament_lit.losses.diffusion.draw_noising", draw)
    module.model.denoiser.forward = look
    with torch.autocast("cpu", torch.bfloat16):
        latents = module.model.autoencoder.encode(batch["person_image"]).double()
        with pytest.raises(Looked):
            module.losses(batch)
    alphas = module.noise_scheduler.alphas_cumprod.double().view(-1, 1, 1, 1)
    sigmas = seen[0].double() - alphas.sqrt() * latents
    torch.testing.assert_close(sigmas, (1 - alphas).sqrt().expand_as(sigmas), rtol=0, atol=1e-6)


@pytest.mark.parametrize("draws", [1, 2])
def test_the_mask_of_training_is_trusted_by_the_timestep(build_module, tiny_batch, draws: int) -> None:
    head = PoseAwareMaskHead(1, 8, upscale=2, alpha_start=0.0, alpha_over="denoising")
    module, batch = build_module(mask_head=head, diffusion_loss=DiffusionLoss(num_noise_samples=draws)), tiny_batch(3)
    timesteps = draw_noising(batch["sample_seed"], 1000, torch.zeros(3, 48, 8, 8), num_noise_samples=draws).timesteps
    _, seen = module.losses(batch)
    alpha = (1 - timesteps.view(draws, 3).float().mean(0) / 999).view(3, 1, 1, 1)
    prediction = resize_mask(seen.refinement.predictions[0], like=seen.conditioning.box_mask)
    expected = alpha * prediction + (1 - alpha) * seen.conditioning.box_mask
    torch.testing.assert_close(seen.refinement.mask, expected.detach())


def test_evaluation_draws_one_noise(build_module, tiny_batch) -> None:
    options = (DiffusionLoss(num_noise_samples=draws) for draws in (1, 3))
    one, many = (build_module(diffusion_loss=loss).eval().losses(tiny_batch())[0] for loss in options)
    assert all(torch.equal(one[name], many[name]) for name in one)


def test_the_worn_part_weighs_more(build_module, tiny_batch) -> None:
    options = (DiffusionLoss(foreground_weight=weight) for weight in (0.0, 8.0))
    losses = [build_module(diffusion_loss=loss).losses(tiny_batch())[0] for loss in options]
    assert losses[0]["noise"] != losses[1]["noise"] and torch.equal(losses[0]["mask"], losses[1]["mask"])


@pytest.mark.parametrize("prediction_type", ["epsilon", "sample", "v_prediction"])
def test_options_of_the_noise_are_off_by_default_and_change_the_noise_loss_alone(
    build_module, tiny_batch, prediction_type: str
) -> None:
    batch, noise_scheduler = tiny_batch(), DDPMScheduler(prediction_type=prediction_type, clip_sample=False)

    def losses(**options: float) -> dict[str, Tensor]:
        loss = DiffusionLoss(**options)
        return build_module(noise_scheduler=noise_scheduler, diffusion_loss=loss).train().losses(batch)[0]

    plain = losses()
    assert all(torch.equal(plain[name], value) for name, value in losses(offset_noise=0.0, min_snr_gamma=None).items())
    weighted, shifted = losses(min_snr_gamma=5.0), losses(offset_noise=0.1)
    assert plain["noise"] != weighted["noise"] and plain["noise"] != shifted["noise"]
    assert torch.equal(plain["mask"], weighted["mask"]) and torch.equal(plain["attention"], weighted["attention"])


def test_evaluation_has_no_offset_noise(build_module, tiny_batch) -> None:
    options = (DiffusionLoss(offset_noise=value) for value in (0.0, 0.1))
    plain, shifted = (build_module(diffusion_loss=loss).eval().losses(tiny_batch())[0] for loss in options)
    assert all(torch.equal(plain[name], shifted[name]) for name in plain)


def test_min_snr_weighs_the_samples_of_a_step(build_module, tiny_batch) -> None:
    batch, module = tiny_batch(), build_module(diffusion_loss=DiffusionLoss(min_snr_gamma=5.0))
    timesteps = draw_noising(batch["sample_seed"], 1000, torch.zeros(2, 48, 8, 8)).timesteps
    alone = [build_module().losses(select_rows(batch, [row]))[0]["noise"] for row in (0, 1)]
    weights = min_snr_weights(module.noise_scheduler, timesteps, 5.0)
    torch.testing.assert_close(module.losses(batch)[0]["noise"], (weights * torch.stack(alone)).mean())


def test_an_input_mask_takes_the_place_of_the_box(build_module, tiny_batch) -> None:
    batch, module = tiny_batch(), build_module()
    smaller = {**batch, "input_mask": batch["box_mask"] * batch["wearing_mask"]}
    plain, other = (module.model.encode(entry) for entry in (batch, smaller))
    hidden = batch["person_image"] * (1 - smaller["input_mask"])
    assert torch.equal(other.masked_person_image, hidden) and not torch.equal(plain.masked_person_image, hidden)
    assert other.box_mask.sum() < plain.box_mask.sum()


def test_a_wrong_reference_changes_the_ornament_alone(build_module, tiny_batch) -> None:
    batch = tiny_batch()
    with pytest.raises(ValueError, match="other_ornament"):
        with_other_ornament(batch)
    other = {"ornament_image": -batch["ornament_image"], "ornament_mask": batch["ornament_mask"], "key": ["x", "y"]}
    wrong = with_other_ornament({**batch, "other_ornament": other})
    assert torch.equal(wrong["ornament_image"], other["ornament_image"])
    assert torch.equal(wrong["person_image"], batch["person_image"]) and wrong["key"] == batch["key"]


def test_a_fused_optimizer_in_bfloat16_is_clipped(build_module, tiny_batch, tmp_path: Path) -> None:
    """Lightning refuses to clip for fused optimizers in mixed precision; in bfloat16 there is no reason to."""
    norms = []

    class Note(pl.Callback):
        def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: TryOnModule, optimizer: Any) -> None:
            gradients = [value.grad for value in pl_module.parameters() if value.grad is not None]
            norms.append(float(torch.nn.utils.get_total_norm(gradients)))

    module = build_module(optimizer=partial(torch.optim.AdamW, fused=True))
    options = {"precision": "bf16-mixed", "gradient_clip_val": 0.01, "max_steps": 1, "callbacks": [Note()]}
    before = trained(module)
    fit(module, loader(tiny_batch(), 2), tmp_path, **options)
    clipped = torch.nn.utils.get_total_norm([v.grad for v in module.parameters() if v.grad is not None])
    assert norms[0] > 0.02 and clipped == pytest.approx(0.01, rel=1e-3)
    assert any(not torch.equal(value, before[name]) for name, value in trained(module).items())


def test_the_loss_of_a_warp_counts_by_its_weight(build_module, build_warp, worn_batch) -> None:
    module = build_module(warp=build_warp(), warp_loss_weight=2.5)
    module.log = module.log_dict = lambda *args, **kwargs: None
    losses, _ = module.losses(worn_batch())
    rest = losses["noise"] + losses["mask"] + losses["attention"]
    torch.testing.assert_close(module.training_step(worn_batch(), 0), rest + 2.5 * losses["warp"])
    got = gradients(module, worn_batch())
    assert {name for name, value in module.named_parameters() if value.requires_grad} == set(got)


def test_losses_with_a_warp_do_not_depend_on_the_batch_a_sample_is_in(build_module, build_warp, worn_batch) -> None:
    module, batch = build_module(warp=build_warp()), worn_batch(3)
    together = module.losses(batch)[0]
    alone = [module.losses(select_rows(batch, [row]))[0] for row in range(3)]
    for name, value in together.items():
        expected = torch.stack([losses[name] for losses in alone]).mean()
        torch.testing.assert_close(value, expected, msg=name, atol=1e-4, rtol=1e-4)


def test_a_frozen_warp_is_asked_and_not_taught(build_module, build_unet, build_warp, worn_batch) -> None:
    denoiser = Denoiser(build_unet(), warp_condition=True)
    module = build_module(denoiser=denoiser, warp=build_warp(), warp_loss_weight=0.0)
    module.log_dict = lambda *args, **kwargs: None
    got = gradients(module.train(), worn_batch())
    assert not any(name.startswith("warp.") for name in got)
    assert got["model.denoiser.unet.conv_in.weight"][:, 97:].any(), "the denoiser learns to look at it"
    assert "warp" not in module.losses(worn_batch())[0]
    outputs = module.eval().validation_step(worn_batch(), 0)
    module.on_validation_epoch_end()
    assert outputs["mask_predictions"].shape == (3, 2, 1, 32, 32) and outputs["loss"].isfinite()


def test_evaluation_looks_at_the_mask_of_the_warp_last(build_module, build_warp, worn_batch) -> None:
    module, logged = build_module(warp=build_warp(), sampler=Sampler(1)).eval(), {}
    module.log_dict = logged.update
    batch = worn_batch()
    outputs = module.validation_step(batch, 0)
    module.on_validation_epoch_end()
    coverage = module.model.encode(batch).warp.coverage
    assert torch.equal(outputs["mask_predictions"][-1], coverage)
    assert torch.equal(module.predict_masks(batch)[-1], coverage)
    drawn = module.predict_step(batch, 0)
    assert torch.equal(drawn["mask"], coverage) and drawn["correspondence"].shape == (2, 2, 32, 32)
    assert {"val/loss_warp", "val/iou_box"} <= logged.keys()
    assert sum(name.startswith("val/iou_") for name in logged) == 1 + 3, logged


def test_a_warm_start_begins_at_the_composite(build_module, build_warp, worn_batch) -> None:
    module, batch = build_module(warp=build_warp()).eval(), worn_batch()
    composite = module.model.encode(batch).warp.composite.clamp(-1, 1)
    none, some, all_of_it = (module.generate(batch, Sampler(10, strength=share))["image"] for share in (0.0, 0.3, 1.0))
    torch.testing.assert_close(none, composite)
    assert not torch.allclose(some, all_of_it, atol=1e-2)
    with pytest.raises(ValueError, match=r"the model has no warp; set model.warp, or strength to 1"):
        build_module().eval().generate(batch, Sampler(10, strength=0.3))


def test_a_warp_is_not_asked_in_training_unless_the_denoiser_looks_at_it(build_module, build_warp, worn_batch) -> None:
    module, calls = build_module(warp=build_warp()), []
    module.model.warp.register_forward_hook(lambda *_: calls.append(1))
    module.train().losses(worn_batch())
    assert calls == []
    module.eval().losses(worn_batch())
    assert calls == [1]
