#!/usr/bin/env bash
# Train configs/small_gpu.yaml and measure, on one large GPU and within minutes; README.md beside this file says more.
#
#   benchmarks/gpu/run.sh [--minutes 9] [--out gpu_results] [--wheels benchmarks/gpu/wheels] [--parts train,bench,compare]
#                         [--train_shards SHARDS ...] [--dry-run]
#
# OUT, WHEELS and PYTHON of the environment stand for the options of these names, and for the Python to use.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec "${PYTHON:-python3}" -m benchmarks.gpu.session "$@"
