"""configs/cluster/: a training on two hosts, stopped, goes on in one process; and what the scripts hand to the CLI."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import yaml
from jsonargparse import ArgumentParser, capture_parser

from callbacks import Preemption
from ornament_lit.cli.trainer import TryOnCLI, main

ROOT = Path(__file__).resolve().parents[1]
CLUSTER = ROOT / "configs" / "cluster"
SCRIPTS = sorted(path.name for path in CLUSTER.iterdir() if path.suffix in (".sh", ".sbatch"))


class Host(NamedTuple):
    """How a command is run on a host, its address, and the network interface that has it."""

    prefix: list[str]
    address: str
    interface: str


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def hosts() -> Iterator[list[Host]]:
    """Two network namespaces with a cable between them or, where they cannot be made, two addresses of this machine."""
    names = [f"ornament{os.getpid()}{end}" for end in "ab"]
    cables = [f"o{os.getpid() % 10**6}{end}" for end in "ab"]
    try:
        try:
            for name in names:
                ip("netns", "add", name)
            ip("link", "add", cables[0], "netns", names[0], "type", "veth", "peer", cables[1], "netns", names[1])
            for number, (name, cable) in enumerate(zip(names, cables, strict=True), 1):
                ip("-n", name, "address", "add", f"10.213.77.{number}/24", "dev", cable)
                for device in (cable, "lo"):
                    ip("-n", name, "link", "set", device, "up")
        except (OSError, subprocess.CalledProcessError):
            yield [Host([], "127.0.0.1", "lo"), Host([], "127.0.0.2", "lo")]
        else:
            yield [
                Host(["ip", "netns", "exec", name], f"10.213.77.{number}", cable)
                for number, (name, cable) in enumerate(zip(names, cables, strict=True), 1)
            ]
    finally:
        if shutil.which("ip"):
            for name in names:
                subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def tiny(folder: Path, shards: Path) -> list[str]:
    """Words of a small training in a folder: the quickstart's, smaller."""
    unet = {
        "block_out_channels": [16, 32],
        "down_block_types": ["CrossAttnDownBlock2D"] * 2,
        "up_block_types": ["CrossAttnUpBlock2D"] * 2,
        "norm_num_groups": 8,
    }
    saving = {"every_n_train_steps": 1, "save_last": True, "enable_version_counter": False}
    callbacks = {"TrainableEMA": {"decay": 0.9}, "lightning.pytorch.callbacks.ModelCheckpoint": saving}
    schedule = {
        "max_lr": 0.1,
        "total_steps": 480,
        "pct_start": 0.05,
        "anneal_strategy": "linear",
        "cycle_momentum": False,
    }
    config: dict[str, Any] = {
        "model": {
            "denoiser": {"unet": {"class_path": "diffusers.UNet2DConditionModel", "init_args": unet}},
            # Adam's first steps are of one length however small a gradient is: rounding would be seen.
            "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}},
            "lr_scheduler": {"class_path": "torch.optim.lr_scheduler.OneCycleLR", "init_args": schedule},
        },
        "data": {
            "class_path": "OrnamentDataModule",
            "init_args": {
                "train_shards": f"{shards}/train-*.tar",
                "val_shards": f"{shards}/val-*.tar",
                "resolution": 32,
                "batch_size": 4,
                "samples_per_epoch": 16,
            },
        },
        "trainer": {
            "limit_val_batches": 0,
            "max_epochs": -1,
            "enable_model_summary": False,
            "logger": {
                "class_path": "lightning.pytorch.loggers.TensorBoardLogger",
                "init_args": {"save_dir": str(folder), "name": "run", "version": ""},
            },
            "callbacks": [{"class_path": name, "init_args": options} for name, options in callbacks.items()],
        },
    }
    folder.mkdir()
    (folder / "tiny.yaml").write_text(yaml.safe_dump(config))
    return ["fit", "--config", str(ROOT / "configs/quickstart.yaml"), "--config", str(folder / "tiny.yaml")]


