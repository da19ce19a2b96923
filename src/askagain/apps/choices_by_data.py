"""Settings that are `auto`, chosen by the number of pairs: batch size, epochs and learning rate of rung 3."""

import logging
import math

from omegaconf import DictConfig, OmegaConf

from askagain.corpus.corpus import Corpus
from askagain.corpus.pairs import most_pairs
from askagain.errors import InputError

AUTO = "auto"
SMALLEST_BATCH, LARGEST_BATCH = 32, 512  # pairs of all devices
STEPS_PER_EPOCH = 8  # at least so many, where batches are not as small as they may be
STEPS = 160  # at least so many in all, within the bounds on epochs
FEWEST_EPOCHS, MOST_EPOCHS = 5, 20
LEARNING_RATE = 0.02
FULL_RATE_PAIRS = 2_500  # with fewer, each row is updated too seldom for its initial values to be outweighed

log = logging.getLogger(__name__)


def choose_by_data(cfg: DictConfig, corpus: Corpus, devices: int) -> None:
    """Replaces each setting that is `auto` by the value for as many pairs as the corpus has, and logs what it chose.

    A batch has the most pairs, a power of 2, that leave an epoch `STEPS_PER_EPOCH`; there are as many epochs as `STEPS`
    take; and the learning rate falls with the root of the pairs below `FULL_RATE_PAIRS`. `devices` share a batch.

    Raises InputError where a setting is `auto` in an experiment without pairs.
    """
    keys = [key for key in ("data.batch_size", "trainer.max_epochs", "optimizer.lr") if _is_auto(cfg, key)]
    if not keys:
        return
    if corpus.files.train is None or "pairs" not in cfg.datamodule:
        raise InputError(f"{keys[0]}=auto: chosen by the number of pairs, which this experiment has none of; set it")
    groups = corpus.group_rows
    learned = round(len(groups) * (1 - cfg.data.validation_fraction))
    share = learned / max(1, len(groups))
    pairs = max(1, round(share * most_pairs(groups.lengths, cfg.data.pairs, cfg.data.max_pairs_per_group)))
    batch = min(LARGEST_BATCH, max(SMALLEST_BATCH, 2 ** int(math.log2(max(1, pairs // STEPS_PER_EPOCH)))))
    batch_size = max(1, batch // devices) if "data.batch_size" in keys else cfg.data.batch_size
    steps = math.ceil(pairs / (batch_size * devices))
    chosen = {
        "data.batch_size": batch_size,
        "trainer.max_epochs": min(MOST_EPOCHS, max(FEWEST_EPOCHS, math.ceil(STEPS / steps))),
        "optimizer.lr": float(f"{LEARNING_RATE * min(1.0, math.sqrt(pairs / FULL_RATE_PAIRS)):.2g}"),
    }
    for key in keys:
        OmegaConf.update(cfg, key, chosen[key])
    words = " ".join(f"{key}={chosen[key]}" for key in keys)
    log.info("chosen for %s pairs, see docs/configuration.md: %s", f"{pairs:,}", words)


def _is_auto(cfg: DictConfig, key: str) -> bool:
    return OmegaConf.select(cfg, key) == AUTO
