"""``study`` and ``compare`` as commands: a tiny study that is interrupted, goes on, and is compared."""

import json
import shlex
from pathlib import Path

import pytest
import yaml
from jsonargparse import ArgumentParser, capture_parser

from ornament_lit.__main__ import main
from ornament_lit.cli.commands import study as command
from ornament_lit.cli.commands.study import parse_seeds, prepare
from ornament_lit.cli.commands.study_file import Study, Variant, read_study, slug
from ornament_lit.cli.trainer import TryOnCLI

ROOT = Path(__file__).resolve().parents[4]
STUDIES = sorted((ROOT / "configs" / "studies").glob("*.yaml"))


@pytest.fixture(autouse=True)
def at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module")
def parser() -> ArgumentParser:
    parser = capture_parser(TryOnCLI)
    assert isinstance(parser, ArgumentParser)
    return parser


@pytest.mark.parametrize("file", STUDIES, ids=lambda path: path.stem)
def test_every_command_of_a_shipped_study_parses(file: Path, parser: ArgumentParser, tmp_path: Path) -> None:
    plan = read_study(file)
    assert f"make study NAME={file.stem}" in file.read_text(encoding="utf-8")
    checkpoint = tmp_path / "seed-0.ckpt"
    checkpoint.touch()
    for name in plan.variants:
        for run in prepare(tmp_path, plan, name, 0, ["--config", "configs/quickstart.yaml", *plan.args], None):
            words = [word if not word.startswith("--ckpt_path") else f"--ckpt_path={checkpoint}" for word in run.words]
            assert parser.parse_args(words).subcommand == run.words[0]


def test_variants_that_are_trained_alike_are_trained_once(tmp_path: Path) -> None:
    plan = Study("T", {"A b": Variant(), "c": Variant(test=("--x=1",)), "d": Variant(train=("--y=2",))})
    runs = {name: prepare(tmp_path, plan, name, 5, ["--z"], None) for name in plan.variants}
    assert runs["A b"][0] == runs["c"][0] != runs["d"][0]
    assert runs["c"][0].folder == tmp_path / "a-b" / "seed-5" and "--data.init_args.seed=5" in runs["c"][0].words
    test = runs["c"][1]
    assert test.words[:3] == ["test", "--z", "--x=1"]
    assert f"--ckpt_path={tmp_path}/a-b/seed-5/checkpoints/last.ckpt" in test.words
    assert not any(word.startswith(("--data.init_args.seed", "--seed_everything")) for word in test.words)
    (alone,) = prepare(tmp_path, plan, "c", 5, [], tmp_path / "own.ckpt")
    assert f"--ckpt_path={tmp_path}/own.ckpt" in alone.words


@pytest.mark.parametrize(
    "content", ["title: [", "[]", "title: T", "{title: T, variants: {}}", "{title: T, variants: {a: {tarin: []}}}"]
)
def test_a_wrong_file_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "s.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"s\.yaml must have"):
        read_study(tmp_path / "s.yaml")


def test_variants_need_folders_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("{title: T, variants: {a-b: , 'a b': }}", encoding="utf-8")
    with pytest.raises(ValueError, match="must differ in letters or digits"):
        read_study(tmp_path / "s.yaml")


def test_a_file_that_is_not_there_and_wrong_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", str(tmp_path / "none.yaml")]) == 2
    assert "configs/studies has ablation" in capsys.readouterr().err
    assert main(["study", str(STUDIES[0]), "--seeds", "a,b", "--dry_run"]) == 2
    assert "separated by commas" in capsys.readouterr().err
    for content in (bytes(range(256)), "title: caf\xe9".encode("latin-1")):
        (tmp_path / "s.yaml").write_bytes(content)
        with pytest.raises(ValueError, match=r"s\.yaml must be UTF-8, got byte"):
            read_study(tmp_path / "s.yaml")
    with pytest.raises(ValueError, match="must be numbers from 0, separated by commas"):
        parse_seeds("0,-1")
    assert parse_seeds("3,5") == (3, 5) and slug("w/o mask-guided T = 3") == "w-o-mask-guided-t---3"


def test_a_checkpoint_fits_studies_without_training_alone(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--checkpoint", "x.ckpt", "--dry_run"]
    assert main(["study", "configs/studies/ablation.yaml", *words]) == 2
    assert "'w/o mask refinement' is trained in its own way" in capsys.readouterr().err
    assert main(["study", "configs/studies/robustness.yaml", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and all("--ckpt_path=x.ckpt" in line and " test " in line for line in lines)


TINY = {
    "title": "Tiny",
    "seeds": [0],
    "figures": ["psnr_worn", "iou_1", "psnr_worn_gap"],
    "args": ["--trainer.max_steps=1", "--trainer.limit_test_batches=2"],
    "variants": {"full": None, "box": {"train": ["--config", "configs/ablations/no_mask_refinement.yaml"]}},
}
SMALL = shlex.join(
    [
        *("--data.init_args.batch_size=2", "--data.init_args.val_batch_size=4", "--data.init_args.samples_per_epoch=8"),
        *("--data.init_args.resolution=32", "--model.denoiser.unet.init_args.block_out_channels=[16,16,16]"),
        *("--model.sampler=ornament_lit.diffusion.sampler.Sampler", "--model.sampler.init_args.num_steps=2"),
        *("--trainer.limit_val_batches=0", "--trainer.check_val_every_n_epoch=1"),
    ]
)


@pytest.mark.slow
def test_a_study_goes_on_where_it_was_stopped_and_its_reports_compare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "tiny.yaml", tmp_path / "out"
    file.write_text(yaml.safe_dump(TINY, sort_keys=False), encoding="utf-8")
    words = ["study", str(file), "--out", str(out), "--args", SMALL]
    calls: list[list[str]] = []
    run = command.subprocess.run

    class Ended:
        returncode = 130

    def stop_at_the_second(words: list[str], **options: object) -> object:
        calls.append(words)
        return run(words, **options) if len(calls) != 2 else Ended()

    monkeypatch.setattr(command.subprocess, "run", stop_at_the_second)
    assert main(words) == 130
    done = out / "tiny" / "full" / "seed-0" / "trained.json"
    assert done.is_file() and not (out / "tiny" / "study.md").exists()
    stamp = done.stat().st_mtime_ns
    assert main(words) == 0
    assert done.stat().st_mtime_ns == stamp and len(calls) == 2 + 3
    text = (out / "tiny" / "study.md").read_text(encoding="utf-8")
    assert "# Tiny" in text and "| full | " in text and "| box | " in text
    cells = json.loads((out / "tiny" / "study.json").read_text(encoding="utf-8"))
    assert len(cells["full"]["psnr_worn"]["seeds"]) == 1 and "iou_1" not in cells["box"]
    assert main(words) == 0 and len(calls) == 5
    capsys.readouterr()
    assert main([*words, "--base", "configs/ornament.yaml"]) == 2
    assert "made with other options" in capsys.readouterr().err

    reports = [str(out / "tiny" / name / "seed-0" / "test") for name in ("full", "box")]
    assert main(["compare", *reports, "--output", str(tmp_path / "c.md"), "--resamples", "50"]) == 0
    assert "psnr_worn" in capsys.readouterr().out
    assert "| psnr_worn | overall | 8 |" in (tmp_path / "c.md").read_text(encoding="utf-8")
    assert main(["compare", reports[0], str(tmp_path)]) == 2
