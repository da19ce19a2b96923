"""Hard negatives: which texts are found, that they reach the loss, and that a resumed run goes on with them."""

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from askagain.corpus.cache import Cache
from askagain.corpus.corpus import Corpus
from askagain.corpus.files import CorpusFiles
from askagain.distributed.collectives import World
from askagain.errors import InputError
from askagain.text.bags import Bags
from askagain.text.preprocessor import TextPreprocessor
from askagain.training.callbacks.hard_negatives import MineHardNegatives, _ordered, mine
from askagain.training.callbacks.last_checkpoint import LastCheckpoint
from askagain.training.data.batches import DuplicateCollator, HardNegatives
from tests.training.conftest import duplicates
from tests.training.modules.test_modules import dssm

GROUPS = ["mount a disk\tmount disk\thow to mount disks", "what is a monad\tmonads", "mount a camera\tcamera mount"]
UNLABELLED = ["mount a disk drive", "the monad", "completely other words", "disk mount camera"]


@pytest.fixture
def small(tmp_path):
    """Three groups and unlabelled texts, some of them close to a group."""
    (tmp_path / "train.tsv").write_text("".join(f"{group}\n" for group in GROUPS))
    (tmp_path / "corpus.txt").write_text("".join(f"{text}\n" for text in UNLABELLED))
    (tmp_path / "validation.tsv").write_text("mount a disk\thow to mount a disk\tmonads\tusb\n")
    files = CorpusFiles.locate(str(tmp_path))
    return duplicates(Corpus(files, TextPreprocessor(), Cache(tmp_path / "cache"), "error"), validation_fraction=0.0)


def callback(**settings):
    defaults = {"per_text": 3, "first_epoch": 1, "every_n_epochs": 1, "guard": 0.95, "pool": None}
    return MineHardNegatives(**defaults | settings)


@pytest.mark.parametrize("guard", [0.3, 0.8, 2.0])
def test_the_closest_texts_of_other_groups_are_found_that_are_not_as_close_as_the_own_group(small, guard):
    encoder = dssm(small).encoder
    texts = small.pool.texts(0, len(small.pool))
    group = {text: number for number, line in enumerate(GROUPS) for text in line.split("\t")}
    units = encoder.encode(texts).astype(np.float64)
    pool = np.array([i for i in range(len(texts)) if i != 4])
    found = mine(encoder, small, pool, 3, guard, World())
    assert found.shape == (len(group), 3)
    for query, row in enumerate(found):
        own = [i for i, text in enumerate(texts) if group.get(text) == group[texts[query]] and i != query]
        limit = guard * (units[own] @ units[query]).mean()
        scores = {i: units[i] @ units[query] for i in pool.tolist() if group.get(texts[i]) != group[texts[query]]}
        expected = sorted((i for i, score in scores.items() if 0 < score < limit), key=lambda i: -scores[i])[:3]
        of_row = [i for i in row.tolist() if i >= 0]
        assert set(of_row) <= set(scores) and len(set(of_row)) == len(expected)
        np.testing.assert_allclose([scores[i] for i in of_row], [scores[i] for i in expected], atol=1e-6)
    assert (found >= 0).any()


def test_close_candidates_are_put_in_order_by_their_exact_scores_and_equal_ones_by_place():
    """However a product in float32 was rounded: here it says the opposite."""
    candidates = torch.nn.functional.normalize(torch.tensor([[1.0, 0.2], [1.0, 0.0], [1.0, 0.2], [0.0, 1.0], [1, 0.1]]))
    queries = torch.tensor([[1.0, 0.0]])
    places, rounded = torch.tensor([[4, 2, 0, 3, 1]]), torch.tensor([[0.9, 0.8, 0.7, -torch.inf, 0.6]])
    for limit, expected in ((2.0, [1, 4, 0, 2, 3]), (0.999, [4, 0, 2, 1, 3])):
        scores, ordered = _ordered(queries, candidates, rounded, places, torch.tensor([limit], dtype=torch.float64))
        assert ordered.tolist() == [expected]
        assert scores.isneginf().sum() == (1 if limit > 1 else 2) and scores[0, -1].isneginf()


