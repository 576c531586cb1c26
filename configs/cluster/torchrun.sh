#!/usr/bin/env bash
# A training on many machines with torchrun: run it on each of them, with the same HOST, NODES and RUN_ID.
# A machine or process that dies is waited for; then all processes start again from the last checkpoint.
#
# HOST=10.0.0.1 NODES=2 ADDRESS=10.0.0.1 INTERFACE=eth0 configs/cluster/torchrun.sh fit --config configs/ornament.yaml \
#     --config configs/strategies/ddp.yaml --data.train_shards=/shards/train --data.val_shards=/shards/val
#
# From the environment:
#   HOST       address of the machine that the others ask for their part; it is one of them.
#   ADDRESS    address of this machine, which the others reach; it is the host where it equals HOST.
#   NODES      how many machines, or least:most, such as 1:4, to go on with those that are left (see GLOBAL_BATCH).
#   GPUS       processes on this machine; one for each GPU if it is not set.
#   INTERFACE  network interface of ADDRESS, such as eth0; torch guesses if it is not set.
#   PORT, RUN_ID, RESTARTS  29400, ornament and 3 if they are not set.
#   GLOBAL_BATCH, BATCH     see worker.sh: they keep the size of a step on any number of GPUs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

: "${HOST:?the address of the first machine}" "${ADDRESS:?the address of this machine}" "${NODES:?how many machines}"
if [[ $ADDRESS == "$HOST" ]]; then is_host=1; else is_host=0; fi

# After a restart the processes must not be told of the addresses of those that died (pytorch issue 135712).
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
export TORCH_NCCL_ASYNC_ERROR_HANDLING=1 # a process whose neighbour is gone ends, instead of waiting for ever
if [[ -n ${INTERFACE:-} ]]; then
    export NCCL_SOCKET_IFNAME=$INTERFACE GLOO_SOCKET_IFNAME=$INTERFACE TP_SOCKET_IFNAME=$INTERFACE
fi

exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes "$NODES" --nproc-per-node "${GPUS:-gpu}" --max-restarts "${RESTARTS:-3}" --monitor-interval 1 \
    --rdzv-backend c10d --rdzv-id "${RUN_ID:-ornament}" --rdzv-endpoint "$HOST:${PORT:-29400}" \
    --rdzv-conf "is_host=$is_host" --local-addr "$ADDRESS" \
    --no-python "$here/worker.sh" "$@" --ckpt_path=auto
