"""Checkpoints rebuild swapped parts, hold no frozen weights and go on where the run stopped."""

import json
import sys
from functools import partial
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from diffusers import AutoencoderKL

from ornament_lit.checkpointing.atomic_io import AtomicCheckpointIO
from ornament_lit.checkpointing.state import number_all_parameters, read_checkpoint
from ornament_lit.cli.trainer import build, main
from ornament_lit.diffusion.timesteps import LogitNormalTimesteps
from ornament_lit.models.mask_heads import BoxMaskHead, PoseAwareMaskHead
from ornament_lit.module import TryOnModule
from ornament_lit.utils.frozen import drop_frozen, restore_frozen

TINY = """
model:
  autoencoder: {class_path: SpaceToDepthAutoencoder}
  image_encoder: {class_path: NoImageEncoder}
  denoiser:
    unet:
      class_path: diffusers.UNet2DConditionModel
      init_args:
        in_channels: 48
        out_channels: 48
        block_out_channels: [8, 8]
        down_block_types: [CrossAttnDownBlock2D, CrossAttnDownBlock2D]
        up_block_types: [CrossAttnUpBlock2D, CrossAttnUpBlock2D]
        layers_per_block: 1
        norm_num_groups: 4
        attention_head_dim: 1
        cross_attention_dim: 8
  noise_scheduler:
    class_path: diffusers.DDPMScheduler
    init_args: {prediction_type: sample}
  reference_net: {class_path: UNetReferenceNet}
  mask_head:
    class_path: PoseAwareMaskHead
    init_args: {num_iterations: 2, hidden_channels: 8, alpha_start: 0.2, alpha_steps: 6}
  attention_loss: {class_path: MaskGuidedAttentionLoss}
  optimizer:
    class_path: torch.optim.AdamW
    init_args: {lr: 0.01}
data:
  class_path: OrnamentDataModule
  init_args: {resolution: 32, batch_size: 4, shuffle_block_size: 4}
trainer:
  accelerator: cpu
  enable_progress_bar: false
  enable_model_summary: false
  num_sanity_val_steps: 0
  limit_val_batches: 0
"""


@pytest.fixture
def config(tmp_path: Path, shard_dir: Path) -> list[str]:
    (tmp_path / "tiny.yaml").write_text(TINY)
    shards = [f"--data.{split}_shards={shard_dir}/{split}-*.tar" for split in ("train", "val")]
    return ["--config", str(tmp_path / "tiny.yaml"), *shards, f"--trainer.default_root_dir={tmp_path / 'run'}"]


def save(module: TryOnModule, path: Path) -> Path:
    trainer = pl.Trainer(accelerator="cpu", logger=False, max_steps=0, enable_checkpointing=False)
    trainer.strategy.connect(module)
    trainer.save_checkpoint(path)
    return path


def test_swapped_parts_come_back_through_two_rounds(config: list[str], tiny_batch, tmp_path: Path) -> None:
    module = build([*config, "--model.mask_head.hidden_channels=5", "--model.reference_net.layout=rows"]).model.eval()
    expected = module.predict_masks(tiny_batch())
    path = tmp_path / "first.ckpt"
    for name in ("second.ckpt", "third.ckpt"):
        save(module, path)
        module = TryOnModule.load_from_checkpoint(path).eval()
        assert isinstance(module.model.mask_head, PoseAwareMaskHead) and module.model.mask_head.hidden_channels == 5
        assert module.model.reference_net.layout == "rows"
        assert torch.equal(module.predict_masks(tiny_batch()), expected)
        path = tmp_path / name


def test_another_class_comes_back(config: list[str], tmp_path: Path) -> None:
    module = build([*config, "--model.mask_head=BoxMaskHead"]).model
    assert isinstance(TryOnModule.load_from_checkpoint(save(module, tmp_path / "a.ckpt")).model.mask_head, BoxMaskHead)