def last(folder: Path) -> dict[str, Any]:
    """The last checkpoint of a training in a folder."""
    checkpoint: dict[str, Any] = torch.load(folder / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    return checkpoint


PREEMPTED = Preemption().exit_code
ARRAY = {"SLURM_ARRAY_JOB_ID": "77", "SLURM_ARRAY_TASK_ID": "3"}


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.filterwarnings("ignore")
def test_two_hosts_train_and_one_process_goes_on(hosts: list[Host], tmp_path: Path, shard_dir: Path) -> None:
    words = tiny(tmp_path / "hosts", shard_dir)
    sizes = {"NODES": "2", "GPUS": "1", "RESTARTS": "0", "GLOBAL_BATCH": "4", "BATCH": "1", "HOST": hosts[0].address}
    jobs = [
        subprocess.Popen(
            [*host.prefix, str(CLUSTER / "torchrun.sh"), *words, "--trainer.strategy=ddp", "--trainer.max_steps=3"],
            env={**os.environ, **sizes, "ADDRESS": host.address, "INTERFACE": host.interface, "PYTHON": sys.executable},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for host in hosts
    ]
    try:
        told = [job.communicate(timeout=180)[0] for job in jobs]
    finally:
        for job in jobs:
            job.kill()
    assert [job.returncode for job in jobs] == [0, 0], "\n".join(told)
    assert "GLOBAL_RANK: 1, MEMBER: 2/2" in told[1] + told[0]
    assert last(tmp_path / "hosts")["global_step"] == 3
    start = last(tmp_path / "hosts")["state_dict"]

    assert main([*words, "--trainer.max_steps=6", "--ckpt_path=auto"]) == 0
    whole = tiny(tmp_path / "whole", shard_dir)
    assert main([*whole, "--trainer.max_steps=6"]) == 0
    one, two = last(tmp_path / "whole"), last(tmp_path / "hosts")
    assert one["global_step"] == two["global_step"] == 6
    for name, value in one["state_dict"].items():
        torch.testing.assert_close(two["state_dict"][name], value, rtol=1e-3, atol=1e-5, msg=name)
    assert max(float((value - start[name]).abs().max()) for name, value in one["state_dict"].items()) > 1e-3


@pytest.fixture(scope="module")
def parser() -> ArgumentParser:
    parser = capture_parser(TryOnCLI)
    assert isinstance(parser, ArgumentParser)
    return parser


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, str]:
    """An environment whose srun runs the command once, whose python says what it was given and ends with CODE, and
    whose scontrol notes what it is to put back."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "srun").write_text('#!/bin/sh\nwhile [ "${1#-}" != "$1" ]; do shift; done\nexec "$@"\n')
    requeue = f'if [ "$1" = requeue ]; then echo "$2" >> {tmp_path}/requeued; else echo node1; echo node2; fi'
    (folder / "scontrol").write_text(f"#!/bin/sh\n{requeue}\n")
    (folder / "python").write_text('#!/bin/sh\nfor word in "$@"; do echo "$word"; done\nexit ${CODE:-0}\n')
    for program in folder.iterdir():
        program.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


SLURM = {"SLURM_NNODES": "2", "SLURM_NTASKS_PER_NODE": "8", "SLURM_JOB_ID": "4242", "SLURM_JOB_NODELIST": "node[1-2]"}
FIT = ["fit", "--config", "configs/ornament.yaml", "--config", "configs/strategies/ddp.yaml"]


def run(script: str, words: list[str], environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", f"configs/cluster/{script}", *words], env=environment, capture_output=True, text=True, cwd=ROOT
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_right_for_bash_and_can_be_started(script: str) -> None:
    subprocess.run(["bash", "-n", str(CLUSTER / script)], check=True)
    assert os.access(CLUSTER / script, os.X_OK)
    lines = (CLUSTER / script).read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash" and "set -euo pipefail" in lines


def test_a_job_asks_for_a_signal_before_its_end_and_to_be_started_again() -> None:
    options = [line for line in (CLUSTER / "slurm.sbatch").read_text().splitlines() if line.startswith("#SBATCH ")]
    assert {"#SBATCH --signal=USR1@300", "#SBATCH --requeue", "#SBATCH --open-mode=append"} <= set(options)


def test_the_command_of_the_job_parses(
    programs: dict[str, str], parser: ArgumentParser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    done = run("slurm.sbatch", FIT, {**programs, **SLURM, "GLOBAL_BATCH": "256", "BATCH": "4"})
    words = done.stdout.splitlines()
    assert words[:2] == ["-m", "ornament_lit"], done.stderr
    config = parser.parse_args(words[2:]).fit
    assert (config.trainer.num_nodes, int(config.trainer.devices)) == (2, 8)
    assert config.trainer.accumulate_grad_batches == 4
    assert config.data.init_args.batch_size == 4
    assert config.trainer.strategy.class_path.endswith("DDPStrategy")


@pytest.mark.parametrize(
    ("code", "more", "job"), [(0, {}, ""), (1, {}, ""), (PREEMPTED, {}, "4242\n"), (PREEMPTED, ARRAY, "77_3\n")]
)
def test_a_job_that_was_told_to_stop_is_put_back(
    programs: dict[str, str], tmp_path: Path, code: int, more: dict[str, str], job: str
) -> None:
    assert run("slurm.sbatch", FIT, {**programs, **SLURM, **more, "CODE": str(code)}).returncode == code
    noted = tmp_path / "requeued"
    assert (noted.read_text() if noted.exists() else "") == job


def test_the_command_of_torchrun_parses(
    programs: dict[str, str], parser: ArgumentParser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    from torch.distributed.run import parse_args

    there = {"HOST": "10.0.0.1", "ADDRESS": "10.0.0.2", "NODES": "1:4"}
    launch = run("torchrun.sh", FIT, {**programs, **there}).stdout.splitlines()
    assert launch[:2] == ["-m", "torch.distributed.run"]
    options = parse_args(launch[2:])
    assert (options.nnodes, options.rdzv_conf, options.local_addr) == ("1:4", "is_host=0", "10.0.0.2")
    inner = {"GROUP_WORLD_SIZE": "3", "LOCAL_WORLD_SIZE": "2"}
    words = run("worker.sh", options.training_script_args, {**programs, **inner}).stdout.splitlines()
    config = parser.parse_args(words[2:]).fit
    assert (config.trainer.num_nodes, int(config.trainer.devices)) == (3, 2)
    assert config.data.init_args.batch_size == 8


def test_a_step_that_cannot_keep_its_size_is_refused(programs: dict[str, str]) -> None:
    done = run("worker.sh", FIT, {**programs, **SLURM, "GLOBAL_BATCH": "40", "BATCH": "4"})
    assert done.returncode == 2
    assert "GLOBAL_BATCH=40 is no multiple of BATCH=4 x 16 processes; lower BATCH" in done.stderr
    outside = {name: value for name, value in programs.items() if not name.startswith(("SLURM", "GROUP"))}
    assert "is started by torchrun or srun" in run("worker.sh", FIT, outside).stderr
