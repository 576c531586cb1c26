"""The commands ``export`` and ``try-on``, as a user calls them."""

import hashlib
import io
import json
import pickle
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from PIL import Image
from safetensors.torch import load_file

from ornament_lit.__main__ import main
from ornament_lit.checkpointing.state import raw_weights
from ornament_lit.cli.commands.table import join_negative, normalise, split_groups
from ornament_lit.cli.commands.try_on import parse
from ornament_lit.diffusion.sampler import Sampler
from ornament_lit.losses.attention import ZeroAttentionLoss
from ornament_lit.models.autoencoders import SpaceToDepthAutoencoder
from ornament_lit.models.image_encoders import NoImageEncoder
from ornament_lit.models.mask_heads import BoxMaskHead
from ornament_lit.models.no_denoiser import NoDenoiser
from ornament_lit.models.reference_nets import NoReferenceNet
from ornament_lit.models.warps import PoseAwareWarp
from ornament_lit.module import TryOnModule
from ornament_lit.pipeline import OrnamentTryOnPipeline, loading
from ornament_lit.pipeline.from_checkpoint import load_checkpoint, pipeline_of
from ornament_lit.utils.bundled import DEFAULT_WEIGHTS, weights_path

ROOT = Path(__file__).resolve().parents[4]
UNET = """{class_path: diffusers.UNet2DConditionModel, init_args: {in_channels: 48, out_channels: 48,
        block_out_channels: [8, 8], down_block_types: [CrossAttnDownBlock2D, CrossAttnDownBlock2D],
        up_block_types: [CrossAttnUpBlock2D, CrossAttnUpBlock2D], layers_per_block: 1, norm_num_groups: 4,
        attention_head_dim: 1, cross_attention_dim: 8}}"""