ALL_OPTIONS = """
model:
  denoiser:
    known_pixels: true
    input_skip: true
    reference_matching:
      class_path: PositionalMatching
      init_args: {num_frequencies: 4, qk_norm: 0.0}
  attention_loss:
    class_path: CombinedAttentionLoss
    init_args:
      losses:
        - class_path: MaskGuidedAttentionLoss
        - class_path: CorrespondenceAttentionLoss
          init_args: {num_points: 16}
        - class_path: ExpectedPositionLoss
      weights: [1.0, 0.05, 0.3]
  diffusion_loss:
    class_path: ornament_lit.losses.DiffusionLoss
    init_args:
      velocity_weight: true
      timesteps:
        class_path: LogitNormalTimesteps
        init_args: {mean: 0.5, scale: 1.2}
  neutral_background: true
"""


def test_matching_and_options_of_the_noise_come_back_from_a_training(
    config: list[str], tiny_batch, tmp_path: Path
) -> None:
    (tmp_path / "all.yaml").write_text(ALL_OPTIONS)
    with pytest.warns(
        UserWarning, match=r"learns only from samples with a correspondence, and the training batches have none \(0 %\)"
    ):
        main(["fit", *config, "--config", str(tmp_path / "all.yaml"), "--trainer.max_steps=2"])
    (path,) = (tmp_path / "run").rglob("*.ckpt")
    module = TryOnModule.load_from_checkpoint(path).eval()
    assert module.model.neutral_background and module.diffusion_loss.velocity_weight
    assert (
        isinstance(module.diffusion_loss.timesteps, LogitNormalTimesteps)
        and module.diffusion_loss.timesteps.mean == 0.5
    )
    assert module.model.denoiser.known_pixels and module.model.denoiser.reference_matching.num_frequencies == 4
    weights = dict(module.model.denoiser.named_parameters())
    assert all(weights[name].any() for name in ("reference_matching.layers.0.query_places", "skip.weight"))
    assert module.losses(tiny_batch())[0]["noise"].isfinite()


def test_a_checkpoint_from_before_the_options_loads(config: list[str], tiny_batch, tmp_path: Path) -> None:
    module = build(config).model.eval()
    path = save(module, tmp_path / "older.ckpt")
    checkpoint = torch.load(path, weights_only=True)
    for name in ("diffusion_loss", "neutral_background"):
        del checkpoint["hyper_parameters"][name]
    for name in ("reference_matching", "known_pixels", "input_skip"):
        del checkpoint["hyper_parameters"]["denoiser"]["init_args"][name]
    torch.save(checkpoint, path)
    losses, expected = (
        each.losses(tiny_batch())[0] for each in (TryOnModule.load_from_checkpoint(path).eval(), module)
    )
    assert all(torch.equal(losses[name], value) for name, value in expected.items())


def test_a_checkpoint_cannot_import_what_it_likes(config: list[str], tmp_path: Path) -> None:
    path = save(build(config).model, tmp_path / "a.ckpt")
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["hyper_parameters"]["mask_head"]["class_path"] = "antigravity.MaskHead"
    torch.save(checkpoint, path)
    with pytest.raises(ValueError, match="antigravity"):
        TryOnModule.load_from_checkpoint(path)
    assert "antigravity" not in sys.modules


def test_a_checkpoint_of_an_earlier_release_is_refused_in_one_line(config: list[str], tmp_path: Path) -> None:
    path = save(build(config).model, tmp_path / "old.ckpt")
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"] = {name.removeprefix("model."): value for name, value in checkpoint["state_dict"].items()}
    torch.save(checkpoint, path)
    resume = partial(AtomicCheckpointIO().load_checkpoint, weights_only=True)
    for load in (read_checkpoint, TryOnModule.load_from_checkpoint, resume):
        with pytest.raises(
            ValueError, match=r"earlier release, .* is called model\.\w+.* now\); train again"
        ) as raised:
            load(path)
        assert "\n" not in str(raised.value)


