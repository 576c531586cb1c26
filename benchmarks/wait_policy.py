"""What OMP_WAIT_POLICY=PASSIVE gives: steps of a small convolutional network, quiet and beside busy processes.

    python benchmarks/wait_policy.py --steps 40 --threads 2 --busy 2

Threads of OpenMP that wait for each other spin by default. Where others want the cores, they spin in place of the one
that they wait for. Each measurement is a process of its own, since the policy is read when torch is loaded.
"""

import multiprocessing
import os
import subprocess
import sys
from argparse import ArgumentParser

POLICIES: dict[str, dict[str, str]] = {"default": {}, "passive": {"OMP_WAIT_POLICY": "PASSIVE"}}
STEPS = """
import sys, time
import torch
from torch import nn
torch.set_num_threads(int(sys.argv[2]))
layers = [nn.Sequential(nn.Conv2d(32, 32, 3, padding=1), nn.GroupNorm(8, 32), nn.SiLU()) for _ in range(12)]
network, images = nn.Sequential(*layers), torch.randn(8, 32, 32, 32)
def step():
    network(images).square().mean().backward()
step()
begun = time.perf_counter()
for _ in range(int(sys.argv[1])):
    step()
print((time.perf_counter() - begun) / int(sys.argv[1]))
"""


def spin() -> None:
    """Keep a core busy for ever."""
    while True:
        pass


def seconds(policy: dict[str, str], steps: int, threads: int) -> float:
    """Seconds of a step under a policy."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "MKL_"))}
    command = [sys.executable, "-c", STEPS, str(steps), str(threads)]
    output = subprocess.check_output(command, env=environment | policy, text=True)
    return float(output)


def main() -> None:
    """Measure both policies in turn, quiet and busy, and print the times and their ratio."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--busy", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    for busy in (0, options.busy):
        others = [multiprocessing.Process(target=spin, daemon=True) for _ in range(busy)]
        for other in others:
            other.start()
        best = dict.fromkeys(POLICIES, float("inf"))
        for _ in range(options.repeats):
            for name, policy in POLICIES.items():
                best[name] = min(best[name], seconds(policy, options.steps, options.threads))
        for other in others:
            other.terminate()
        times = ", ".join(f"{name} {1000 * time:.1f} ms" for name, time in best.items())
        print(f"{busy} busy processes: {times} a step, {best['passive'] / best['default']:.2f}", flush=True)


if __name__ == "__main__":
    main()