TINY = f"""
model:
  autoencoder: {{class_path: SpaceToDepthAutoencoder}}
  image_encoder: {{class_path: NoImageEncoder}}
  denoiser: {{unet: {UNET}}}
  noise_scheduler: {{class_path: diffusers.DDPMScheduler, init_args: {{prediction_type: sample}}}}
  reference_net: {{class_path: UNetReferenceNet}}
  mask_head: {{class_path: PoseAwareMaskHead, init_args: {{num_iterations: 2, hidden_channels: 8}}}}
  attention_loss: {{class_path: MaskGuidedAttentionLoss}}
  optimizer: {{class_path: torch.optim.AdamW, init_args: {{lr: 0.01}}}}
  sampler: {{num_steps: 2}}
data:
  class_path: OrnamentDataModule
  init_args: {{resolution: 32, batch_size: 4, crop_factor: 1.4, train_shards: "bundled:rendered_128/train-*.tar",
    samples_per_epoch: 8}}
trainer:
  accelerator: cpu
  max_epochs: 1
  logger: false
  enable_progress_bar: false
  enable_model_summary: false
  limit_val_batches: 0
  callbacks: [{{class_path: TrainableEMA, init_args: {{decay: 0.5}}}}]
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoint of a run of two steps with averaged weights."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "tiny.yaml").write_text(TINY)
    assert main(["fit", f"--config={folder / 'tiny.yaml'}", f"--trainer.default_root_dir={folder}"]) == 0
    return next(folder.rglob("*.ckpt"))


@pytest.fixture
def loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "load_checkpoint", load_once)


load_once = cache(load_checkpoint)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Folder with an ornament, a person and an empty folder ``out``."""
    ornament = Image.new("RGB", (40, 40), "white")
    ornament.paste((200, 160, 20), (10, 10, 30, 30))
    ornament.save(tmp_path / "a.png")
    pixels = np.random.default_rng(0).integers(0, 256, (60, 70, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "b.png")
    (tmp_path / "out").mkdir()
    return tmp_path


@pytest.fixture
def try_on(files: Path, checkpoint: Path, loaded_once: None) -> Callable[..., int]:
    """Call the command with usable options, some of them replaced; None leaves one out."""

    def call(*more: str, **replaced: object) -> int:
        options = {
            "checkpoint": checkpoint,
            "ornament": files / "a.png",
            "person": files / "b.png",
            "box": "20,20,50,45",
            "type": "ring",
            "output": files / "out/worn.png",
            "region": "box",
            **replaced,
        }
        return main(["try-on", *(f"--{name}={value}" for name, value in options.items() if value is not None), *more])

    return call


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


def written(files: Path) -> list[str]:
    return sorted(path.name for path in (files / "out").iterdir())


def test_writes_the_person_with_the_ornament_and_how_it_was_made(
    try_on: Callable[..., int], files: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert try_on("--save-masks", "--seed=7", "--steps=3") == 0
    assert capsys.readouterr().out == f"{files / 'out/worn.png'}\n"
    assert written(files) == ["worn.changed.png", "worn.mask-1.png", "worn.mask-2.png", "worn.png"]
    changed = (read(files / "out/worn.png") != read(files / "b.png")).any(-1)
    assert changed.any() and not changed[read(files / "out/worn.changed.png") == 0].any()
    assert not changed[:20].any() and not changed[:, 50:].any()
    with Image.open(files / "out/worn.png") as image:
        made = json.loads(image.info["ornament_lit"])
    assert made["model"]["sha256"] == raw_hash(checkpoint) and made["model"]["weights"] == "averaged"
    assert (made["seed"], made["steps"], made["guidance"], made["resolution"]) == (7, 3, 1.0, 32)
    assert made["ornaments"] == [{"file": "a.png", "box": [20, 20, 50, 45], "type": "ring", "mask": None}]
    assert str(files) not in json.dumps(made)


def raw_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_exported_pipeline_draws_the_same(try_on: Callable[..., int], files: Path, checkpoint: Path) -> None:
    assert main(["export", f"--checkpoint={checkpoint}", f"--output={files / 'exported'}"]) == 0
    assert try_on() == 0
    assert try_on(checkpoint=None, pipeline=files / "exported", output=files / "out/again.png") == 0
    assert (files / "out/again.png").read_bytes() == (files / "out/worn.png").read_bytes()
    settings = OrnamentTryOnPipeline.from_pretrained(files / "exported").settings
    assert (settings.resolution, settings.crop_factor, settings.steps_taken) == (32, 1.4, 2)


def test_half_of_the_space_is_taken_by_weights_that_are_read_as_float32(checkpoint: Path, files: Path) -> None:
    folders = {word: files / word for word in ("whole", "half")}
    for word, folder in folders.items():
        assert main(["export", f"--checkpoint={checkpoint}", f"--output={folder}", f"--half={word == 'half'}"]) == 0
    for name in ("try_on.safetensors", "unet/diffusion_pytorch_model.safetensors"):
        whole, half = (load_file(folder / name) for folder in folders.values())
        assert {value.dtype for value in half.values()} == {torch.float16}
        assert all(torch.equal(value, whole[key].half()) for key, value in half.items())
    again = OrnamentTryOnPipeline.from_pretrained(folders["half"])
    assert {parameter.dtype for part in (again.unet, again.model.mask_head) for parameter in part.parameters()} == {
        torch.float32
    }


def test_averaged_weights_are_exported_unless_raw_ones_are_wanted(checkpoint: Path, files: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)
    raw, name = raw_weights(content), "model.mask_head.mlp.0.weight"
    assert raw is not None and not torch.equal(raw[name], content["state_dict"][name])
    for words, expected in (([], content["state_dict"]), (["--raw"], raw)):
        assert main(["export", f"--checkpoint={checkpoint}", f"--output={files / 'exported'}", *words]) == 0
        pipeline = OrnamentTryOnPipeline.from_pretrained(files / "exported")
        assert torch.equal(pipeline.model.mask_head.mlp[0].weight, expected[name])
        assert torch.equal(pipeline.unet.conv_in.weight, expected["model.denoiser.unet.conv_in.weight"])
    assert pipeline.settings.source["weights"] == "raw"
    assert {path.name for path in files.iterdir()} == {"a.png", "b.png", "out", "exported"}


def test_several_ornaments_are_worn_one_after_another(try_on: Callable[..., int], files: Path) -> None:
    first = ("--type=necklace",)
    assert try_on("--ornament", str(files / "a.png"), "--box", "0,0,15,12", *first, "--save-masks") == 0
    assert written(files)[-1] == "worn.png" and "worn.2.mask-1.png" in written(files)
    assert try_on(output=files / "out/one.png") == 0
    assert try_on(person=files / "out/one.png", box="0,0,15,12", output=files / "out/two.png") == 0
    assert np.array_equal(read(files / "out/worn.png"), read(files / "out/two.png"))
    with Image.open(files / "out/worn.png") as image:
        assert [worn["type"] for worn in json.loads(image.info["ornament_lit"])["ornaments"]] == ["ring", "necklace"]


def test_a_list_of_pictures(try_on: Callable[..., int], files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone = {"ornament": None, "person": None, "box": None, "type": None}
    rows = [
        'b.png,a.png,"20,20,50,45",ring,1.png',
        "b.png,a.png,0 0 15 12,,sub/2.png",
        'b.png,a.png,"0,0,15,12",necklace,1.png',
    ]
    (files / "list.csv").write_text("person,ornament,box,type,output\n" + "\n".join(rows) + "\n")
    assert try_on(batch=files / "list.csv", output=files / "out", **alone) == 0
    assert capsys.readouterr().out == f"2 of 2 images: {files / 'out'}\n"
    assert written(files) == ["1.png", "sub"]
    assert try_on("--ornament", str(files / "a.png"), "--box=0,0,15,12", output=files / "out/worn.png") == 0
    assert np.array_equal(read(files / "out/1.png"), read(files / "out/worn.png"))

    (files / "list.csv").write_text("person,ornament,box\nb.png,nowhere.png,1 1 30 30\nb.png,a.png,1 1 30 30\n")
    with pytest.raises(SystemExit) as stop:
        try_on(batch=files / "list.csv", output=files / "new", **alone)
    assert stop.value.code == 1
    assert "list.csv, line 2: a photograph must be a file" in capsys.readouterr().err
    assert [path.name for path in (files / "new").iterdir()] == ["b-a.png"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("person,ornament\n", "must have the columns person, ornament, box"),
        ("person,ornament,box,hat\n", "the unknown hat"),
        ("person;ornament;box\nb.png;a.png;1 2 3 4\n", "must be separated by commas, got ';'"),
        ("person\tornament\tbox\nb.png\ta.png\t1 2 3 4\n", "must be separated by commas, got"),
        ("person,ornament,box\n", "lists no image"),
        ("person,ornament,box\nb.png,a.png,1,2,3,4\n", "line 2.*boxes with commas stand in quotes"),
        ("person,ornament,box\nb.png,a.png,1 2 3\n", "line 2: a box must be four numbers"),
        ("person,ornament,box\nb.png,a.png,1 2 3 4 5 6\n", "line 2: a box must be four numbers"),
        ("person,ornament,box\nb.png,a.png,1 2 3 4 inf\n", "line 2: the angle of a box must be a finite number"),
        ("person,ornament,box,type\nb.png,a.png,1 2 3 4,hat\n", "line 2: type must be one of bracelet"),
        ("person,ornament,box,output\nb.png,a.png,1 2 3 4,../x.png\n", "line 2: output must be a name in the folder"),
        ("person,ornament,box,output\nb.png,a.png,1 2 3 4,x.gif\n", "line 2: output must be a name in the folder"),
        ("person,ornament,box,seed\nb.png,a.png,1 2 3 4,-1\n", "line 2: seed must be a number"),
    ],
)
def test_mistakes_in_a_list_are_told_before_anything_is_drawn(
    content: str, message: str, try_on: Callable[..., int], files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "list.csv").write_text(content)
    lists = {"ornament": None, "person": None, "box": None, "type": None, "batch": files / "list.csv"}
    assert try_on(output=files / "out", **lists) == 2
    assert_one_line(capsys.readouterr().err, message)
    assert written(files) == []


def assert_one_line(err: str, message: str) -> None:
    first, *others = err.splitlines()
    assert re.search(f"^error: .*{message}", first), err
    assert len(others) <= 1 and "Traceback" not in err


@pytest.fixture(scope="module")
def bad(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with everything that somebody may take for a photograph or a checkpoint."""
    folder = tmp_path_factory.mktemp("bad")
    good = io.BytesIO()
    Image.effect_noise((70, 60), 90).save(good, "PNG")
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("no image")
    (folder / "cut.png").write_bytes(good.getvalue()[:900])
    Image.new("RGB", (1, 1)).save(folder / "1x1.png")
    Image.new("L", (70, 60)).save(folder / "other_size.png")
    Image.new("1", (20_000, 20_000)).save(folder / "huge.png")
    torch.save({"state_dict": {"layer.weight": torch.ones(1)}}, folder / "other.ckpt")
    with (folder / "pickled.ckpt").open("wb") as file:
        pickle.dump({"state_dict": Trap()}, file)
    torch.save({"state_dict": {"mask_threshold": torch.ones(())}, "extra": Trap()}, folder / "trap.ckpt")
    (folder / "cut.ckpt").write_bytes(checkpoint.read_bytes()[:5000])
    return folder


class Trap:
    def __reduce__(self) -> tuple[object, ...]:
        return print, ("the trap was sprung",)


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"person": "nowhere.jpg"}, "must be a file"),
        ({"person": "{}"}, "must be a file"),
        ({"person": "{}/empty.png"}, "is empty"),
        ({"person": "{}/text.png"}, "must be an image of the formats"),
        ({"person": "{}/cut.png"}, "cannot be read"),
        ({"person": "{}/1x1.png"}, "at least 16 pixels wide"),
        ({"person": "{}/huge.png"}, "at most 67108864 pixels"),
        ({"ornament": "{}/empty.png"}, "is empty"),
        ({"ornament_mask": "{}/1x1.png"}, "at least 16 pixels wide"),
        ({"ornament_mask": "{}/other_size.png"}, "must have the size of its image"),
        ({"box": "100,100,120,130"}, "a box must have an area inside the image of 70x60"),
        ({"box": "50,20,20,45"}, "x0 < x1 and y0 < y1"),
        ({"box": "20,20,50"}, "four numbers"),
        ({"box": "20,20,x,45"}, "four numbers"),
        ({"box": "nan,0,5,5"}, "x0 < x1"),
        ({"box": None}, "missing: --box"),
        ({"type": "hat"}, "type: expected .*bracelet.* got 'hat'"),
        ({"steps": "0"}, "--steps must be at least 1"),
        ({"steps": "5000"}, "at most 1000, the timesteps of training, got 5000"),
        ({"guidance": "nan"}, "guidance must be a finite number, got nan"),
        ({"guidance": "-1"}, "--guidance must not be negative"),
        ({"seed": "-1"}, "--seed must be from 0"),
        ({"hat": "1"}, "there is no option --hat"),
        ({"output": "worn.gif"}, "an image is written as .png"),
        ({"output": "nowhere/worn.png"}, "does not exist; make it first"),
        ({"output": "worn.png/"}, "--output must be an image's file, got the folder"),
        ({"output": "/dev/null/worn.png"}, "does not exist"),
        ({"output": None}, "missing: --output"),
        ({"pipeline": "bundled:small"}, "give either --checkpoint or --pipeline"),
        ({"checkpoint": None, "raw": "true"}, "--raw and --resolution are for a --checkpoint"),
        ({"checkpoint": None, "pipeline": "bundled:large"}, "the weights that ship are bundled:small, got"),
        ({"checkpoint": "bundled:large"}, "the weights that ship are bundled:small, got"),
        ({"checkpoint": "{}/nowhere.ckpt"}, "a checkpoint must be a file"),
        ({"checkpoint": "{}/huge.png"}, "is no checkpoint"),
        ({"checkpoint": "{}/empty.png"}, "is no checkpoint"),
        ({"checkpoint": "{}/cut.ckpt"}, "is no checkpoint"),
        ({"checkpoint": "{}/other.ckpt"}, "is a checkpoint of another project"),
        ({"checkpoint": "{}/pickled.ckpt"}, "is no checkpoint"),
        ({"checkpoint": "{}/trap.ckpt"}, "pickled objects can run any code"),
        ({"checkpoint": None, "pipeline": "{}"}, "no pipeline at"),
        ({"device": "cuda"}, "needs a CUDA device"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    replaced: dict[str, str | None],
    message: str,
    try_on: Callable[..., int],
    bad: Path,
    files: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "device" in replaced and torch.cuda.is_available():
        pytest.skip("there is one")
    assert try_on(**{name: value and value.format(bad) for name, value in replaced.items()}) == 2
    captured = capsys.readouterr()
    assert_one_line(captured.err, message)
    assert captured.out == "" and written(files) == []


def test_where_no_weights_are_named_those_that_ship_are_taken(try_on: Callable[..., int], files: Path) -> None:
    out = files / "out"
    assert try_on(**{"checkpoint": None, "region": "mask", "output": out / "default.png"}) == 0
    assert try_on(**{"checkpoint": "bundled:small", "region": "mask", "output": out / "named.png"}) == 0
    shipped = OrnamentTryOnPipeline.from_pretrained("bundled:small").settings.source
    assert made(out / "default.png")["model"] == made(out / "named.png")["model"] == dict(shipped)
    assert np.array_equal(read(out / "default.png"), read(out / "named.png"))


def test_the_weights_that_ship_can_be_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--checkpoint=bundled:small", f"--output={tmp_path / 'copy'}", "--half"]) == 0
    one, two = (
        load_file(folder / "try_on.safetensors") for folder in (weights_path(DEFAULT_WEIGHTS), tmp_path / "copy")
    )
    assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)
    assert main(["export", "--checkpoint=bundled:small", f"--output={tmp_path / 'raw'}", "--raw"]) == 2
    assert_one_line(capsys.readouterr().err, "raw weights and a resolution are for a checkpoint")


def test_a_checkpoint_with_a_class_of_an_absent_plugin_says_how_to_name_it(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = torch.load(checkpoint, weights_only=True)
    content["hyper_parameters"]["mask_head"]["class_path"] = "my_plugin.RoundMaskHead"
    torch.save(content, tmp_path / "last.ckpt")
    assert main(["export", f"--checkpoint={tmp_path / 'last.ckpt'}", f"--output={tmp_path / 'out'}"]) == 2
    message = (
        "last.ckpt cannot be built here: 'my_plugin.RoundMaskHead' may not be imported.*ORNAMENT_LIT_PLUGINS names$"
    )
    assert_one_line(capsys.readouterr().err, message)
    assert not (tmp_path / "out").exists()


def test_a_second_ornament_is_checked_too(
    try_on: Callable[..., int], files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert try_on("--ornament", str(files / "a.png")) == 2
    assert_one_line(capsys.readouterr().err, "missing: --box of ornament 2")
    assert try_on("--ornament", str(files / "a.png"), "--box=5,5,9,9", "--type=hat") == 2
    assert_one_line(capsys.readouterr().err, "type: expected")
    assert written(files) == []


def test_a_box_that_leaves_the_photograph_is_cut_with_a_warning(
    try_on: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert try_on(box="-5,-5,30,30") == 0
    assert "warning: the box [-5.0, -5.0, 30.0, 30.0] leaves the image" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--box", "-20,-20,40,40"], ["--box=-20,-20,40,40"]])
def test_a_box_may_begin_with_a_minus(words: list[str]) -> None:
    options, worn = parse(["--person", "b.png", *words, "--output=o.png", "--ornament=c.png", "--box", "-.5,1,2,3"])
    assert (options.box, options.output, worn[0].box) == ("-20,-20,40,40", "o.png", "-20,-20,40,40")
    assert [each.box for each in worn[1:]] == ["-.5,1,2,3"]


def test_a_turned_box_is_drawn_within_its_bounds(try_on: Callable[..., int], files: Path) -> None:
    assert try_on(box="25,20,45,45,-90") == 0  # around (35, 32.5): 22.5 to 47.5, 22.5 to 42.5
    changed = (read(files / "out/worn.png") != read(files / "b.png")).any(-1)
    rows, columns = changed.nonzero()
    assert columns.min() >= 22 and columns.max() <= 47 and rows.min() >= 22 and rows.max() <= 42
    assert columns.max() - columns.min() > rows.max() - rows.min()
    with Image.open(files / "out/worn.png") as image:
        assert json.loads(image.info["ornament_lit"])["ornaments"][0]["box"] == [25, 20, 45, 45, -90]


def test_a_checkpoint_without_resolution_asks_for_it(checkpoint: Path, tmp_path: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)
    del content["crop_settings"]
    torch.save(content, tmp_path / "old.ckpt")
    with pytest.raises(ValueError, match="give --resolution"):
        load_checkpoint(tmp_path / "old.ckpt")
    assert load_checkpoint(tmp_path / "old.ckpt", resolution=64).settings.resolution == 64


@pytest.fixture(scope="module")
def warped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported pipeline of a warp alone, with random weights."""
    torch.manual_seed(0)
    warp = PoseAwareWarp(32, True, turns=2, pose_channels=40, pose_hidden=16, stem_channels=8, channels=8, heads=1)
    module = TryOnModule(
        SpaceToDepthAutoencoder(),
        NoImageEncoder(),
        NoDenoiser(),
        DDPMScheduler(prediction_type="sample", clip_sample=False),
        NoReferenceNet(),
        BoxMaskHead(),
        ZeroAttentionLoss(),
        warp=warp,
        sampler=Sampler(strength=0.0),
    )
    module.crop_settings = {"resolution": 32, "crop_factor": 1.25, "wide_view": 1.8, "detail": 2}
    folder = tmp_path_factory.mktemp("warped") / "exported"
    pipeline_of(module).save_pretrained(folder)
    return folder


def made(path: Path) -> dict[str, object]:
    with Image.open(path) as image:
        described: dict[str, object] = json.loads(image.info["ornament_lit"])
    return described


def test_a_warp_alone_draws_previews_with_detail_or_without(
    try_on: Callable[..., int], files: Path, warped: Path
) -> None:
    alone = {"checkpoint": None, "pipeline": warped, "region": "mask"}
    out = files / "out"
    assert try_on("--save-masks", **alone) == 0
    assert written(files) == ["worn.changed.png", "worn.mask-1.png", "worn.png"]
    assert try_on("--preview", **{**alone, "output": out / "preview.png"}) == 0
    assert try_on("--detail=false", **{**alone, "output": out / "low.png"}) == 0
    assert try_on("--detail=true", **{**alone, "output": out / "high.png"}) == 0
    worn, preview, low, high = (read(out / f"{name}.png") for name in ("worn", "preview", "low", "high"))
    assert np.array_equal(worn, preview) and np.array_equal(worn, high) and not np.array_equal(worn, low)
    changed = (worn != read(files / "b.png")).any(-1)
    assert changed.any() and not changed[read(out / "worn.changed.png") == 0].any()
    assert [made(out / f"{name}.png")["detail"] for name in ("worn", "low", "high")] == [True, False, True]
    assert [made(out / f"{name}.png")["preview"] for name in ("worn", "preview")] == [False, True]


def test_the_box_can_be_erased_where_the_model_would_see_it(
    try_on: Callable[..., int], files: Path, warped: Path, tmp_path: Path
) -> None:
    pipeline = OrnamentTryOnPipeline.from_pretrained(warped)
    pipeline.settings = replace(pipeline.settings, bare=True)
    pipeline.save_pretrained(tmp_path / "seeing")
    out, seeing = files / "out", {"checkpoint": None, "pipeline": tmp_path / "seeing"}
    assert try_on(**{**seeing, "output": out / "seen.png"}) == 0
    assert try_on("--erase", **{**seeing, "output": out / "erased.png"}) == 0
    assert try_on(**{"checkpoint": None, "pipeline": warped, "output": out / "blind.png"}) == 0
    seen, erased, blind = (read(out / f"{name}.png") for name in ("seen", "erased", "blind"))
    assert np.array_equal(erased, blind) and not np.array_equal(seen, erased)
    assert [made(out / f"{name}.png")["erase"] for name in ("seen", "erased", "blind")] == [False, True, True]


@pytest.mark.parametrize(("word", "name"), [("--preview", "preview"), ("--detail=true", "detail")])
def test_previews_and_detail_need_a_warp(
    word: str, name: str, try_on: Callable[..., int], files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert try_on(word) == 2
    assert_one_line(capsys.readouterr().err, f"{name} needs a model with a warp")
    assert written(files) == []


def test_help_is_quick() -> None:
    start = time.perf_counter()
    command = [sys.executable, "-X", "importtime", "-m", "ornament_lit", "try-on", "--help"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "Where the ornament is worn" in run.stdout and "worn together" in run.stdout
    assert "| torch\n" not in run.stderr and "| numpy\n" not in run.stderr
    assert time.perf_counter() - start < 10  # it is 0.2 s; the machine may be busy


def test_words_are_normalised_and_grouped() -> None:
    words = normalise(
        ["--save-masks", "--box", "-1,2", "--raw", "false", "--ornament-mask=a-b.png"], {"save_masks", "raw"}
    )
    assert words == ["--save_masks=true", "--box", "-1,2", "--raw", "false", "--ornament_mask=a-b.png"]
    handed_on = "--config a-b.yaml --data.x-y=1"
    assert normalise(["--args", handed_on], set()) == ["--args", handed_on]
    assert normalise([], {"raw"}) == [] and split_groups([], ("a",)) == ([], [[]])
    joined = ["--box=-1,2", "--x=-.5", "--y=1", "-3", "--raw", "--z", "a"]
    assert join_negative(["--box", "-1,2", "--x", "-.5", "--y=1", "-3", "--raw", "--z", "a"]) == joined
    shared, groups = split_groups(["--a=1", "--x", "2", "--y", "-3,4", "--b", "5", "--x", "6", "--x=7"], ("a", "b"))
    assert (shared, groups) == (["--x", "2", "--y", "-3,4", "--x", "6", "--x=7"], [["--a=1", "--b", "5"]])
    assert split_groups(["--a=1", "--a=2", "--b=3"], ("a", "b"))[1] == [["--a=1"], ["--a=2", "--b=3"]]
