"""The Lightning strategy for several devices: each holds the whole model, and no gradient is reduced around it."""

import torch
from pytorch_lightning.strategies import DDPStrategy
from torch import distributed


class ReplicatedStrategy(DDPStrategy):
    """Like Lightning's `ddp`, without `DistributedDataParallel` around the module.

    A `RetrievalModule` has the same gradients on all devices: what they share is communicated inside its loss (see
    `askagain.distributed.collectives.World`). Reducing gradients once more would send tensors of the table's size.
    """

    def _configure_launcher(self) -> None:
        self._launcher = None  # the processes are running; Lightning's launcher would change their number of threads

    def configure_ddp(self) -> None:
        """Gives all devices the first one's weights."""
        for tensor in (*self.lightning_module.parameters(), *self.lightning_module.buffers()):  # type: ignore[union-attr]
            distributed.broadcast(tensor.data, src=0)


def backend(device_type: str) -> str:
    """The backend of the process group: NCCL for tensors on CUDA devices, gloo for all others."""
    return "cpu:gloo,cuda:nccl" if device_type == "cuda" and torch.cuda.is_available() else "gloo"
