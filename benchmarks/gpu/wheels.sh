#!/usr/bin/env bash
# Download what benchmarks/gpu/run.sh needs beyond torch, torchvision and lightning, for a machine without a network.
# Run it where this project is installed and there is a network:
#
#   benchmarks/gpu/wheels.sh [FOLDER] [--python 3.12] [--have FREEZE] [--all] [--list]
#
# FOLDER is benchmarks/gpu/wheels if it is not given; FREEZE is what `pip freeze` prints on the other machine;
# --all brings scipy, too, which is large and left out otherwise.
set -euo pipefail
folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export PYTHONPATH=$folder${PYTHONPATH:+:$PYTHONPATH}
exec "${PYTHON:-python}" -m benchmarks.gpu.wheels "$@"
