"""Whether a change of the code leaves every number as it was: losses of training, and what is generated after it.

Write the numbers down before the change, and compare with them after it, with one thread on the same machine. They are
compared by their exact bits and in their order, so that names of losses may change.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from jsonargparse import auto_cli
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor
from transformers import CLIPVisionConfig, CLIPVisionModel

from ornament_lit.batch import TryOnBatch
from ornament_lit.cli.trainer import build
from ornament_lit.pipeline import OrnamentTryOnPipeline
from ornament_lit.pipeline.from_checkpoint import pipeline_of

QUICKSTART = ["--config", "configs/quickstart.yaml"]
SMALL = ["--config", "configs/small.yaml", "--data.batch_size=8"]
TINY = ["--data.resolution=32", "--data.batch_size=2", "--model.mask_head.init_args.upscale=1"]
OPTIONS = {
    "condition_dropout": 0.3,
    "foreground_weight": 4.0,
    "num_noise_samples": 2,
    "offset_noise": 0.1,
}
LOSS = "--model.diffusion_loss.init_args"
GUIDED = ["--model.sampler.init_args.guidance_scale=2", "--model.sampler.init_args.num_steps=4"]
PAPER = [
    "--config=configs/ornament.yaml",
    "--model.autoencoder.path=WEIGHTS/sd",
    "--model.denoiser.unet.path=WEIGHTS/sd",
    "--model.image_encoder.path=WEIGHTS/clip",
    "--model.sampler=ornament_lit.diffusion.sampler.Sampler",
    "--model.sampler.init_args.num_steps=2",
    "--data.resolution=64",
    "--data.batch_size=2",
    "--trainer.accelerator=cpu",
    "--trainer.devices=1",
    "--trainer.precision=32",
    "--trainer.accumulate_grad_batches=1",
]
CASES = {
    "quickstart": (20, QUICKSTART),
    "tiny": (5, [*QUICKSTART, *TINY]),
    "options": (5, [*QUICKSTART, *GUIDED, *(f"{LOSS}.{name}={value}" for name, value in OPTIONS.items())]),
    "min_snr": (5, [*QUICKSTART, f"{LOSS}.min_snr_gamma=5", "--model.neutral_background=true"]),
    **{
        f"ablation {path.stem}": (5, [*QUICKSTART, "--config", str(path)])
        for path in sorted(Path("configs/ablations").glob("*.yaml"))
    },
    "warp": (4, SMALL),
    "warp and denoiser": (4, [*SMALL, "--config", "configs/small_denoiser.yaml"]),
    "paper": (2, PAPER),
}
"""Steps and words of each case; WEIGHTS stands for a folder of :func:`write_small_weights`."""


class Losses(Callback):
    """Keeps the losses of each training step, to the last bit, and the first batch."""

    def __init__(self) -> None:
        self.steps: list[list[str]] = []
        self.batch: TryOnBatch | None = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Mapping[str, Tensor], batch: TryOnBatch, *_: int
    ) -> None:
        """Keep the losses of a step."""
        self.batch = batch if self.batch is None else self.batch
        logged = [value.item() for name, value in sorted(trainer.logged_metrics.items()) if name.startswith("train")]
        self.steps.append([float(value).hex() for value in (outputs["loss"].item(), *logged)])


def write_small_weights(folder: Path) -> None:
    """Write folders in the formats of Stable Diffusion 1.5 and CLIP ViT-L/14, a few random channels wide."""
    torch.manual_seed(0)
    UNet2DConditionModel(
        sample_size=64,
        block_out_channels=(8, 8, 16, 16),
        norm_num_groups=4,
        attention_head_dim=2,
        cross_attention_dim=768,
    ).save_pretrained(folder / "sd" / "unet")
    AutoencoderKL(
        block_out_channels=(4, 4, 8, 8),
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        norm_num_groups=2,
        scaling_factor=0.18215,
    ).save_pretrained(folder / "sd" / "vae")
    CLIPVisionModel(
        CLIPVisionConfig(
            hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, patch_size=32
        )
    ).save_pretrained(folder / "clip")


def numbers(words: list[str], steps: int, folder: Path) -> dict[str, Any]:
    """Train for some steps, and generate once."""
    options = {
        "enable_progress_bar": "false",
        "enable_model_summary": "false",
        "enable_checkpointing": "false",
        "limit_val_batches": 0,
        "logger": "false",
        "callbacks": "null",
        "default_root_dir": folder,
        "log_every_n_steps": 1,
        "max_steps": steps,
    }
    words = [word.replace("WEIGHTS", str(folder)) for word in words]
    words += [f"--trainer.{name}={value}" for name, value in options.items()]
    cli = build([*words, "--data.num_workers=0"])
    losses = Losses()
    cli.trainer.callbacks.append(losses)
    cli.trainer.fit(cli.model, cli.datamodule)
    cli.model.eval()
    assert losses.batch is not None
    generated = cli.model.predict_step(losses.batch, 0)
    tensors = [value for value in generated.values() if isinstance(value, Tensor)]
    tensors += try_on(pipeline_of(cli.model), losses.batch)
    hashes = [hashlib.sha256(value.contiguous().numpy().tobytes()).hexdigest() for value in tensors]
    return {"losses": losses.steps, "generated": hashes}


def try_on(pipeline: OrnamentTryOnPipeline, batch: TryOnBatch) -> list[Tensor]:
    """What the pipeline makes of the first sample of a batch: the image and the mask."""
    ornament, person = ((batch[f"{name}_image"][0] + 1) / 2 for name in ("ornament", "person"))
    rows, columns = (batch["box_mask"][0, 0].amax(axis).nonzero() for axis in (1, 0))
    box = (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
    pipeline.set_progress_bar_config(disable=True)
    output = pipeline(ornament, person, box, batch["ornament_mask"][0], seed=0, output_type="pt")
    return [output.images[0], pil_to_tensor(output.masks[0])]


def same_numbers(action: Literal["write", "compare"], file: Path, cases: list[str] | None = None) -> None:
    """Write numbers down, or compare with those that were.

    Args:
        action: ``write`` them, or ``compare``.
        file: JSON.
        cases: Some of them; null for all.

    Raises:
        SystemExit: If one differs.
    """
    torch.set_num_threads(1)
    before = json.loads(file.read_text()) if file.exists() else {}
    different = []
    with TemporaryDirectory() as folder:
        write_small_weights(Path(folder))
        for name in cases or CASES:
            steps, words = CASES[name]
            found = numbers(words, steps, Path(folder))
            if action == "write":
                before[name] = found
                file.write_text(json.dumps(before, indent=1))
                print(f"{name}: written, the last loss is {float.fromhex(found['losses'][-1][0]):.6f}", flush=True)
                continue
            same = found == before.get(name)
            different += [] if same else [name]
            print(f"{name}: {'same' if same else 'DIFFERENT'}", flush=True)
    if different:
        raise SystemExit(f"{len(different)} of {len(cases or CASES)} cases differ")


if __name__ == "__main__":
    auto_cli(same_numbers, as_positional=True)
