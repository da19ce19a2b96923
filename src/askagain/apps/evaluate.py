"""`evaluate.py`: ranks a corpus' validation or test set with any encoder."""

import logging
import time
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig

from askagain.apps.build import build_corpus, data_name
from askagain.apps.report import prefixed, print_figures, write_metrics
from askagain.corpus.corpus import Corpus
from askagain.errors import InputError
from askagain.models.encoder import Encoder
from askagain.ranking.figures import figures
from askagain.ranking.ranks import rank_duplicates

log = logging.getLogger(__name__)

PREFIXES = {"validation": "val", "test": "test"}


def evaluate(cfg: DictConfig) -> float:
    """Prints the table of `cfg.encoder` on `cfg.data.split`, writes metrics.json, and returns `cfg.metric`."""
    encoder = instantiate(cfg.encoder)
    corpus = build_corpus(cfg)
    split = cfg.data.split
    ranking = corpus.ranking(split)
    found = evaluate_encoder(encoder, corpus, split, cfg.ks, cfg.ties)
    if cfg.metric not in found:
        raise InputError(f"metric={cfg.metric}: no such metric; there are {', '.join(found)}")
    chosen = HydraConfig.get().runtime.choices["encoder"]
    print_figures(f"{data_name(cfg, ranking.path)}: {len(ranking.rows):,} rows", {chosen: found}, cfg.ties)
    write_metrics(Path(cfg.paths.run_dir), prefixed(PREFIXES[split], found))
    return found[cfg.metric]


def evaluate_encoder(encoder: Encoder, corpus: Corpus, split: str, ks: list[int], ties: str) -> dict[str, float]:
    """The figures of an encoder on a ranking set, and the `seconds` that embedding and ranking took."""
    ranking = corpus.ranking(split)
    log.info("ranking %s: %d rows, %d distinct texts", ranking.path, len(ranking.rows), len(ranking.texts))
    began = time.perf_counter()
    vectors = encoder.encode(ranking.texts)
    ranks = rank_duplicates(vectors, ranking.rows.ids, ranking.rows.offsets)
    return figures(ranks, ks, ties) | {"seconds": time.perf_counter() - began}
