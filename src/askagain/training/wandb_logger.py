"""The W&B logger, offline where nobody is logged in."""

import logging
import os
from typing import Any

import wandb
from pytorch_lightning.loggers import WandbLogger

log = logging.getLogger(__name__)


def wandb_logger(offline: bool | None = None, **settings: Any) -> WandbLogger:
    """A WandbLogger with the given settings.

    `offline`: True or False, or None to go offline where there is neither an API key nor a WANDB_MODE; what was
    written offline is sent later with `wandb sync`.
    """
    if offline is None and not os.environ.get("WANDB_MODE"):
        offline = not wandb.login(prompt=False, verify=False)
        if offline:
            log.info("W&B: no API key here, so this run is written offline; `wandb sync` sends it after `wandb login`")
    return WandbLogger(mode="offline" if offline else None, **settings)