def test_a_module_built_by_hand_is_rebuilt_by_hand(build_module, build_parts, tmp_path: Path) -> None:
    module = build_module()
    torch.nn.init.ones_(module.model.mask_head.mlp[0].bias)
    path = save(module, tmp_path / "hand.ckpt")
    assert "hyper_parameters" not in torch.load(path, weights_only=True)
    loaded = TryOnModule.load_from_checkpoint(path, **build_parts())
    assert torch.equal(loaded.model.mask_head.mlp[0].bias, module.model.mask_head.mlp[0].bias)


def test_frozen_weights_are_dropped_and_restored(config: list[str], tmp_path: Path) -> None:
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8),
        down_block_types=["DownEncoderBlock2D"] * 3,
        up_block_types=["UpDecoderBlock2D"] * 3,
        norm_num_groups=4,
        layers_per_block=1,
    )
    vae.save_pretrained(tmp_path / "sd" / "vae")
    unet = "model.denoiser.unet.init_args"
    module = build(
        [
            *config,
            "--model.autoencoder=KLAutoencoder",
            f"--model.autoencoder.path={tmp_path / 'sd'}",
            f"--{unet}.in_channels=4",
            f"--{unet}.out_channels=4",
        ]
    ).model
    path = save(module, tmp_path / "a.ckpt")
    saved = torch.load(path, weights_only=True)["state_dict"]
    assert not any(name.startswith("autoencoder") for name in saved)
    assert {name for name, value in module.named_parameters() if value.requires_grad} <= set(saved)
    loaded = TryOnModule.load_from_checkpoint(path)
    for name, value in module.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name]), name


def test_states_of_an_optimizer_are_numbered_among_all_parameters() -> None:
    """As FSDP2 looks for them, whose whole runs are compared in tests of sharding."""
    module = pl.LightningModule()
    for name, trains in (("frozen", False), ("first", True), ("between", False), ("second", True)):
        setattr(module, name, torch.nn.Linear(2, 3).requires_grad_(trains))
    module.trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    groups = [{"params": list(part.parameters())} for part in (module.second, module.first)]
    optimizer = torch.optim.Adam(groups, lr=0.1)
    module.trainer.strategy.optimizers = [optimizer]
    (module.first.weight.sum() + module.second.bias.sum()).backward()
    optimizer.step()
    given = optimizer.state_dict()
    (numbered,) = number_all_parameters(module, [given])
    assert [group["params"] for group in numbered["param_groups"]] == [[6, 7], [2, 3]]
    assert numbered["state"].keys() == {2, 7} and given["state"].keys() == {1, 2}
    assert numbered["state"][2] is given["state"][2] and numbered["state"][7] is given["state"][1]
    another = torch.optim.Adam(groups, lr=0.3)
    another.load_state_dict(numbered)
    assert another.state_dict()["param_groups"] == given["param_groups"]
    assert torch.equal(another.state[module.second.bias]["exp_avg"], optimizer.state[module.second.bias]["exp_avg"])


def test_drop_and_restore_by_hand() -> None:
    module = torch.nn.ModuleDict({"frozen": torch.nn.BatchNorm1d(2), "trained": torch.nn.Linear(2, 2)})
    module["frozen"].requires_grad_(False)
    kept = drop_frozen(module, module.state_dict())
    assert sorted(kept) == ["trained.bias", "trained.weight"]
    assert restore_frozen(module, kept).keys() == module.state_dict().keys()


WARP = """
model:
  warp:
    class_path: PoseAwareWarp
    init_args: {size: 32, turns: 2, pose_channels: 40, pose_hidden: 16, stem_channels: 8, channels: 8, heads: 1}
data:
  init_args: {wide_view: 1.8, detail: 2}
"""
ALONE = """
model:
  denoiser: {class_path: NoDenoiser}
  reference_net: {class_path: NoReferenceNet}
  mask_head: {class_path: BoxMaskHead}
  attention_loss: {class_path: ZeroAttentionLoss}
  sampler:
    class_path: ornament_lit.diffusion.sampler.Sampler
    init_args: {strength: 0}
"""


