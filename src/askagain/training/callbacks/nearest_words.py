"""The callback that prints the nearest known words of unknown words, by the vectors predicted for them."""

import logging

from pytorch_lightning import Callback, LightningModule, Trainer

from askagain.training.data.word_vectors import WordVectorsDataModule
from askagain.training.modules.trigram_regressor import TrigramRegressor

log = logging.getLogger(__name__)


class NearestWords(Callback):
    """After training, prints the `neighbours` nearest known words of the `words` most frequent unknown words."""

    def __init__(self, words: int, neighbours: int) -> None:
        self.words = words
        self.neighbours = neighbours

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        datamodule: WordVectorsDataModule = trainer.datamodule  # type: ignore[attr-defined]
        regressor: TrigramRegressor = pl_module  # type: ignore[assignment]
        unknown = datamodule.frequent_unknown_words(self.words)
        if not trainer.is_global_zero or not unknown:
            return
        for word, vector in zip(unknown, regressor.predict(unknown).numpy(), strict=True):
            nearest = datamodule.vectors.keyed.similar_by_vector(vector, self.neighbours)
            listed = ", ".join(f"{neighbour} {cosine:.2f}" for neighbour, cosine in nearest)
            log.info("nearest to %s: %s", word, listed)
