"""A run on several devices: how many there are, and what its ranks do."""

import json
import logging
import os
import warnings
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import configure_log, setup_globals
from omegaconf import DictConfig, OmegaConf

from askagain.apps.command import heavy_imports, one_line
from askagain.distributed.launch import cluster_environment, is_lost_connection, receive_config, run_ranks
from askagain.errors import InputError, RankError
from askagain.files.progress import hide_bars


def device_type(cfg: DictConfig) -> str:
    """`cuda`, `cpu`, ...: what `trainer.accelerator` comes to here."""
    accelerator = str(cfg.trainer.accelerator)
    if accelerator in ("gpu", "cuda", "auto"):
        return "cuda" if torch.cuda.is_available() else "cpu"
    return accelerator


def device_count(cfg: DictConfig) -> int:
    """How many devices of this machine `trainer.devices` asks for; raises InputError for a value of no use."""
    from pytorch_lightning.accelerators import CPUAccelerator, CUDAAccelerator
    from pytorch_lightning.utilities.exceptions import MisconfigurationException

    devices = OmegaConf.to_container(cfg).get("trainer", {}).get("devices")  # type: ignore[union-attr]
    try:
        if device_type(cfg) == "cuda":
            return len(CUDAAccelerator.parse_devices(-1 if devices == "auto" else devices) or [0])
        if device_type(cfg) == "cpu":
            return 1 if devices in ("auto", -1, "-1") else CPUAccelerator.parse_devices(devices)
    except (MisconfigurationException, TypeError, ValueError) as error:
        raise InputError(f"trainer.devices={devices}: must be a number of devices from 1, or auto ({error})") from error
    return 1


def check_devices(cfg: DictConfig) -> None:
    """Raises InputError where several nodes are asked for, and nothing has started processes on them."""
    if cluster_environment() is None and cfg.trainer.num_nodes != 1:
        raise InputError(
            f"trainer.num_nodes={cfg.trainer.num_nodes}: start a process a device on each node, with torchrun or srun; "
            "see docs/scaling.md"
        )


def train_on_devices(cfg: DictConfig) -> dict[str, float]:
    """Trains on several devices of this machine, each in a process of its own; returns the metrics."""
    count = device_count(cfg)
    threads = max(1, torch.get_num_threads() // count)
    hydra = OmegaConf.to_container(HydraConfig.get())  # plain: not all its classes can be pickled
    return run_ranks(count, _train_as_rank, cfg, hydra, threads)


def _train_as_rank(cfg: DictConfig, hydra: dict[str, Any], threads: int) -> dict[str, float]:
    """Trains in a process of `run_ranks`, set up as Hydra has set up the one that started it."""
    with heavy_imports(for_training=True):
        from pytorch_lightning.utilities import rank_zero_only

        from askagain.apps.train import train_rank
    setup_globals()  # Hydra's resolvers
    whole = OmegaConf.create({**OmegaConf.to_container(cfg), "hydra": hydra})  # type: ignore[dict-item]
    HydraConfig.instance().cfg = whole  # type: ignore[assignment]
    rank = int(os.environ["RANK"])
    # Lightning read it when it was imported, maybe before this process was forked.
    rank_zero_only.rank = rank  # type: ignore[attr-defined]
    if rank == 0:
        configure_log(whole.hydra.job_logging, whole.hydra.verbose)
    else:
        _be_quiet(rank)
    torch.set_num_threads(threads)
    try:
        return train_rank(cfg)
    except Exception as error:
        line = one_line(error)
        if line is None or isinstance(error, RankError):
            raise
        raise InputError(line) from error


def follow_first_rank(rank: int) -> int:
    """Trains what rank 0 sends, if it does, in a process of torchrun's or srun's; returns the exit status."""
    _be_quiet(rank)
    with heavy_imports(for_training=True):
        from askagain.apps.train import train_rank
    try:
        config = receive_config()
        if config is not None:
            train_rank(OmegaConf.create(json.loads(config)))
    except InputError:
        return 0  # rank 0 says it
    except RuntimeError as error:
        if not isinstance(error, RankError) and not is_lost_connection(error):
            raise
        return 1  # the rank that failed says more
    return 0


def _be_quiet(rank: int) -> None:
    """Leaves progress bars, warnings and all but errors to rank 0."""
    hide_bars()
    logging.basicConfig(level=logging.ERROR, format=f"rank {rank}: %(message)s")
    warnings.simplefilter("ignore")