@pytest.fixture
def warping(config: list[str], tmp_path: Path) -> list[str]:
    """The configuration of a run with a warp."""
    (tmp_path / "warp.yaml").write_text(WARP)
    return [*config, "--config", str(tmp_path / "warp.yaml")]


@pytest.fixture
def alone(warping: list[str], tmp_path: Path) -> list[str]:
    """The configuration of a run of a warp alone."""
    (tmp_path / "alone.yaml").write_text(ALONE)
    text = TINY.replace(TINY[TINY.index("  denoiser:") : TINY.index("  noise_scheduler:")], "")
    for family in ("reference_net", "mask_head", "attention_loss"):
        start = text.index(f"  {family}:")
        end = text.index("\n  ", start + 4)
        while text[end + 3] == " ":
            end = text.index("\n  ", end + 4)
        text = text[:start] + text[end + 1 :]
    (tmp_path / "tiny.yaml").write_text(text)
    return [*warping, "--config", str(tmp_path / "alone.yaml")]


def test_a_frozen_warp_stays_in_the_checkpoint(warping: list[str], tmp_path: Path) -> None:
    """It has no file of its own that its weights could come from."""
    module = build([*warping, "--model.warp_loss_weight=0"]).model
    with torch.no_grad():
        for parameter in module.model.warp.parameters():
            parameter.add_(0.1)
    assert not any(parameter.requires_grad for parameter in module.model.warp.parameters())
    path = save(module, tmp_path / "a.ckpt")
    saved = torch.load(path, weights_only=True)["state_dict"]
    assert {f"model.warp.{name}" for name in module.model.warp.state_dict()} <= set(saved)
    loaded = TryOnModule.load_from_checkpoint(path)
    for name, value in module.model.warp.state_dict().items():
        assert torch.equal(value, loaded.model.warp.state_dict()[name]), name
    assert "warp" not in loaded.loss_weights


def test_a_checkpoint_of_before_there_were_warps_still_loads(config: list[str], tmp_path: Path) -> None:
    module = build(config).model
    assert not any("warp" in name for name in module.state_dict())
    path = save(module, tmp_path / "a.ckpt")
    checkpoint = torch.load(path, weights_only=True)
    for name in ("warp", "warp_loss", "warp_loss_weight"):
        checkpoint["hyper_parameters"].pop(name, None)
    checkpoint["hyper_parameters"]["denoiser"].get("init_args", checkpoint["hyper_parameters"]["denoiser"]).pop(
        "warp_condition", None
    )
    torch.save(checkpoint, path)
    loaded = TryOnModule.load_from_checkpoint(path)
    for name, value in module.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name]), name


def test_averages_are_of_what_trains_beside_a_frozen_warp(warping: list[str], tmp_path: Path) -> None:
    callbacks = tmp_path / "callbacks.yaml"
    callbacks.write_text(
        "trainer:\n  callbacks:\n    - {class_path: TrainableEMA, init_args: {decay: 0.5}}\n"
        "    - {class_path: LossWeightDecay, init_args: {num_steps: 2}}\n"
    )
    words = [*warping, "--model.warp_loss_weight=0", "--model.denoiser.warp_condition=true", "--trainer.logger=false"]
    words += ["--config", str(callbacks), "--trainer.max_epochs=1", "--trainer.limit_train_batches=2"]
    words.append("--trainer.limit_val_batches=1")
    assert main(["fit", *words]) == 0
    path = next((tmp_path / "run").rglob("*.ckpt"))
    content = torch.load(path, weights_only=True)
    raw = content["callbacks"]["TrainableEMA"]["raw_parameters"]
    assert raw and not any(name.startswith("model.warp.") for name in raw)
    assert any(name.startswith("model.warp.") for name in content["state_dict"])
    assert TryOnModule.load_from_checkpoint(path).model.denoiser.warp_condition


