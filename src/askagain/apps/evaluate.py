"""`evaluate.py`: ranks a corpus' validation or test set, or all of its texts, with any ranker."""

import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from askagain.apps.build import build, build_corpus, build_own_metrics, build_ranker, data_name, import_modules
from askagain.apps.choices_by_data import check_further_texts
from askagain.apps.preprocessors import text_seen_by
from askagain.apps.report import PREFIXES, prefixed, print_metrics, write_metrics
from askagain.apps.verdict import published_lines
from askagain.apps.worst import write_worst
from askagain.corpus.corpus import Corpus
from askagain.corpus.token_store import TokenStore
from askagain.errors import InputError
from askagain.evaluation.evaluate import Ranker, evaluate_full_corpus, evaluate_ranking
from askagain.evaluation.full_corpus import FullRanking, full_ranking
from askagain.evaluation.worst_ranked import worst_ranked
from askagain.ranking.metrics import per_query_metrics
from askagain.ranking.ranks import Ranks
from askagain.ranking.significance import intervals, with_intervals

ALL = "all"  # in the names of metrics among all texts
WORST = "worst.tsv"  # in a run folder

log = logging.getLogger(__name__)


class Evaluation(NamedTuple):
    """The result of ranking a corpus with one ranker.

    `metrics`: means, each followed by the ends of its interval. `per_query`: the values of every query, [queries] each.
    `prefix`: begins the metrics' names in metrics.json. `where`: what was ranked, in words.
    """

    metrics: dict[str, float]
    per_query: dict[str, np.ndarray]
    prefix: str
    where: str
    ranking: TokenStore | FullRanking
    ranks: Ranks


def evaluate(cfg: DictConfig) -> float:
    """Prints the metrics of the ranker, writes metrics.json and worst.tsv, and returns the metric `cfg.metric.name`.

    Raises InputError for a mistake in the config, in the data or in the ranker.
    """
    import_modules(cfg)
    check_further_texts(cfg)
    corpus = build_corpus(cfg)
    ranker = chosen_ranker(cfg, corpus)
    result = evaluation(cfg, ranker, corpus)
    if cfg.metric.name not in result.metrics:
        raise InputError(f"metric.name={cfg.metric.name}: no such metric; there are {', '.join(result.metrics)}")
    choices = HydraConfig.get().runtime.choices
    chosen = choices["encoder"] if cfg.get("ranker") is None else choices["ranker"]
    name = f"{chosen} {cfg.encoder.path}" if cfg.get("ranker") is None and "path" in cfg.encoder else chosen
    text = text_seen_by(ranker)
    print_metrics(f"{name} on {result.where}", chosen, text, result.metrics, cfg.metric.name, cfg.ties)
    if isinstance(result.ranking, TokenStore):
        for line in published_lines(result.ranking.path.parent, result.metrics):
            print(line)
    wanted = cfg.worst_ranked
    worst = worst_ranked(ranker, result.ranking, result.ranks, wanted.rows, wanted.candidates)
    write_worst(Path(cfg.paths.run_dir) / WORST, worst, ranker, wanted.features)
    write_metrics(Path(cfg.paths.run_dir), prefixed(result.prefix, result.metrics), {"preprocessor": text})
    return result.metrics[cfg.metric.name]


def chosen_ranker(cfg: DictConfig, corpus: Corpus) -> Ranker:
    """The encoder, or the ranker that is chosen instead."""
    return build(cfg, "encoder") if cfg.get("ranker") is None else build_ranker(cfg, corpus)


def evaluation(cfg: DictConfig, ranker: Ranker, corpus: Corpus) -> Evaluation:
    """Ranks as the config says, the candidates listed in each row or all texts, and bootstraps the intervals."""
    split, own = cfg.data.split, build_own_metrics(cfg)
    prefix = PREFIXES.get(split, split)
    ranking: TokenStore | FullRanking
    if cfg.candidate_set.files is None:
        ranking = listed = corpus.ranking(split)
        log.info("ranking %d rows, %d distinct texts", len(listed.rows), len(listed.texts))
        metrics, ranks = evaluate_ranking(ranker, listed, cfg.ks, cfg.ties, own=own)
        where = f"{data_name(cfg, listed.path)}, {len(listed.rows):,} rows"
    else:
        groups = cfg.candidate_set.groups
        labelled = corpus.ranking(split) if groups is None else corpus.groups_in(Path(groups))
        stores = [corpus.store(name) for name in cfg.candidate_set.files]
        ranking = full = full_ranking(stores, labelled, pairs=groups is None)
        count = len(full.questions)
        where = f"{data_name(cfg, labelled.path)}, {count:,} questions among {len(full.texts):,} texts"
        if not count:
            raise InputError(f"{where}: no question has a duplicate other than itself")
        log.info("ranking %s", where)
        metrics, ranks = evaluate_full_corpus(ranker, full, cfg.ks, cfg.ties, own)
        prefix = f"{prefix}/{ALL}" if groups is None else f"groups/{ALL}"
    per_query = per_query_metrics(ranks, cfg.ks, cfg.ties, own)
    ends = intervals(per_query, **cfg.intervals, seed=cfg.seed)
    return Evaluation(with_intervals(metrics, ends), per_query, prefix, where, ranking, ranks)
