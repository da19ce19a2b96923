"""Writes a synthetic corpus: the built-in sample, or with `rows=...` a corpus of any size."""

from pathlib import Path

import hydra
from omegaconf import DictConfig

from askagain.apps.command import one_line_errors, run

SCALED = ("rows", "validation_rows", "candidates", "pool", "seed", "vocabulary")


@hydra.main(version_base="1.3", config_path="../configs", config_name="make_sample")
@one_line_errors
def main(cfg: DictConfig) -> None:
    """Writes train.tsv, validation.tsv and test.tsv into the folder `out`."""
    folder = Path(str(cfg.out))
    if cfg.rows is None:
        from askagain.synthetic.sample import write_sample

        write_sample(folder, seed=cfg.seed)
        name = "the built-in sample"
    else:
        from askagain.synthetic.scaled import write_scaled

        write_scaled(folder, **{name: cfg[name] for name in SCALED})
        name = f"a scaled corpus of {cfg.rows:,} rows"
    print(f"wrote {name} (synthetic, seed {cfg.seed}): train.tsv, validation.tsv, test.tsv in {folder.resolve()}")


if __name__ == "__main__":
    run(main)
