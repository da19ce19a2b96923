"""Ranks a corpus with any encoder: `python evaluate.py encoder.path=RUN data=tsv data.dir=DIR`; `--help` tells more."""

import hydra
from omegaconf import DictConfig

from askagain.apps.command import heavy_imports, one_line_errors, run


@hydra.main(version_base="1.3", config_path="configs", config_name="evaluate")
@one_line_errors
def main(cfg: DictConfig) -> float:
    """Evaluates as the config says and returns the metric that a sweep compares."""
    with heavy_imports():  # they wait until there is something to evaluate
        from askagain.apps.evaluate import evaluate

    return evaluate(cfg)


if __name__ == "__main__":
    run(main)
