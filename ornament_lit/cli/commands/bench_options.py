"""The options of ``bench``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class BenchOptions:
    """Measure what a training costs on this machine: bench --config CONFIG [options of fit].

    Give the words of a `fit` command (--config, --model..., --data..., --trainer...), too. Printed are: parameters;
    FLOPs of a step by count; samples/s of training steps on one device, with the precision, clipping, optimizer and
    the callbacks ChannelsLast, CompileBlocks and TrainableEMA of the configuration; their share of what large matrix
    products reach here; peak memory; the largest batch that fits; the data loader's pace against theirs; and the time
    of the whole run. A figure that cannot be had says why.

    Attributes:
        output: JSON file for the figures; null for none.
        device: Where steps are taken; auto for a CUDA device where there is one.
        random_weights: Give pretrained parts random weights of the same sizes: as fast, and nothing is downloaded.
        no_data: Take steps on noise and leave the data alone.
        steps: Steps that are timed; 0 for the figures that need no step.
        warm_up: Steps before them; the first ones are slower.
        largest_batch: Look for the largest batch that fits; null for on GPUs only, since on a CPU it takes most of the
            machine's memory.
        memory_limit: GiB that the largest batch may take; null for nine tenths of what is free.
        seconds: How long the loader and the matrix products are each measured at most.
        threads: Threads of torch on the CPU; null for its default.
    """

    output: Path | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    random_weights: bool = False
    no_data: bool = False
    steps: int = 10
    warm_up: int = 3
    largest_batch: bool | None = None
    memory_limit: float | None = None
    seconds: float = 10.0
    threads: int | None = None
