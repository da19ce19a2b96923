"""Hard negatives: texts that the encoder of the moment takes for duplicates and that are none, as far as is known."""

import logging
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from askagain.distributed.collectives import World
from askagain.errors import InputError
from askagain.models.bag_encoder import BagEncoder
from askagain.ranking.products import unit_vectors
from askagain.training.data.batches import HardNegatives
from askagain.training.data.duplicates import DuplicatesDataModule

QUERIES_A_BLOCK = 1 << 9
POOL_STREAM = 2  # keeps the draw of the pool apart from other draws with the same seed and epoch

log = logging.getLogger(__name__)


class MineHardNegatives(Callback):
    """Gives every pair of duplicates a further negative: a text that is close to its query and in another group.

    Before epoch `first_epoch` (counted from 0) and every `every_n_epochs` epochs from then on, the `per_text` closest
    texts of each text of `train.tsv` are sought among `pool` texts of it and of `corpus.txt`, drawn anew each time
    (null: all of them). Epoch `first_epoch` takes the closest, the next epoch the second closest, and so on in turn.
    `per_text` of 0 turns it off. Groups that share a text count as one. A search multiplies the vectors of all texts of
    `train.tsv`, which are in memory for it, with those of the pool; devices share it and find the same.

    The guard against duplicates that nobody has marked: a text as close to the query as `guard` times the mean cosine
    of the query and the rest of its group, or closer, is no negative.

    Raises InputError for a value out of range, and where the training data has no duplicates.
    Source of the guard: Moreira et al., "NV-Retriever: Improving text embedding models with effective hard-negative
    mining", 2024, which calls it TopK-PercPos.
    """

    def __init__(self, per_text: int, first_epoch: int, every_n_epochs: int, guard: float, pool: int | None) -> None:
        for name, value, least in (
            ("per_text", per_text, 0),
            ("first_epoch", first_epoch, 1),
            ("every_n_epochs", every_n_epochs, 1),
            ("pool", pool, 1),
        ):
            if value is not None and value < least:
                raise InputError(f"callbacks.hard_negatives.{name}={value}: must be at least {least}")
        if guard <= 0:
            raise InputError(f"callbacks.hard_negatives.guard={guard}: must be above 0")
        self.per_text = per_text
        self.first_epoch = first_epoch
        self.every_n_epochs = every_n_epochs
        self.guard = guard
        self.pool = pool
        self._found: np.ndarray | None = None  # [texts, per_text]
        self._found_in = -1  # the epoch
        self._column = 0  # of what was found, which the epoch takes

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Uses what a checkpoint kept, where training goes on."""
        if self.per_text and not isinstance(trainer.datamodule, DuplicatesDataModule):  # type: ignore[attr-defined]
            raise InputError(
                "callbacks.hard_negatives.per_text: only pairs of duplicates (experiment=dssm) have negatives"
            )
        if self._found is None:
            return
        if self._found.shape[1] != self.per_text:
            raise InputError(
                f"callbacks.hard_negatives.per_text={self.per_text}: the checkpoint was trained with "
                f"{self._found.shape[1]}"
            )
        self._use(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Searches where it is time to, and takes the epoch's negatives."""
        since = trainer.current_epoch - self.first_epoch
        if not self.per_text or since < 0:
            return
        # An epoch that is resumed goes on with what it had found.
        due = since % self.every_n_epochs == 0 or self._found is None
        if due and self._found_in != trainer.current_epoch:
            self._found_in = trainer.current_epoch
            data: DuplicatesDataModule = trainer.datamodule  # type: ignore[attr-defined]
            pool = self._drawn(data, trainer.current_epoch)
            encoder: BagEncoder = pl_module.encoder  # type: ignore[assignment]
            self._found = mine(encoder, data, pool, self.per_text, self.guard, pl_module.world)  # type: ignore[arg-type]
            log.info(
                "hard negatives: %.1f for each of %d texts, among %d",
                *((self._found >= 0).sum(axis=1).mean(), len(self._found), len(pool)),
            )
        self._column = since % self.per_text
        self._use(trainer)

    def state_dict(self) -> dict[str, Any]:
        """What was found, so that a run that is resumed within an epoch goes on with it."""
        if self._found is None:
            return {}
        return {"found": torch.from_numpy(self._found), "epoch": self._found_in, "column": self._column}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See `state_dict`."""
        if state_dict:
            self._found = state_dict["found"].numpy()
            self._found_in, self._column = state_dict["epoch"], state_dict["column"]

    def _drawn(self, data: DuplicatesDataModule, epoch: int) -> np.ndarray:
        """The texts to search among, rising."""
        count = len(data.pool)
        if self.pool is None or count <= self.pool:
            return np.arange(count)
        return np.sort(np.random.default_rng([data.seed, epoch, POOL_STREAM]).choice(count, self.pool, replace=False))

    def _use(self, trainer: Trainer) -> None:
        assert self._found is not None
        data: DuplicatesDataModule = trainer.datamodule  # type: ignore[attr-defined]
        data.hard_negatives = HardNegatives(data.pool_bags, self._found[:, self._column], data.groups_of_pool)


def mine(
    encoder: BagEncoder, data: DuplicatesDataModule, pool: np.ndarray, per_text: int, guard: float, world: World
) -> np.ndarray:
    """The `per_text` closest texts of `pool` for each text of the groups, as `MineHardNegatives` says, closest first.

    `pool`: indices of texts of `data.pool`. Returns [texts, per_text] int32, -1 where there are fewer.
    """
    groups = data.groups_of_pool
    texts = len(data.corpus.groups.texts)
    own = world.shard(texts)
    vectors = torch.from_numpy(unit_vectors(encoder.embed(data.pool_bags.slice(0, texts))))  # [texts, dim]
    among = torch.from_numpy(unit_vectors(encoder.embed(data.pool_bags.take(pool))))  # [pool, dim]
    limits = guard * _closeness_to_own_group(vectors, torch.from_numpy(groups[:texts]))
    group_of = torch.from_numpy(groups)
    found = np.full((own.stop - own.start, per_text), -1, dtype=np.int32)
    width = min(per_text, len(pool))
    for start in range(own.start, own.stop, QUERIES_A_BLOCK):
        block = slice(start, min(start + QUERIES_A_BLOCK, own.stop))
        scores = vectors[block] @ among.T
        scores.masked_fill_(group_of[block, None] == group_of[pool], -torch.inf)
        scores.masked_fill_(scores >= limits[block, None], -torch.inf)
        best, places = scores.topk(width, dim=1)
        chosen = np.where(best.numpy() > 0, pool[places.numpy()], -1)  # what has nothing in common is not hard
        found[block.start - own.start : block.stop - own.start, :width] = chosen
    return world.all_gather(found, texts)


def _closeness_to_own_group(vectors: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    """The mean cosine of each unit vector with the others of its group, [texts]; -1 where there is no other."""
    _, places = groups.unique(return_inverse=True)
    sums = torch.zeros(int(places.max()) + 1, vectors.shape[1]).index_add_(0, places, vectors)
    others = places.bincount()[places] - 1
    along = torch.einsum("ij,ij->i", vectors, sums[places]) - torch.einsum("ij,ij->i", vectors, vectors)
    return torch.where(others > 0, along / others.clamp(min=1), -1.0)
