"""Sets the process up for training: its memory, its threads, and which warnings it shows."""

import ctypes
import logging
import os
import platform
import warnings

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from askagain.files.progress import hide_bars

ONE_BY_ONE = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
# Arguments of glibc's mallopt: the largest block taken from the heap, and how much may lie free at its end.
MMAP_THRESHOLD, LARGEST_HEAP_BLOCK = -3, 32 << 20
TRIM_THRESHOLD, KEPT_FREE = -1, 512 << 20
HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"  # read by PyTorch before its first large tensor


def set_up_process() -> None:
    """Silences notes of Lightning's that do not hold here, and sets up the memory of tensors.

    glibc keeps what is freed: every step needs tensors of the same sizes, and a page that was returned to the system
    costs more to get back than the computation on it. PyTorch asks Linux for huge pages: rows of a large table are read
    here and there, each time by way of the table of pages.
    """
    os.environ.setdefault(HUGE_PAGES, "1")
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*LeafSpec.*",
        ".*exists and is not empty.*",
        ".*recommended to use `self.log.*sync_dist.*",  # every rank has the figures of all
        ".*The dirpath has changed.*",  # a resumed run has a folder of its own
        ".*your dataloader is not resumable.*",  # the datamodule is
        ".*smaller than the logging interval.*",  # train/loss_epoch is logged in any case
        ".*Total length of `list` across ranks is zero.*",  # nothing is held out
    ):
        warnings.filterwarnings("ignore", message=message)
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(MMAP_THRESHOLD, LARGEST_HEAP_BLOCK)
        libc.mallopt(TRIM_THRESHOLD, KEPT_FREE)


def use_launchers_threads() -> None:
    """Uses the number of processor threads that submitit's `cpus_per_task` gives to a run of a sweep.

    joblib and Ray set OMP_NUM_THREADS for the processes that they start. Runs side by side draw no progress bars.
    """
    if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        launcher = HydraConfig.get().launcher
        if launcher._target_ != ONE_BY_ONE:
            hide_bars()
        threads = launcher.get("cpus_per_task")
        if threads is not None:
            torch.set_num_threads(threads)
