"""The Lightning strategy of several devices: each has the whole model, and nothing is wrapped or reduced around it."""

import torch
from pytorch_lightning.plugins.environments import ClusterEnvironment
from pytorch_lightning.strategies import DDPStrategy
from torch import distributed

SLOWEST = 1800  # seconds that a rank may be behind the others


class RunningProcesses(ClusterEnvironment):
    """The processes of torch's process group, which are there already: Lightning starts none.

    `local_rank`: this process's number on its machine; `local_size`: processes on a machine.
    """

    def __init__(self, local_rank: int, local_size: int) -> None:
        super().__init__()
        self._local_rank = local_rank
        self._local_size = local_size

    @property
    def creates_processes_externally(self) -> bool:
        """They are there."""
        return True

    @property
    def main_address(self) -> str:
        """Not needed: the processes have found each other."""
        return ""

    @property
    def main_port(self) -> int:
        """Not needed."""
        return 0

    @staticmethod
    def detect() -> bool:
        """Chosen by hand only."""
        return False

    def world_size(self) -> int:
        """All processes."""
        return distributed.get_world_size()

    def set_world_size(self, size: int) -> None:
        """It is what it is."""

    def global_rank(self) -> int:
        """This process's number."""
        return distributed.get_rank()

    def set_global_rank(self, rank: int) -> None:
        """It is what it is."""

    def local_rank(self) -> int:
        """This process's number on its machine."""
        return self._local_rank

    def node_rank(self) -> int:
        """This machine's number."""
        return distributed.get_rank() // self._local_size


class Replicas(DDPStrategy):
    """Like Lightning's `ddp`, without `DistributedDataParallel` around the module.

    A `RetrievalModule` has the same gradients on all devices: what they share crosses inside of its loss (see
    `askagain.distributed.collectives.World`). Reducing gradients once more would send tensors of the table's size.
    """

    def _configure_launcher(self) -> None:
        self._launcher = None

    def configure_ddp(self) -> None:
        """Takes care that all devices begin with the first one's weights."""
        for tensor in (*self.lightning_module.parameters(), *self.lightning_module.buffers()):  # type: ignore[union-attr]
            distributed.broadcast(tensor.data, src=0)


def backend(device_type: str) -> str:
    """What carries tensors between processes: those on CUDA devices over NCCL, all others over gloo."""
    return "cpu:gloo,cuda:nccl" if device_type == "cuda" and torch.cuda.is_available() else "gloo"
