"""A small corpus, and word vectors in which words with like letters have like vectors."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
from torch import nn
from torch.optim import Optimizer

from askagain.corpus.cache import Cache
from askagain.corpus.corpus import Corpus
from askagain.corpus.files import CorpusFiles
from askagain.synthetic.sample import write_sample
from askagain.text.features import FeatureSettings
from askagain.text.preprocessor import TextPreprocessor
from askagain.training.data.duplicates import DuplicatesDataModule
from askagain.training.data.word_vectors import WordVectorsDataModule
from askagain.training.losses.nt_xent import NTXentLoss
from askagain.training.modules.dssm import DSSM
from askagain.training.optim.schedules import warmup_decay
from askagain.vectors.word_vectors import WordVectors

SCHEDULE = partial(warmup_decay, warmup_share=0.1, decay="linear")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus")
    write_sample(folder, seed=1, groups=300, rows=40, negatives=60)
    files = CorpusFiles.locate(str(folder))
    return Corpus(files, TextPreprocessor("?!.,()", 2, "english"), Cache(folder / "cache"), "error")


@pytest.fixture(scope="session")
def vectors(corpus) -> WordVectors:
    """Vectors of every second word of the ranking set: sums of hidden trigram vectors and a little noise."""
    from askagain.text.ngrams import letter_ngrams

    rng = np.random.default_rng(2)
    words = corpus.ranking("validation").words(corpus.preprocessor).words[::2]
    hidden: dict[str, np.ndarray] = {}
    table = np.stack([sum(hidden.setdefault(t, rng.standard_normal(8)) for t in letter_ngrams(word)) for word in words])
    return WordVectors(words, (table + 0.1 * rng.standard_normal(table.shape)).astype(np.float32), "test vectors")


def duplicates(corpus: Corpus, **settings) -> DuplicatesDataModule:
    """Duplicate questions with settings for tests."""
    defaults = {
        "features": FeatureSettings("words_trigrams"),
        "count_unlabelled": False,
        "pairs": "random",
        "max_pairs_per_group": 30,
        "validation_fraction": 0.05,
        "batch_size": 128,
        "seed": 0,
    }
    return DuplicatesDataModule(corpus, **defaults | settings)


def trainer(device: str, **settings) -> pl.Trainer:
    """A trainer on `cpu` or `cuda` that only trains, in float32."""
    quiet = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary", "use_distributed_sampler")
    accelerator = "gpu" if device == "cuda" else "cpu"
    return pl.Trainer(accelerator=accelerator, devices=1, **dict.fromkeys(quiet, False) | settings)


def known_words(corpus: Corpus, vectors: WordVectors, **settings) -> WordVectorsDataModule:
    """Known words with settings for tests."""
    defaults = {
        "words": "all",
        "limit": None,
        "max_trigrams": None,
        "ngram_sizes": [3],
        "ngram_buckets": None,
        "validation_fraction": 0.02,
        "batch_size": 32,
        "seed": 0,
    }
    return WordVectorsDataModule(corpus, vectors, **defaults | settings)


def dssm_module(
    data: DuplicatesDataModule, optimizer: Callable[..., Optimizer], loss: nn.Module | None = None, **settings
) -> DSSM:
    """A DSSM of 32 columns with settings for tests."""
    defaults = {"dim": 32, "init_std": 0.05}
    learning = {"loss": loss or NTXentLoss(), "optimizer": optimizer, "scheduler": SCHEDULE}
    return DSSM.from_settings(**data.model_inputs(), **learning, **defaults | settings)
