"""The command line of the trainer, run in this process on a tiny model and the bundled triplets."""

import errno
import io
import os
import shutil
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
import yaml
from jsonargparse import capture_parser
from tiny_run import UNET
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

import callbacks
import datamodules
from ornament_lit.cli import introspection as cli_known
from ornament_lit.cli.errors import end_well, say
from ornament_lit.cli.messages import explain
from ornament_lit.cli.trainer import TryOnCLI, build, check_ours, main
from ornament_lit.module import TryOnModule
from ornament_lit.reports import read_report

QUICKSTART = str(Path(__file__).resolve().parents[1] / "configs" / "quickstart.yaml")
TINY = {
    "model": {
        "autoencoder": {"init_args": {"block_size": 8}},
        "denoiser": {"unet": UNET},
        "mask_head": {"init_args": {"hidden_channels": 8, "upscale": 1}},
    },
    "data": {"init_args": {"resolution": 32, "batch_size": 2, "val_batch_size": 2}},
    "trainer": {
        "max_steps": 2,
        "limit_val_batches": 1,
        "val_check_interval": 1.0,
        "check_val_every_n_epoch": 1,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "callbacks": [{"class_path": "ModelCheckpoint", "init_args": {"filename": "last"}}],
    },
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Words of a quick run: the quickstart made tiny."""
    folder = tmp_path_factory.mktemp("tiny")
    config = folder / "tiny.yaml"
    config.write_text(yaml.safe_dump(TINY), encoding="utf-8")
    return ["--config", QUICKSTART, "--config", str(config), f"--trainer.logger.save_dir={folder}"]


@pytest.fixture(scope="module")
def run_folder(tiny: list[str]) -> Path:
    """A finished run of two steps."""
    assert main(["fit", *tiny]) == 0
    return Path(tiny[-1].partition("=")[2]) / "quickstart"


@pytest.fixture(scope="module")
def parse() -> Callable[[list[str]], int]:
    """Parse a command line, as main does, without building the parser anew."""
    parser = capture_parser(TryOnCLI)
    return lambda args: end_well(lambda: parser.parse_args(args))


def complaint(capsys: pytest.CaptureFixture[str], args: list[str], run: Callable[[list[str]], int] = main) -> str:
    """Run a command that must fail as a mistake of the user, and return its message."""
    capsys.readouterr()
    assert run(args) == 2
    text = capsys.readouterr().err
    message = text[text.index("error: ") :]
    assert "usage" not in text
    assert "Traceback" not in text
    assert message.count("\n") <= 2
    return message


MISTAKES = [
    (["--model.mask_head=NopeHead"], ["model.mask_head", "'NopeHead'", "known: BoxMaskHead, PoseAwareMaskHead"]),
    (["--model.mask_head=BoxMaskHaed"], ["did you mean BoxMaskHead?"]),
    (["--model.mask_head=ZeroAttentionLoss"], ["'ZeroAttentionLoss'", "known: BoxMaskHead, PoseAwareMaskHead"]),
    (["--model.mask_head=MaskHead"], ["'MaskHead'", "known: BoxMaskHead, PoseAwareMaskHead"]),
    (["--model.mask_hed=BoxMaskHead"], ["no option --model.mask_hed", "did you mean --model.mask_head?"]),
    (["--trainer.max_step=3"], ["did you mean --trainer.max_steps?"]),
    (["--trainer.max_epoch=3"], ["did you mean --trainer.max_epochs?"]),
    (["--model.mask_head.hiden_channels=3"], ["PoseAwareMaskHead has no option", "did you mean hidden_channels?"]),
    (["--data.batchsize=3"], ["OrnamentDataModule has no option 'batchsize'", "did you mean batch_size?"]),
    (["--model.optimizer=Adm"], ["did you mean Adam?", "known: ", "SGD"]),
    (["--model.optimizer.lrr=3"], ["no option 'lrr'", "did you mean lr?"]),
    (["--data.batch_size=x"], ["data.batch_size: expected int, got 'x'"]),
    (["--trainer.max_steps=x"], ["trainer.max_steps: expected int, got 'x'"]),
    (["--seed_everything=x"], ["seed_everything: expected bool or int, got 'x'"]),
    (["--trainer.callbacks+=TrainableEMA", "--trainer.callbacks.decey=1"], ["TrainableEMA", "did you mean decay?"]),
    (["--config=nope.yaml"], ["no file", "nope.yaml"]),
    (["junk"], ["unexpected 'junk'"]),
    (["--model.lr=3"], ["no option --model.lr; did you mean --model.optimizer.lr?"]),
    (["--model.loss_weight=3"], ["did you mean --model.mask_loss_weight or --model.warp_loss_weight?"]),
    (["--batch_size=3"], ["did you mean --data.batch_size?"]),
    (["--modl.mask_loss_weight=3"], ["did you mean --model.mask_loss_weight?"]),
    (["--report.folder=x"], ["no option --report.folder\n"]),
    (["--data.epoch_samples=3"], ["did you mean samples_per_epoch?"]),
    (["--model.denoiser.unt.init_args.x=3"], ["Denoiser has no option 'unt'; did you mean unet?"]),
    (["--model.mask_head.class_pth=x"], ["did you mean class_path?"]),
    (["--model.mask_head=null"], ["no class 'None' fits here", "known: BoxMaskHead, PoseAwareMaskHead"]),
    (["--data.box_growth=5"], ["data.box_growth: expected [float, float], got '5'"]),
    (["--data.box_growth=[0.1]"], ["data.box_growth: expected [float, float], got '[0.1]'"]),
    (["--model.mask_loss_weight=nan"], ["model.mask_loss_weight must be a finite number, got nan"]),
    (["--model.optimizer.lr=.nan"], ["model.optimizer.lr must be a finite number, got nan"]),
    (["--data.crop_factor=1e999"], ["data.crop_factor must be a finite number, got inf"]),
    (["--data.box_growth=[.nan,0.1]"], ["data.box_growth must be a finite number, got nan"]),
    (["--data.val_shards=null"], ["data.val_shards must have a value, got null"]),
    (["--model.optimizer=antigravity.X"], ["'antigravity.X' may not be imported", "ORNAMENT_LIT_PLUGINS"]),
    (["--model.worn_weight=3"], ["model.worn_weight is called model.diffusion_loss.foreground_weight now\n"]),
    (["--model.sampler=ornament_lit.sampling.Sampler"], ["is called ornament_lit.diffusion.sampler.Sampler now\n"]),
    (
        ["--trainer.callbacks+=MaskVisualizer", "--trainer.callbacks.draw_steps=1"],
        ["MaskVisualizer.sampling_steps now\n"],
    ),
]
LATE_MISTAKES = [
    (["--model.mask_head=NopeHead"], ["model.mask_head", "'NopeHead'", "known: BoxMaskHead, PoseAwareMaskHead"]),
    (["--trainer.accelerator=abacus"], ["accelerator", "abacus", "cpu"]),
    (["--data.batch_size=0"], ["batch_size", "got 0"]),
    (["--trainer.callbacks+=TrainableEMA", "--trainer.callbacks.decay=3"], ["decay", "got 3"]),
    (["--data.train_shards=nowhere-*.tar"], ["nowhere-*.tar"]),
    (["--data.train_shards=train-{000000..000003.tar"], ["each brace of a pattern must be closed"]),
    (["--data.resolution=30"], ["resolution must be a multiple of 8, the autoencoder's factor, got 30"]),
    (["--model.optimizer.lr=-1"], ["model.optimizer", "Invalid learning rate: -1"]),
    (["--seed_everything=-1"], ["seed_everything: -1 is not in bounds"]),
    (
        ["--model.sampler=ornament_lit.diffusion.sampler.Sampler", "--model.sampler.num_steps=5000"],
        ["at most 1000", "got 5000"],
    ),
    (["--trainer.logger.save_dir=/dev/null"], ["/dev/null", "Not a directory"]),
    (["--ckpt_path=nowhere.ckpt"], ["nowhere.ckpt"]),
]


@pytest.mark.parametrize(("args", "parts"), MISTAKES, ids=[" ".join(args) for args, _ in MISTAKES])
def test_mistake_on_the_command_line(
    args: list[str],
    parts: list[str],
    tiny: list[str],
    parse: Callable[[list[str]], int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    message = complaint(capsys, ["fit", *tiny, *args], parse)
    assert all(part in message for part in parts), message


@pytest.mark.parametrize(("args", "parts"), LATE_MISTAKES, ids=[args[-1] for args, _ in LATE_MISTAKES])
def test_mistake_that_the_whole_command_finds(
    args: list[str], parts: list[str], tiny: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    message = complaint(capsys, ["fit", *tiny, *args])
    assert all(part in message for part in parts), message


MISTAKES_IN_YAML = [
    ("model: {mask_hed: {class_path: BoxMaskHead}}", ["no key model.mask_hed", "did you mean model.mask_head?"]),
    ("trainer: {max_step: 3}", ["no key trainer.max_step", "did you mean trainer.max_steps?"]),
    ("modle: 3", ["no key modle", "did you mean model?"]),
    ("model: {mask_head: {class_path: Nope}}", ["model.mask_head", "known: BoxMaskHead, PoseAwareMaskHead"]),
    ("model: {mask_head: {class_path: BoxMaskHead, x: 3}}", ["beside class_path stands only init_args"]),
    ("model: {mask_head: {class_path: PoseAwareMaskHead, init_args: {itera: 3}}}", ["has no option 'itera'"]),
    ("trainer: {callbacks: [{class_path: TrainableEMO}]}", ["did you mean TrainableEMA?", "MaskVisualizer"]),
    ("trainer: {callbacks: [{class_path: TrainableEMA, init_args: {deca: 1}}]}", ["did you mean decay?"]),
    ("max_epochs: 3", ["no key max_epochs; did you mean trainer.max_epochs?"]),
    ("model: {lr: 3}", ["no key model.lr; did you mean model.optimizer.lr?"]),
    ("model: {mask_loss_weight: .inf}", ["model.mask_loss_weight must be a finite number, got inf"]),
    ("model: [1", ["mistake.yaml, line 1", "not YAML"]),
    ("- 1", ["mistake.yaml", "expected keys and values", "[1]"]),
    ("model: {noise_draws: 2}", ["model.noise_draws is called model.diffusion_loss.num_noise_samples now\n"]),
    ("trainer: {callbacks: [{class_path: DrawingReport}]}", ["DrawingReport is called EvaluationReport now\n"]),
]


@pytest.mark.parametrize(("text", "parts"), MISTAKES_IN_YAML, ids=[text for text, _ in MISTAKES_IN_YAML])
def test_mistake_in_a_file(
    text: str,
    parts: list[str],
    tiny: list[str],
    parse: Callable[[list[str]], int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = tmp_path / "mistake.yaml"
    config.write_text(text, encoding="utf-8")
    message = complaint(capsys, ["fit", *tiny, "--config", str(config)], parse)
    assert all(part in message for part in parts), message


@pytest.mark.parametrize("content", [b"# caf\xe9", "model: {}".encode("utf-16"), bytes(range(256))])
def test_a_file_of_another_encoding_is_named(
    content: bytes,
    tiny: list[str],
    parse: Callable[[list[str]], int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "mistake.yaml").write_bytes(content)
    message = complaint(capsys, ["fit", *tiny, "--config", str(tmp_path / "mistake.yaml")], parse)
    assert f"{tmp_path / 'mistake.yaml'} must be UTF-8, got byte" in message


def test_infinite_defaults_of_a_class_may_stay(tiny: list[str], parse: Callable[[list[str]], int]) -> None:
    assert parse(["fit", *tiny, "--model.noise_scheduler=diffusers.DPMSolverMultistepScheduler"]) == 0


def test_a_folder_is_no_configuration(
    tiny: list[str], parse: Callable[[list[str]], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = complaint(capsys, ["fit", *tiny, f"--config={tmp_path}"], parse)
    assert f"--config: there is no file {tmp_path}" in message


def test_the_progress_bar_of_a_configuration_can_be_turned_off(tiny: list[str]) -> None:
    words = [*tiny, "--trainer.callbacks+=lightning.pytorch.callbacks.RichProgressBar"]
    trainer = build([*words, "--trainer.enable_progress_bar=true"]).trainer
    assert type(trainer.progress_bar_callback).__name__ == "RichProgressBar"
    assert build(words).trainer.progress_bar_callback is None


def test_nothing_given(parse: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str]) -> None:
    message = complaint(capsys, ["fit"], parse)
    assert "missing: " in message
    assert "--config configs/quickstart.yaml" in message


def test_later_config_and_command_line_win_and_short_names_are_known(
    tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "box.yaml"
    config.write_text("model: {mask_head: {class_path: BoxMaskHead}, mask_loss_weight: 7}", encoding="utf-8")
    words = ["--config", str(config), "--model.attention_loss=ZeroAttentionLoss", "--print_config"]
    with pytest.raises(SystemExit) as stop:
        main(["fit", *tiny, *words])
    printed = yaml.safe_load(capsys.readouterr().out)
    assert stop.value.code == 0
    assert printed["model"]["mask_head"]["class_path"].endswith("BoxMaskHead")
    assert printed["model"]["attention_loss"]["class_path"].endswith("ZeroAttentionLoss")
    assert printed["model"]["mask_loss_weight"] == 7
    assert printed["model"]["diffusion_loss"]["init_args"]["condition_dropout"] == 0.0
    assert printed["seed_everything"] == 0


def test_help_of_a_class(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--model.mask_head.help=PoseAwareMaskHead"])
    assert stop.value.code == 0
    assert "--model.mask_head.num_iterations" in capsys.readouterr().out


def test_build_gives_parts_and_runs_nothing(tiny: list[str]) -> None:
    cli = build([*tiny, "--model.mask_head=BoxMaskHead", "--data.batch_size=3"])
    assert type(cli.model.model.mask_head).__name__ == "BoxMaskHead"
    assert isinstance(cli.datamodule, datamodules.OrnamentDataModule)
    assert cli.datamodule.batch_size == 3
    assert cli.trainer.max_steps == 2
    assert cli.trainer.global_step == 0


def test_build_raises_the_short_message(tiny: list[str]) -> None:
    with pytest.raises(ValueError, match="known: BoxMaskHead, PoseAwareMaskHead"):
        build([*tiny, "--model.mask_head=NopeHead"])


def test_same_seed_same_weights(tiny: list[str]) -> None:
    first, second = (build(tiny).model.state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_config_lies_beside_the_checkpoints_and_reproduces_the_run(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (run_folder / "checkpoints" / "last.ckpt").is_file()
    saved = yaml.safe_load((run_folder / "config.yaml").read_text())
    assert saved["model"]["mask_head"]["init_args"]["hidden_channels"] == 8
    assert main(["fit", "--config", str(run_folder / "config.yaml")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"run folder: {run_folder}"


def test_validate_leaves_the_config_of_the_run_alone(run_folder: Path, tiny: list[str]) -> None:
    before = (run_folder / "config.yaml").read_text()
    checkpoint = run_folder / "checkpoints" / "last.ckpt"
    assert main(["validate", *tiny, f"--ckpt_path={checkpoint}", "--data.val_batch_size=1"]) == 0
    assert (run_folder / "config.yaml").read_text() == before
    assert yaml.safe_load((run_folder / "config_validate.yaml").read_text())["ckpt_path"] == str(checkpoint)


def test_checkpoint_does_not_override_the_command_line(run_folder: Path, tiny: list[str], tmp_path: Path) -> None:
    words = [f"--ckpt_path={run_folder}/checkpoints/last.ckpt", "--model.optimizer.lr=0.5", "--trainer.max_steps=3"]
    assert main(["fit", *tiny, *words, f"--trainer.logger.save_dir={tmp_path}"]) == 0
    saved = yaml.safe_load((tmp_path / "quickstart" / "config.yaml").read_text())
    assert saved["model"]["optimizer"]["init_args"]["lr"] == 0.5


def test_checkpoint_of_another_model(run_folder: Path, tiny: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"--ckpt_path={run_folder}/checkpoints/last.ckpt", "--model.mask_head=BoxMaskHead"]
    message = complaint(capsys, ["validate", *tiny, *words])
    assert "the checkpoint is of another model" in message
    assert "unexpected (model.mask_head." in message


METRICS = """
report:
  resamples: 20
  metrics:
    - class_path: CLIPSimilarity
      init_args: {path: CLIP, image_size: 32, region: full}
    - class_path: WrongReferenceGap
      init_args: {metrics: [PSNR, {class_path: CLIPSimilarity, init_args: {path: CLIP, image_size: 32}}]}
"""


def test_test_draws_and_writes_a_report_with_the_metrics_of_a_file(
    run_folder: Path, tiny: list[str], tmp_path: Path
) -> None:
    config = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8
    )
    CLIPVisionModelWithProjection(config).save_pretrained(tmp_path / "clip")
    (tmp_path / "metrics.yaml").write_text(METRICS.replace("CLIP,", f"{tmp_path / 'clip'},"), encoding="utf-8")
    checkpoint = run_folder / "checkpoints" / "last.ckpt"
    words = [f"--ckpt_path={checkpoint}", f"--config={tmp_path / 'metrics.yaml'}", "--trainer.limit_test_batches=3"]
    sampler = ["--model.sampler=ornament_lit.diffusion.sampler.Sampler", "--model.sampler.num_steps=2"]
    assert main(["test", *tiny, *words, *sampler, "--data.whole_photographs=true"]) == 0
    report = read_report(run_folder / "test")
    columns = [column for one in report.measured for column in one.columns]
    assert columns == [
        "clip_i",
        "clip_i_reference",
        "psnr_inside_gap",
        "psnr_outside_gap",
        "psnr_worn_gap",
        "clip_i_gap",
        "clip_i_reference_gap",
    ]
    assert report.protocol["checkpoint"]["weights"] == "raw" and report.protocol["checkpoint"]["step"] == 2
    assert report.protocol["data"]["n"] == 6 and report.protocol["sampling"]["num_steps"] == 2
    assert 0 < len(list((run_folder / "test" / "samples").iterdir())) == 6
    assert "clip_i_reference ↑, ground truth" in (run_folder / "test" / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("content", [{"weight": torch.zeros(3)}, torch.zeros(3)])
def test_a_plain_file_of_torch_is_no_checkpoint(
    content: object, tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(content, tmp_path / "plain.ckpt")
    message = complaint(capsys, ["fit", *tiny, f"--ckpt_path={tmp_path / 'plain.ckpt'}"])
    assert "plain.ckpt is a checkpoint of another project" in message


def test_a_full_disk_anywhere_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        shutil.copyfileobj(Full(), Full())

    class Full(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert end_well(command) == 2
    assert capsys.readouterr().err.startswith("error: No space left on device; make room, or write elsewhere\n")


def test_a_file_that_a_library_misses_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert end_well(lambda: os.makedirs(tmp_path / "file" / "x")) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'file' / 'x'}: Not a directory\n")


def test_broken_checkpoint(tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = tmp_path / "broken.ckpt"
    checkpoint.write_bytes(b"no checkpoint")
    complaint(capsys, ["validate", *tiny, f"--ckpt_path={checkpoint}"])


def test_bug_in_a_step_keeps_its_traceback(tiny: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def training_step(self: TryOnModule, batch: object, batch_idx: int) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(TryOnModule, "training_step", training_step)
    with pytest.raises(ValueError, match="a bug"):
        main(["fit", *tiny])


def test_debugging_shows_the_traceback(tiny: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORNAMENT_LIT_DEBUG", "1")
    with pytest.raises(ValueError, match="batch_size"):
        main(["fit", *tiny, "--data.batch_size=0"])


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_in_training(
    tiny: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def training_step(self: TryOnModule, batch: object, batch_idx: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(TryOnModule, "training_step", training_step)
    assert main(["fit", *tiny]) == 130
    err = capsys.readouterr().err
    assert err.endswith("\ninterrupted\n")
    assert "Traceback" not in err
    assert "KeyboardInterrupt" not in err


def test_ctrl_c_before_training() -> None:
    def command() -> None:
        raise KeyboardInterrupt

    assert end_well(command) == 130


def test_only_the_first_process_of_a_machine_speaks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for rank in ("1", "0"):
        monkeypatch.setenv("LOCAL_RANK", rank)
        say(f"rank {rank}")
    assert capsys.readouterr().err == "rank 0\n"


def test_class_path_outside_the_list_is_not_imported(
    tiny: list[str], parse: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str]
) -> None:
    complaint(capsys, ["fit", *tiny, "--model.mask_head=antigravity.Head"], parse)
    assert "antigravity" not in sys.modules


def test_plugin_gives_short_names(tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "from ornament_lit.models.mask_heads import BoxMaskHead\n\n\nclass RoundMaskHead(BoxMaskHead):\n    pass\n"
    (tmp_path / "my_plugin.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("ORNAMENT_LIT_PLUGINS", "my_plugin")
    cli = build([*tiny, "--model.mask_head=RoundMaskHead"])
    assert type(cli.model.model.mask_head).__name__ == "RoundMaskHead"


def test_plugin_that_does_not_exist(
    tiny: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ORNAMENT_LIT_PLUGINS", "no_such_plugin")
    message = complaint(capsys, ["fit", *tiny])
    assert "ORNAMENT_LIT_PLUGINS" in message
    assert "'no_such_plugin'" in message


def test_foreign_package_of_the_same_name_is_named(tmp_path: Path) -> None:
    check_ours(callbacks, datamodules)
    foreign = ModuleType("callbacks")
    foreign.__path__ = [str(tmp_path / "callbacks")]
    with pytest.raises(ImportError, match=str(tmp_path / "callbacks")):
        check_ours(foreign)


def test_message_of_a_later_release_is_folded_to_one_line() -> None:
    message = "Key <class 'int'> is\n  - of a kind\n  - unheard of"
    assert explain(message, ArgumentParser()) == "Key int is - of a kind - unheard of"


def test_without_the_private_names_of_jsonargparse_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("jsonargparse._typehints.get_all_subclass_paths")
    assert cli_known.subclasses(torch.nn.Module) == []
