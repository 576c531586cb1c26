"""What each method costs at its full size: parameters, and TFLOP of a training step, counted and not computed.

Everything is built on torch's meta device, so that neither weights nor memory are needed.
"""

from pathlib import Path

import torch
from jsonargparse import auto_cli

from ornament_lit.cli.commands.bench_parts import BenchCLI, quieten
from ornament_lit.module import TryOnModule
from ornament_lit.profiling.batches import draw_batch, without_values
from ornament_lit.profiling.flops import count_step, without_checkpointing
from ornament_lit.reports.markdown import markdown_table
from ornament_lit.utils.frozen import count_parameters

BASE = "configs/ornament.yaml"
METHODS = {"ours": [], "w/o both modules": ["configs/ablations/baseline.yaml"]} | {
    path.stem: [str(path)] for path in sorted(Path("configs/baselines").glob("*.yaml")) if path.stem != "anydoor_sd21"
}


def count(module: TryOnModule, resolution: int) -> float:
    """TFLOP of forward and backward pass of a sample, without what gradient checkpointing computes again."""
    batch = without_values(draw_batch(resolution, 1))
    with without_checkpointing(module):
        return count_step(module, batch) / 1e12


def baselines(base: str = BASE, tiny: bool = False) -> None:
    """Print parameters and TFLOP of our method, of its ablation and of the baselines.

    Args:
        base: The configuration that the methods differ from.
        tiny: Take the small ones of configs/baselines/tiny, with configs/quickstart.yaml as the base.
    """
    quieten()
    rows = []
    for name, files in METHODS.items():
        if tiny:
            files = [file.replace("baselines/", "baselines/tiny/") for file in files]
        chosen = "configs/quickstart.yaml" if tiny else base
        cli = BenchCLI([word for file in (chosen, *files) for word in ("--config", file)], random_weights=True)
        module = cli.build(torch.device("meta"))
        trained, frozen = count_parameters(module)
        tflop = count(module, cli.config.data.init_args.resolution)
        rows.append([name, f"{trained / 1e6:.1f} M", f"{frozen / 1e6:.1f} M", f"{tflop:.4g}"])
    print(markdown_table(["", "trained", "frozen", "TFLOP a sample"], rows))


if __name__ == "__main__":
    auto_cli(baselines, as_positional=False)
