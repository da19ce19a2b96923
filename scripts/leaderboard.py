"""Compares several rankers on the same rows: `python scripts/leaderboard.py`."""

from pathlib import Path

import hydra
from omegaconf import DictConfig

from askagain.apps.command import heavy_imports, one_line_errors, run

ROOT = Path(__file__).resolve().parent.parent


@hydra.main(version_base="1.3", config_path="../configs", config_name="leaderboard")
@one_line_errors
def main(cfg: DictConfig) -> None:
    """Evaluates the rankers and writes their table."""
    with heavy_imports():
        from askagain.apps.leaderboard import leaderboard

    leaderboard(cfg, ROOT)


if __name__ == "__main__":
    run(main)