def test_texts_of_groups_that_share_one_are_no_negatives_of_each_other(tmp_path):
    (tmp_path / "train.tsv").write_text("mount disk\tmount a disk\nmount disk\tmount the disk\nmount usb\tusb mount\n")
    (tmp_path / "validation.tsv").write_text("a\tb\tc\n")
    files = CorpusFiles.locate(str(tmp_path))
    data = duplicates(Corpus(files, TextPreprocessor(), Cache(tmp_path / "cache"), "error"), validation_fraction=0.0)
    texts = data.pool.texts(0, len(data.pool))
    found = mine(dssm(data).encoder, data, np.arange(len(texts)), 4, 2.0, World())
    joined = {i for i, text in enumerate(texts) if "disk" in text}
    assert len({data.groups_of_pool[i] for i in joined}) == 1
    for query in joined:
        assert not joined & set(found[query].tolist()) and (found[query] >= 0).any()


def test_another_number_than_that_of_the_checkpoint_is_named(corpus, tmp_path):
    fit(corpus, tmp_path, 1)
    last = tmp_path / "checkpoints" / "last.ckpt"
    for other in (0, 2):
        with pytest.raises(InputError, match=f"per_text={other}: the checkpoint was trained with 3"):
            fit(corpus, tmp_path, 1, resume=last, per_text=other)


def test_negatives_stand_once_in_a_batch_behind_the_pairs_and_bring_their_groups():
    bags = Bags.from_lists([[1], [2], [3], [4], [5], [6]])
    hard = HardNegatives(bags, np.array([4, 5, -1, 4]), np.array([0, 0, 1, 1, 2, -6], dtype=np.int32))
    examples = (np.array([[0, 1], [3, 2], [2, 3]]), np.array([7, 8, 8], dtype=np.int32))
    batch = DuplicateCollator(bags, lambda: hard)(examples)
    assert batch.bags.ids.tolist() == [1, 4, 3, 2, 3, 4, 5]
    assert batch.groups.tolist() == [0, 1, 1, 2]
    assert batch.size == 3


def test_a_negative_is_pushed_away_from_the_query_and_one_of_its_own_group_is_not(small):
    module = dssm(small)
    texts = np.array([[0, 1], [3, 4]])
    groups = np.array([0, 1], dtype=np.int32)

    def loss(negative, group):
        of_pool = small.groups_of_pool.copy()
        of_pool[negative] = group
        hard = HardNegatives(small.pool_bags, np.full(len(small.corpus.groups.texts), negative), of_pool)
        return module.batch_loss(DuplicateCollator(small.pool_bags, lambda: hard)((texts, groups))).item()

    plain = module.batch_loss(DuplicateCollator(small.pool_bags)((texts, groups))).item()
    assert loss(7, -8) > plain
    assert plain < loss(7, 0) < loss(7, -8)  # it is a negative of the other pair only


class DiesAt(pl.Callback):
    def __init__(self, step):
        self.step = step

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            raise RuntimeError("as if it were killed")


def fit(corpus, folder, searches_every, *callbacks, resume=None, per_text=3):
    """The weights after four epochs with hard negatives."""
    data = duplicates(corpus, batch_size=128)
    module = dssm(data)
    trainer = pl.Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        devices=1,
        max_epochs=4,
        callbacks=[
            callback(every_n_epochs=searches_every, per_text=per_text),
            LastCheckpoint(str(folder), every_n_steps=3),
            *callbacks,
        ],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True if resume else None)
    return torch.from_numpy(module.encoder.table.rows), data


@pytest.mark.parametrize("searches_every", [1, 2])
def test_a_run_resumed_within_an_epoch_goes_on_with_the_negatives_it_had(corpus, tmp_path, searches_every):
    whole, data = fit(corpus, tmp_path / "whole", searches_every)
    steps = len(data.train_dataloader())
    assert data.hard_negatives is not None and steps > 3
    with pytest.raises(RuntimeError, match="as if it were killed"):
        fit(corpus, tmp_path / "part", searches_every, DiesAt(2 * steps + 4))
    last = tmp_path / "part" / "checkpoints" / "last.ckpt"
    assert torch.load(last, weights_only=True)["global_step"] % steps > 0
    resumed, _ = fit(corpus, tmp_path / "part", searches_every, resume=last)
    assert torch.equal(whole, resumed)
