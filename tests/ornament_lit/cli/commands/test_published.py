"""``published`` from the command line to a pipeline that generates, is tested and begins a training."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from diffusers import UNet2DConditionModel
from PIL import Image

from callbacks import InitialWeights
from ornament_lit.__main__ import main
from ornament_lit.cli.commands.bench_parts import BenchCLI
from ornament_lit.cli.pipeline_weights import take_pipeline
from ornament_lit.models.published.methods import METHODS
from ornament_lit.pipeline import OrnamentTryOnPipeline

ROOT = Path(__file__).resolve().parents[4]
CONFIG = ["--config=configs/quickstart.yaml", "--config=configs/baselines/tiny/ootdiffusion.yaml"]
SMALL = [
    "--model.denoiser.unet.init_args.block_out_channels=[16, 16, 32]",
    "--model.denoiser.unet.init_args.norm_num_groups=8",
    "--data.crop_factor=1.75",
]


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Two UNets of the sizes of the configuration, in OOTDiffusion's folders."""
    sizes = yaml.safe_load(Path("configs/quickstart.yaml").read_text())["model"]["denoiser"]["unet"]["init_args"]
    sizes |= {"block_out_channels": [16, 16, 32], "norm_num_groups": 8}
    for number, (name, channels) in enumerate({"unet_vton": 96, "unet_garm": 48}.items()):
        torch.manual_seed(number)
        UNet2DConditionModel(**{**sizes, "in_channels": channels}).save_pretrained(tmp_path / "weights" / name)
    return tmp_path / "weights"


@pytest.fixture
def run(weights: Path, tmp_path: Path) -> Callable[..., int]:
    """Call the command; more words may follow."""

    def call(*more: str, method: str = "ootdiffusion") -> int:
        words = ["published", f"--method={method}", f"--weights={weights}", f"--output={tmp_path / 'written'}"]
        return main([*words, *CONFIG, *SMALL, *more])

    return call


def test_a_pipeline_is_written_and_serves(
    run, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    printed = capsys.readouterr().out
    assert "pipeline with the weights of levihsu/OOTDiffusion (CC BY-NC-SA 4.0)" in printed
    assert "as configured, since the files do not have them: image_encoder.clip, prompt_encoder.table" in printed
    pipeline = OrnamentTryOnPipeline.from_pretrained(tmp_path / "written")
    assert pipeline.settings.source == {
        "published": "levihsu/OOTDiffusion",
        "licence": "CC BY-NC-SA 4.0",
        "weights": "published",
        "method": "ootdiffusion",
        "file": "weights",
        "as_configured": "image_encoder.clip, prompt_encoder.table",
    }
    assert pipeline.settings.resolution == 64 and pipeline.settings.crop_factor == 1.75
    assert pipeline.settings.condition_dropout == 0.1 and pipeline.settings.guidance_scale == 2.0
    published = UNet2DConditionModel.from_pretrained(weights / "unet_vton").state_dict()
    found = pipeline.unet.state_dict()
    assert found.keys() == published.keys() and all(torch.equal(found[name], published[name]) for name in found)

    picture = Image.new("RGB", (64, 64), (200, 40, 20))
    arguments = {"box": (16, 16, 48, 48), "category": "ring", "seed": 0, "num_inference_steps": 2}
    assert pipeline(picture, picture, **arguments).images[0].size == (64, 64)

    module = BenchCLI([*CONFIG, *SMALL]).build(torch.device("cpu"))
    options = {"ckpt_path": str(tmp_path / "written")}
    take_pipeline("test", module, options)
    assert options == {"ckpt_path": None}
    told = {"published": "levihsu/OOTDiffusion", "licence": "CC BY-NC-SA 4.0", "weights": "published", "step": 0}
    assert told.items() <= module.weights_from.items()
    tuned = BenchCLI([*CONFIG, *SMALL]).build(torch.device("cpu"))
    InitialWeights(tmp_path / "written").load(tuned)
    for other in (module, tuned):
        assert torch.equal(other.model.denoiser.unet.conv_in.weight, published["conv_in.weight"])


def test_half(run, tmp_path: Path) -> None:
    assert run("--half") == 0
    pipeline = OrnamentTryOnPipeline.from_pretrained(tmp_path / "written")
    weight = pipeline.unet.conv_in.weight
    assert torch.equal(weight, weight.half().float())


def test_mistakes(run, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each ends in a line, and writes nothing."""
    messages = {
        ("--model.denoiser.unet.init_args.block_out_channels=[16, 32, 64]",): (
            "error: ootdiffusion: the weights in ",
            "configs/baselines/ootdiffusion.yaml is the size that OOTDiffusion's weights fit",
        ),
        ("--model.denoiser.inputs=[noisy, mask, erased]",): ("set model.denoiser.inputs to [noisy, erased]",),
        (f"--weights={tmp_path / 'nowhere'}",): ("no published model at", "there is no such folder"),
        ("--method=unknown",): ("method", "unknown", "paint_by_example"),
        ("--data.resolution=30",): ("resolution must be a multiple of 4",),
    }
    for words, expected in messages.items():
        assert run(*words) == 2
        error = capsys.readouterr().err
        assert all(part in error for part in expected), error
        assert "Traceback" not in error and not (tmp_path / "written").exists()
    (tmp_path / "written").mkdir()
    (tmp_path / "written/mine.txt").write_text("mine")
    assert run() == 2
    assert "something else than a pipeline" in capsys.readouterr().err


def test_help_is_quick_and_names_the_options() -> None:
    code = "import sys; from ornament_lit.__main__ import main; sys.argv=['x', 'published', '--help']\ntry: main()\n"
    code += "except SystemExit: pass\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(f"--{name}" in done.stdout for name in ("method", "weights", "output", "half", "config"))
    assert all(method in done.stdout for method in METHODS) and done.stdout.endswith("False\n")


def test_each_method_has_a_repository_and_a_configuration() -> None:
    assert json.dumps({name: known.licence for name, known in METHODS.items()})
    for known in METHODS.values():
        assert known.repository.count("/") == 1 and known.licence
        named = next(word for word in known.size.split() if word.endswith(".yaml"))
        assert (ROOT / named).is_file()
