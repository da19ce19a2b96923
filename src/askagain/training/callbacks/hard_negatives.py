"""The callback that mines hard negatives: texts that the current encoder mistakes for duplicates of a query."""

import logging
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from askagain.distributed.collectives import World
from askagain.errors import InputError
from askagain.files.progress import counted_progress
from askagain.models.bag_encoder import BagEncoder, unit_vectors
from askagain.training.data.batches import HardNegatives
from askagain.training.data.duplicates import DuplicatesDataModule

QUERIES_PER_BLOCK = 1 << 9
SPARE = 8  # candidates beside those that are mined, whose scores may be equal to theirs
ROUNDING = 1e-5  # of a cosine in float32
EQUAL_WITHIN = 2.0**30  # cosines are equal that are the same multiple of one over this
POOL_STREAM = 2  # separates the draw of the pool from other draws with the same seed and epoch

log = logging.getLogger(__name__)


class MineHardNegatives(Callback):
    """Gives every pair of duplicates a hard negative: a text close to the query but outside its duplicate group.

    Mining finds the `per_text` closest texts of each text of `train.tsv`. The first epoch after it takes the closest
    one as the negative, the next epoch the second closest, and so on in turn. Groups that share a text count as one.
    The vectors of all texts of `train.tsv` are held in memory while mining; the devices share the queries.

    A text that is very close to the query is probably a duplicate that nobody has marked. The guard leaves it out; it
    is called TopK-PercPos in Moreira et al., "NV-Retriever: Improving text embedding models with effective
    hard-negative mining", 2024.

    Args:
        per_text: texts to mine for each text, 0 for no hard negatives.
        first_epoch: before which texts are mined for the first time, counted from 0.
        every_n_epochs: epochs between minings.
        guard: a text is left out if its cosine with the query is at least `guard` times the mean cosine of the query
            with the rest of its group.
        pool: texts of `train.tsv` and `corpus.txt` to mine from, drawn anew each time; None for all.
    """

    def __init__(self, per_text: int, first_epoch: int, every_n_epochs: int, guard: float, pool: int | None) -> None:
        self.per_text = per_text
        self.first_epoch = first_epoch
        self.every_n_epochs = every_n_epochs
        self.guard = guard
        self.pool = pool
        self._mined: np.ndarray | None = None  # [texts, per_text] indices into the pool
        self._mined_epoch = -1

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Raises InputError for data without pairs of duplicates, and where a resumed run has another `per_text`."""
        if self.per_text and not isinstance(trainer.datamodule, DuplicatesDataModule):  # type: ignore[attr-defined]
            raise InputError(f"per_text={self.per_text}: hard negatives need training data of duplicate pairs")
        if self._mined is not None and self._mined.shape[1] != self.per_text:
            raise InputError(f"per_text={self.per_text}: the checkpoint was trained with {self._mined.shape[1]}")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restores the negatives of an epoch that a run resumes within."""
        if self._mined is not None:
            self._set_negatives(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epochs = trainer.current_epoch - self.first_epoch
        if not self.per_text or epochs < 0:
            return
        # A resumed epoch keeps the negatives that it was given.
        due = epochs % self.every_n_epochs == 0 or self._mined is None
        if due and self._mined_epoch != trainer.current_epoch:
            self._mined_epoch = trainer.current_epoch
            data: DuplicatesDataModule = trainer.datamodule  # type: ignore[attr-defined]
            pool = self._draw_pool(data, trainer.current_epoch)
            encoder: BagEncoder = pl_module.encoder  # type: ignore[assignment]
            self._mined = mine(encoder, data, pool, self.per_text, self.guard, pl_module.world)  # type: ignore[arg-type]
            mean = (self._mined >= 0).sum(axis=1).mean()
            log.info("hard negatives: %.1f for each of %d texts, among %d", mean, len(self._mined), len(pool))
        self._set_negatives(trainer)

    def state_dict(self) -> dict[str, Any]:
        """The mined texts, so that a run resumed within an epoch keeps its negatives."""
        if self._mined is None:
            return {}
        return {"mined": torch.from_numpy(self._mined), "epoch": self._mined_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict:
            self._mined, self._mined_epoch = state_dict["mined"].numpy(), state_dict["epoch"]

    def _draw_pool(self, data: DuplicatesDataModule, epoch: int) -> np.ndarray:
        """The indices of the texts to mine from, rising."""
        count = len(data.pool)
        if self.pool is None or count <= self.pool:
            return np.arange(count)
        return np.sort(np.random.default_rng([data.seed, epoch, POOL_STREAM]).choice(count, self.pool, replace=False))

    def _set_negatives(self, trainer: Trainer) -> None:
        assert self._mined is not None
        data: DuplicatesDataModule = trainer.datamodule  # type: ignore[attr-defined]
        column = (trainer.current_epoch - self.first_epoch) % self.per_text
        data.hard_negatives = HardNegatives(data.pool_bags, self._mined[:, column], data.groups_of_pool)


def mine(
    encoder: BagEncoder, data: DuplicatesDataModule, pool: np.ndarray, per_text: int, guard: float, world: World
) -> np.ndarray:
    """Mines the closest texts outside the group of each text of `train.tsv`; see `MineHardNegatives`.

    Args:
        encoder: embeds the texts.
        data: the texts and their groups.
        pool: indices of texts of `data.pool` to mine from.
        per_text: texts to mine for each text.
        guard: see `MineHardNegatives`.
        world: the processes that share the queries; all must call this, and all get the same result.

    Returns:
        [texts, per_text] int32 indices into `data.pool`, closest first, -1 where there are fewer.
    """
    groups = data.groups_of_pool
    texts = len(data.corpus.groups.texts)
    shard = world.shard(texts)
    vectors = torch.from_numpy(unit_vectors(encoder.embed(data.pool_bags.slice(0, texts))))  # [texts, dim]
    candidates = torch.from_numpy(unit_vectors(encoder.embed(data.pool_bags.take(pool))))  # [pool, dim]
    limits = guard * _mean_cosine_with_group(vectors.double(), torch.from_numpy(groups[:texts]))
    text_groups = torch.from_numpy(groups)
    mined = np.full((shard.stop - shard.start, per_text), -1, dtype=np.int32)
    width, wider = min(per_text, len(pool)), min(per_text + SPARE, len(pool))
    starts = range(shard.start, shard.stop, QUERIES_PER_BLOCK)
    for start in counted_progress(starts, shard.stop, QUERIES_PER_BLOCK, "mining hard negatives"):
        block = slice(start, min(start + QUERIES_PER_BLOCK, shard.stop))
        scores = vectors[block] @ candidates.T
        scores.masked_fill_(text_groups[block, None] == text_groups[pool], -torch.inf)
        scores.masked_fill_(scores >= limits[block, None] + ROUNDING, -torch.inf)
        best, places = scores.topk(wider, dim=1)
        best, places = _ordered(vectors[block], candidates, best, places, limits[block])
        best, places = best[:, :width], places[:, :width]
        closest = np.where(best.numpy() > 0, pool[places.numpy()], -1)  # a text with nothing in common is not hard
        mined[block.start - shard.start : block.stop - shard.start, :width] = closest
    return world.all_gather(mined, texts)


def _ordered(
    queries: torch.Tensor, candidates: torch.Tensor, scores: torch.Tensor, places: torch.Tensor, limits: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The `scores` and `places` of some candidates for each query, [queries, k], closest first, equals by place.

    How a product is rounded depends on how many rows it has, and so on the number of processes; what decides here is
    the product in float64. A score of minus infinity stays, and one of `limits`, [queries], or more becomes it.
    """
    places, order = places.sort(dim=1)
    exact = torch.bmm(candidates[places].double(), queries.double().unsqueeze(2)).squeeze(2)
    exact.masked_fill_((exact >= limits[:, None]) | scores.gather(1, order).isneginf(), -torch.inf)
    _, order = exact.mul(EQUAL_WITHIN).round().sort(dim=1, descending=True, stable=True)
    return exact.gather(1, order), places.gather(1, order)


def _mean_cosine_with_group(vectors: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    """The mean cosine of each unit vector with the others of its group, [texts]; -1 if there is no other."""
    _, places = groups.unique(return_inverse=True)
    sums = vectors.new_zeros(int(places.max()) + 1, vectors.shape[1]).index_add_(0, places, vectors)
    others = places.bincount()[places] - 1
    along = torch.einsum("ij,ij->i", vectors, sums[places]) - torch.einsum("ij,ij->i", vectors, vectors)
    return torch.where(others > 0, along / others.clamp(min=1), -1.0)
