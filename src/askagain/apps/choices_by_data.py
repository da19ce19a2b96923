"""Settings that are `auto`, chosen by the number of pairs (rung 3) or of texts (distillation)."""

import logging
import math
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from askagain.corpus.corpus import Corpus
from askagain.corpus.pairs import most_pairs
from askagain.errors import InputError
from askagain.models.folder import load_encoder
from askagain.models.named import named_folder

AUTO = "auto"
BATCH, EPOCHS, RATE = "data.batch_size", "trainer.max_epochs", "optimizer.lr"
MADE, WORDS, PAIR_COUNT = "data.made_texts", "data.teacher_words", "features.min_pair_count"

# By the number of pairs.
SMALLEST_BATCH, LARGEST_BATCH = 32, 512  # pairs of all devices
STEPS_PER_EPOCH = 8  # at least so many, where batches are not as small as they may be
STEPS = 160  # at least so many in all, within the bounds on epochs
FEWEST_EPOCHS, MOST_EPOCHS = 5, 20
LEARNING_RATE = 0.02
FULL_RATE_PAIRS = 2_500  # with fewer, each row is updated too seldom for its initial values to be outweighed
STARTED_RATE = 0.5  # of that, where rows start from a built encoder, which longer steps would undo

# By the number of texts.
MADE_A_TEXT, MOST_MADE = 25, 45_000
TEXTS_ENOUGH = 100_000  # none are made beside more
FEW_TEXTS = 20_000  # lack words that will be asked for, and pairs that they have once tell little
TEACHER_RATE, TEACHER_RATE_OF_FEW = 0.1, 0.05
TEACHER_STEPS = 1_600  # at least so many in all, within the bounds on epochs
FEWEST_TEACHER_EPOCHS, MOST_TEACHER_EPOCHS = 10, 60

log = logging.getLogger(__name__)


def check_further_texts(cfg: DictConfig) -> None:
    """Raises InputError where texts of other sites are named in an experiment that does not learn from them."""
    if cfg.data.further_texts and "made_texts" not in (cfg.get("datamodule") or {}):
        raise InputError("data.further_texts: only distillation learns from the texts of other sites; leave it out")


def choose_by_data(cfg: DictConfig, corpus: Corpus, devices: int) -> None:
    """Replaces each setting that is `auto` by the value for a corpus of this size, and logs what it chose.

    For pairs, a batch has the most, a power of 2, that leave an epoch `STEPS_PER_EPOCH`; there are as many epochs as
    `STEPS` take; and the learning rate falls with the root of the pairs below `FULL_RATE_PAIRS`, and to a half where
    `start=auto` finds an encoder. A teacher gets up to `MADE_A_TEXT` made texts for each of the corpus's, and there are
    as many epochs as `TEACHER_STEPS` take; beside fewer than `FEW_TEXTS` its words are known, pairs of words must occur
    twice, and the learning rate is lower. `devices` share a batch.

    Raises InputError where a setting is `auto` in an experiment that has no rule for it.
    """
    keys = [key for key in (BATCH, EPOCHS, RATE) if _is_auto(cfg, key)]
    if "made_texts" in cfg.get("datamodule", {}):
        _by_texts(cfg, corpus, devices, [*keys, *(key for key in (MADE, WORDS, PAIR_COUNT) if _is_auto(cfg, key))])
        return
    if _is_auto(cfg, PAIR_COUNT):
        raise InputError(f"{PAIR_COUNT}=auto: only distillation has a rule for it; set it to a number, such as 2")
    if keys:
        _by_pairs(cfg, corpus, devices, keys)


def _by_pairs(cfg: DictConfig, corpus: Corpus, devices: int, keys: Sequence[str]) -> None:
    if corpus.files.train is None or "pairs" not in cfg.datamodule:
        raise InputError(f"{keys[0]}=auto: chosen by the number of pairs, which this experiment has none of; set it")
    groups = corpus.group_rows
    learned = round(len(groups) * (1 - cfg.data.validation_fraction))
    share = learned / max(1, len(groups))
    pairs = max(1, round(share * most_pairs(groups.lengths, cfg.data.pairs, cfg.data.max_pairs_per_group)))
    batch = min(LARGEST_BATCH, max(SMALLEST_BATCH, 2 ** int(math.log2(max(1, pairs // STEPS_PER_EPOCH)))))
    batch_size = max(1, batch // devices) if BATCH in keys else cfg.data.batch_size
    rate = LEARNING_RATE * min(1.0, math.sqrt(pairs / FULL_RATE_PAIRS)) * (STARTED_RATE if _starts_built(cfg) else 1)
    chosen = {
        BATCH: batch_size,
        EPOCHS: _epochs(pairs, batch_size * devices, STEPS, FEWEST_EPOCHS, MOST_EPOCHS),
        RATE: float(f"{rate:.2g}"),
    }
    _set(cfg, {key: chosen[key] for key in keys}, f"{pairs:,} pairs")


def _starts_built(cfg: DictConfig) -> bool:
    """Whether `start=auto` will find an encoder that fits."""
    start = cfg.get("start")
    if start is None or not str(start.get("_target_")).endswith(".from_built"):
        return False
    folder = named_folder(start.name)
    return folder is not None and load_encoder(folder, memory_map=True).dim == cfg.model.dim


def _by_texts(cfg: DictConfig, corpus: Corpus, devices: int, keys: Sequence[str]) -> None:
    if BATCH in keys:
        raise InputError(f"{BATCH}=auto: chosen by the number of pairs, which this experiment has none of; set it")
    if not keys:
        return
    texts = len(corpus.all_texts)
    wanted = min(MADE_A_TEXT * texts, MOST_MADE) if texts <= TEXTS_ENOUGH else 0
    made = wanted if MADE in keys else cfg.data.made_texts
    batch = cfg.data.batch_size * devices
    chosen = {
        EPOCHS: _epochs(texts + made, batch, TEACHER_STEPS, FEWEST_TEACHER_EPOCHS, MOST_TEACHER_EPOCHS),
        MADE: made,
        WORDS: texts < FEW_TEXTS,
        PAIR_COUNT: 2 if texts < FEW_TEXTS else 1,
        RATE: TEACHER_RATE_OF_FEW if texts < FEW_TEXTS else TEACHER_RATE,
    }
    _set(cfg, {key: chosen[key] for key in keys}, f"{texts:,} texts")


def _epochs(examples: int, batch: int, steps: int, fewest: int, most: int) -> int:
    """As many as take so many steps, within bounds."""
    return min(most, max(fewest, math.ceil(steps / math.ceil(examples / batch))))


def _set(cfg: DictConfig, chosen: dict[str, Any], counted: str) -> None:
    for key, value in chosen.items():
        OmegaConf.update(cfg, key, value)
    words = " ".join(f"{key}={str(value).lower()}" for key, value in chosen.items())
    log.info("chosen for %s, see docs/configuration.md: %s", counted, words)


def _is_auto(cfg: DictConfig, key: str) -> bool:
    return OmegaConf.select(cfg, key) == AUTO
