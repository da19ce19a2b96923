"""The rankers that a training is compared with: each on the encoder's text, and on that which is best for it."""

import logging
from collections.abc import Mapping, Sequence

from omegaconf import DictConfig

from askagain.apps.build import build_own_metrics, build_ranker, training_texts
from askagain.apps.preprocessors import OTHER, named_preprocessor, preprocessor_name
from askagain.apps.verdict import Ranked, deciding_metric
from askagain.corpus.corpus import Corpus
from askagain.errors import InputError
from askagain.evaluation.evaluate import Ranker, evaluate_ranking
from askagain.native import terms
from askagain.ranking.ranks import Ranks
from askagain.text.preprocessor import TextPreprocessor

log = logging.getLogger(__name__)


def ranked_baselines(
    cfg: DictConfig, corpus: Corpus, preprocessor: TextPreprocessor, splits: Sequence[str]
) -> list[Ranked]:
    """Ranks with each of `cfg.baselines`; none where there are no texts to count terms in, or too many.

    Args:
        cfg: the run's.
        corpus: has these texts and the ranking sets.
        preprocessor: the encoder's, which each baseline has first. It follows once more with the one of
            `cfg.baseline_preprocessors` that is best on the validation rows, where that is another one.
        splits: the ranking sets.
    """
    names = [str(name) for name, node in (cfg.get("baselines") or {}).items() if node is not None]
    count, most = sum(map(len, training_texts(corpus))), cfg.comparison.max_texts
    if not names or not count:
        return []
    if count > most:
        listed = " and ".join(names)
        log.info("not compared with %s: %d texts are more than comparison.max_texts=%d", listed, count, most)
        return []
    terms.start()  # beside counting
    ranked = []
    for name in names:
        try:
            ranked += _ranked(cfg, corpus, name, preprocessor, splits)
        except InputError as error:  # the figures of the training must not be lost for it
            log.warning("not compared with %s: %s", name, error)
    return ranked


def _ranked(
    cfg: DictConfig, corpus: Corpus, name: str, preprocessor: TextPreprocessor, splits: Sequence[str]
) -> list[Ranked]:
    """A baseline on the encoder's text, then on another one that is better for it, if any."""
    rankers = _rankers(cfg, corpus, name, preprocessor)
    own = next(iter(rankers))
    validation = {text: _ranks(cfg, corpus, ranker, "validation") for text, ranker in rankers.items()}
    values = {text: deciding_metric(cfg, ranks) for text, ranks in validation.items()}
    tried = [str(text) for text in cfg.baseline_preprocessors if text in rankers]
    best = max(tried, key=lambda text: values[text].sign * values[text].of_rows.mean(), default=own)
    return [
        Ranked(
            name,
            text,
            {"validation": validation[text]}
            | {split: _ranks(cfg, corpus, rankers[text], split) for split in splits if split != "validation"},
        )
        for text in dict.fromkeys((own, best))
    ]


def _rankers(cfg: DictConfig, corpus: Corpus, name: str, preprocessor: TextPreprocessor) -> Mapping[str, Ranker]:
    """A baseline by the preprocessor that it has, the encoder's first; others that leave no words are left out."""
    section = f"baselines.{name}"
    if "preprocessor" not in cfg.baselines[name]:
        return {OTHER: build_ranker(cfg, corpus, section)}
    texts = {preprocessor_name(preprocessor): preprocessor}
    for text in cfg.baseline_preprocessors:
        texts.setdefault(str(text), named_preprocessor(str(text), preprocessor.fields))
    rankers: dict[str, Ranker] = {}
    for text, given in texts.items():
        try:
            rankers[text] = build_ranker(cfg, corpus, section, preprocessor=given)
        except InputError:
            if not rankers:  # the encoder's own text
                raise
    return rankers


def _ranks(cfg: DictConfig, corpus: Corpus, ranker: Ranker, split: str) -> Ranks:
    return evaluate_ranking(ranker, corpus.ranking(split), cfg.ks, cfg.ties, own=build_own_metrics(cfg))[1]
