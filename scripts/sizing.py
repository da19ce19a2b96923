"""Predicts and measures the cost of training at several sizes: `python scripts/sizing.py`."""

from pathlib import Path

import hydra
from omegaconf import DictConfig

from askagain.apps.command import one_line_errors, run

ROOT = Path(__file__).resolve().parent.parent


@hydra.main(version_base="1.3", config_path="../configs", config_name="sizing")
@one_line_errors
def main(cfg: DictConfig) -> None:
    """Predicts and measures the sizes of the config and writes their table."""
    from askagain.apps.sizing import sizing

    sizing(cfg, ROOT)


if __name__ == "__main__":
    run(main)
