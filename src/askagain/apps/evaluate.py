"""`evaluate.py`: ranks a corpus' validation or test set with any encoder."""

import logging
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from askagain.apps.build import build, build_corpus, check_common, data_name
from askagain.apps.report import PREFIXES, prefixed, print_figures, write_metrics
from askagain.errors import InputError
from askagain.ranking.figures import check_ties
from askagain.training.evaluation import ranking_figures

log = logging.getLogger(__name__)


def evaluate(cfg: DictConfig) -> float:
    """Prints the table of `cfg.encoder` on `cfg.data.split`, writes metrics.json, and returns `cfg.metric.name`.

    Raises InputError for a mistake in the config, in the data or in the encoder.
    """
    check_common(cfg)
    check_ties(cfg.ties)
    encoder = build(cfg, "encoder")
    ranking = build_corpus(cfg).ranking(cfg.data.split)
    log.info("ranking %d rows, %d distinct texts", len(ranking.rows), len(ranking.texts))
    found = ranking_figures(encoder, ranking, cfg.ks, cfg.ties)
    if cfg.metric.name not in found:
        raise InputError(f"metric.name={cfg.metric.name}: no such metric; there are {', '.join(found)}")
    chosen = HydraConfig.get().runtime.choices["encoder"]
    name = f"{chosen} {cfg.encoder.path}" if "path" in cfg.encoder else chosen
    print_figures(f"{name} on {data_name(cfg, ranking.path)}, {len(ranking.rows):,} rows", {chosen: found}, cfg.ties)
    write_metrics(Path(cfg.paths.run_dir), prefixed(PREFIXES[cfg.data.split], found))
    return found[cfg.metric.name]
