"""Tells what a training of a given size needs: `python scripts/sizing.py`."""

from pathlib import Path

import hydra
from omegaconf import DictConfig

from askagain.apps.command import one_line_errors, run

ROOT = Path(__file__).resolve().parent.parent


@hydra.main(version_base="1.3", config_path="../configs", config_name="sizing")
@one_line_errors
def main(cfg: DictConfig) -> None:
    """Counts and measures what the config says, prints the table and writes it."""
    from askagain.apps.sizing import sizing

    sizing(cfg, ROOT)


if __name__ == "__main__":
    run(main)
