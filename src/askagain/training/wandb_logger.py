"""The W&B logger, which works offline without an API key."""

import logging
import os
from typing import Any

import wandb
from pytorch_lightning.loggers import WandbLogger

log = logging.getLogger(__name__)


def wandb_logger(offline: bool | None = None, **settings: Any) -> WandbLogger:
    """A WandbLogger with its `settings`; `wandb sync` uploads offline runs later.

    `offline`: None means offline if there is neither an API key nor a `WANDB_MODE` in the environment.
    """
    if offline is None and not os.environ.get("WANDB_MODE"):
        offline = not wandb.login(prompt=False, verify=False)
        if offline:
            log.info("W&B: no API key, so it is logged offline; `wandb sync` uploads it")
    if settings.get("id") is not None:
        settings = {"resume": "allow"} | settings
    quiet = wandb.Settings(quiet=True)  # else W&B prints its own summary of every metric
    return WandbLogger(mode="offline" if offline else None, settings=quiet, **settings)