def test_a_warp_alone_goes_through_all_commands(alone: list[str], tmp_path: Path) -> None:
    callbacks = tmp_path / "callbacks.yaml"
    callbacks.write_text(
        "trainer:\n  callbacks:\n    - {class_path: TrainableEMA, init_args: {decay: 0.5}}\n"
        "    - {class_path: MaskReport, init_args: {calibration_batches: 1}}\n"
    )
    folder = tmp_path / "run"
    words = [*alone, "--trainer.logger=false", "--config", str(callbacks), "--trainer.max_epochs=1"]
    words.append("--trainer.limit_train_batches=2")
    words += ["--trainer.limit_val_batches=1", "--trainer.limit_predict_batches=1", "--trainer.limit_test_batches=1"]
    shards = next(word for word in alone if word.startswith("--data.val_shards=")).partition("=")[2]
    words.append(f"--data.test_shards={shards}")
    assert main(["fit", *words]) == 0
    path = next(folder.rglob("*.ckpt"))
    weights = torch.load(path, weights_only=True)["state_dict"]
    assert {name.rpartition("warp.")[0] or name for name in weights} == {"model.", "mask_threshold"}
    report = json.loads(next(folder.rglob("result.json")).read_text())
    assert set(report["iou"]) == {"box", "1"}
    for command in ("validate", "test", "predict"):
        assert main([command, *words, f"--ckpt_path={path}"]) == 0, command


def test_without_the_wider_view_that_a_warp_needs_training_says_what_to_set(
    alone: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fit", *alone, "--trainer.logger=false", "--trainer.max_steps=1", "--data.wide_view=null"]
    assert main(words) == 2 and "set data.wide_view" in capsys.readouterr().err


@pytest.mark.slow
def test_a_resumed_run_equals_an_uninterrupted_one(config: list[str], tmp_path: Path) -> None:
    """Weights, averages, optimizer, lambda, alpha and the step go on as if nothing had happened."""
    callbacks = tmp_path / "callbacks.yaml"
    callbacks.write_text(
        "trainer:\n  callbacks:\n    - class_path: LossWeightDecay\n      init_args: {num_steps: 8}\n"
        "    - class_path: TrainableEMA\n      init_args: {decay: 0.9}\n"
    )

    def run(folder: str, max_epochs: int, *more: str) -> dict:
        run_folder = tmp_path / folder
        words = [
            "fit",
            *config,
            "--config",
            str(callbacks),
            f"--trainer.default_root_dir={run_folder}",
            "--trainer.logger=false",
            f"--trainer.max_epochs={max_epochs}",
            *more,
        ]
        assert main(words) == 0
        return torch.load(max(run_folder.rglob("*.ckpt"), key=lambda path: path.stat().st_mtime), weights_only=True)

    whole = run("whole", 2)
    half = run("half", 1)
    checkpoint = next((tmp_path / "half").rglob("*.ckpt"))
    resumed = run("resumed", 2, f"--ckpt_path={checkpoint}")
    assert (half["global_step"], whole["global_step"], resumed["global_step"]) == (8, 16, 16)
    for name, value in whole["state_dict"].items():
        assert torch.equal(resumed["state_dict"][name], value), name
    assert any(not torch.equal(half["state_dict"][name], value) for name, value in whole["state_dict"].items())
    torch.testing.assert_close(resumed["optimizer_states"], whole["optimizer_states"], rtol=0, atol=0)
    ema = next(name for name in whole["callbacks"] if name.startswith("TrainableEMA"))
    torch.testing.assert_close(resumed["callbacks"][ema], whole["callbacks"][ema], rtol=0, atol=0)
