#!/usr/bin/env bash
# One process of a training on many machines; srun and torchrun start it once for each GPU.
# It tells the trainer how many machines and GPUs there are now, so that the same command serves any number of them.
#
# configs/cluster/worker.sh fit --config configs/ornament.yaml ...
#
# From the environment:
#   GLOBAL_BATCH, BATCH  samples in a training step of all processes, and in a batch of one. If both are given,
#                        gradients are added up over as many batches as make the step the same on this many GPUs.
#   PYTHON               the interpreter; python if it is not set.
set -euo pipefail

nodes=${GROUP_WORLD_SIZE:-${SLURM_NNODES:?worker.sh is started by torchrun or srun, see docs/cluster.md}}
devices=${LOCAL_WORLD_SIZE:-${SLURM_NTASKS_PER_NODE:?ask for --ntasks-per-node, one task for each GPU}}
options=("--trainer.num_nodes=$nodes" "--trainer.devices=$devices")

if [[ -n ${GLOBAL_BATCH:-} && -n ${BATCH:-} ]]; then
    together=$((BATCH * nodes * devices))
    if ((GLOBAL_BATCH % together)); then
        echo "worker.sh: GLOBAL_BATCH=$GLOBAL_BATCH is no multiple of BATCH=$BATCH x $((nodes * devices)) processes;" \
            "lower BATCH or choose another number of GPUs" >&2
        exit 2
    fi
    options+=("--data.init_args.batch_size=$BATCH" "--trainer.accumulate_grad_batches=$((GLOBAL_BATCH / together))")
fi

exec "${PYTHON:-python}" -m ornament_lit "$@" "${options[@]}"
