"""Compares methods with more and more data: `python scripts/learning_curves.py`."""

from pathlib import Path

import hydra
from omegaconf import DictConfig

from askagain.apps.command import heavy_imports, one_line_errors, run

ROOT = Path(__file__).resolve().parent.parent


@hydra.main(version_base="1.3", config_path="../configs", config_name="learning_curves")
@one_line_errors
def main(cfg: DictConfig) -> None:
    """Evaluates the methods on samples of the data, and writes their table and plot."""
    with heavy_imports():
        from askagain.apps.learning_curves import learning_curves

    learning_curves(cfg, ROOT)


if __name__ == "__main__":
    run(main)
