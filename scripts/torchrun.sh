#!/usr/bin/env bash
# Trains on several nodes: the same line on each of them, with the address of one of them that all can reach.
# Usage: [PER_NODE=processes on a node] bash scripts/torchrun.sh NODES ADDRESS[:PORT] OVERRIDES...
#   bash scripts/torchrun.sh 2 10.0.0.1 experiment=dssm data=tsv data.dir=DIR trainer.accelerator=gpu
set -euo pipefail
cd "$(dirname "$0")/.."

if [ $# -lt 2 ]; then
    sed -n '2,4s/^# //p' "$0" >&2
    exit 2
fi
nodes=$1
endpoint=$2
shift 2
[[ $endpoint == *:* ]] || endpoint=$endpoint:29500
per_node=${PER_NODE:-gpu}   # gpu: as many as there are GPUs
# On CPUs set OMP_NUM_THREADS to a node's cores over its processes; torchrun would take one.
exec "${PYTHON:-.venv/bin/python}" -m torch.distributed.run \
    --nnodes="$nodes" --nproc-per-node="$per_node" --rdzv-backend=c10d --rdzv-endpoint="$endpoint" \
    train.py "$@"
