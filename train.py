"""Trains a rung and evaluates it: `python train.py experiment=dssm data=tsv data.dir=DIR`; `--help` tells more."""

import hydra
from omegaconf import DictConfig

from askagain.apps.command import heavy_imports, import_for_ranks, one_line_errors, run


@hydra.main(version_base="1.3", config_path="configs", config_name="train")
@one_line_errors
def main(cfg: DictConfig) -> float:
    """Trains as the config says and returns the metric that a sweep compares."""
    import_for_ranks(cfg)
    with heavy_imports(for_training=True):  # they wait until there is something to train
        from askagain.apps.train import train

    return train(cfg)


if __name__ == "__main__":
    run(main)
