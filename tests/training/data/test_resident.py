"""Batches that are cut on a device beside those of `DuplicateCollator`; on a GPU too where there is one."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from askagain.text.bags import Bags
from askagain.training.data.batches import DuplicateBatch, DuplicateCollator, HardNegatives
from askagain.training.data.resident import PairNumbers, PairNumbersCollator, ResidentBags, ResidentPairs
from askagain.training.lightning_overhead import mark_coalesced
from askagain.training.optim.embedding_bag import TensorBags, embedding_bag_sum
from askagain.training.optim.rowwise_adagrad import RowwiseAdagrad
from tests.training.conftest import dssm_module, duplicates, trainer

SEED = 5
ROWS = 40
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]


def random_bags(rng, texts: int) -> Bags:
    """Bags of up to six rows, in which rows are rare, frequent and repeated, and some are empty."""
    return Bags.from_lists([(rng.zipf(1.5, size) % ROWS).tolist() for size in rng.integers(0, 7, texts)])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("further", [0, 1, 50])
@pytest.mark.parametrize("texts", [1, 2, 30])
def test_a_batch_cut_on_a_device_is_that_of_the_collator(device, texts, further):
    """Whatever further room for tokens it has."""
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED + texts)
    bags = random_bags(rng, texts)
    resident = ResidentBags(bags, torch.device(device))
    for size in (1, 5, 64):
        examples = rng.integers(0, texts, (size, 2)), rng.integers(0, 9, size)
        expected = DuplicateCollator(bags)(examples)
        numbers = PairNumbersCollator(bags)(examples)
        on_device = (numbers.texts.to(device), numbers.groups.to(device))
        pairs = ResidentPairs(numbers, resident)
        cut = pairs.cut_into(numbers.tokens + further, *on_device) if further else pairs.cut()
        assert cut.size == expected.size and cut.groups.tolist() == expected.groups.tolist()
        assert len(cut.bags.ids) == len(cut.bags.users) == len(cut.bags.rows) == len(expected.bags.ids) + further
        for name in ("ids", "offsets", "users"):
            own, other = getattr(cut.bags, name).cpu(), getattr(expected.bags, name)
            assert torch.equal(own[: len(other)], other), name
        assert set(cut.bags.rows.tolist()) <= set(bags.ids.tolist()) | {0}
        used = cut.bags.user_offsets.diff() > 0
        assert torch.equal(cut.bags.rows[used].cpu(), expected.bags.rows)
        starts = torch.cat([cut.bags.user_offsets[:-1][used], cut.bags.user_offsets[-1:]])
        assert torch.equal(starts.cpu(), expected.bags.user_offsets)
        assert bool((cut.bags.rows.diff() >= 0).all())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("second_moment", ["row", "full"])
def test_repeated_rows_without_users_change_nothing(device, sparse, second_moment):
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    torch.manual_seed(SEED)
    bags = random_bags(rng, 30)
    resident = ResidentBags(bags, torch.device(device))
    start = torch.randn(ROWS, 8)
    tables = [start.clone().requires_grad_(), start.to(device).requires_grad_()]
    optimizers = [RowwiseAdagrad([table], lr=0.3, eps=1e-10, second_moment=second_moment) for table in tables]
    for _ in range(6):
        texts = torch.from_numpy(rng.integers(0, 30, 20))
        tokens = int(bags.lengths[texts.numpy()].sum())
        batches = [TensorBags.of(bags.take(texts.numpy())), resident.take(texts.to(device), tokens)]
        target = torch.from_numpy(rng.standard_normal((20, 8)).astype(np.float32))
        for table, optimizer, batch in zip(tables, optimizers, batches, strict=True):
            optimizer.zero_grad()
            (embedding_bag_sum(table, batch, sparse) * target.to(table.device)).sum().backward()
            mark_coalesced([table], len(batch.rows))  # as in a training; else repeats would be added up before the step
            optimizer.step()
    torch.testing.assert_close(tables[1].cpu(), tables[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("device", DEVICES)
def test_a_batch_of_empty_texts_has_no_rows(device):
    bags = Bags.from_lists([[], [3], []])
    examples = np.array([[0, 2], [2, 0]]), np.array([0, 1])
    cut = ResidentPairs(PairNumbersCollator(bags)(examples), ResidentBags(bags, torch.device(device))).cut()
    assert cut.bags.offsets.tolist() == [0] * 5 and cut.bags.user_offsets.tolist() == [0]
    assert not len(cut.bags.rows) and not len(cut.bags.ids)


@pytest.mark.parametrize(("free", "resident"), [(10**4, False), (10**8, True)])
def test_features_stay_on_a_gpu_that_has_room(corpus, monkeypatch, free, resident):
    gpu = torch.device("cuda", 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: ({gpu: free}[device], 10**9))
    data = duplicates(corpus)
    data.trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=gpu))
    assert isinstance(data.collator(training=True), DuplicateCollator) is not resident


def test_batches_with_hard_negatives_are_cut_by_the_processor(corpus):
    data = duplicates(corpus, resident=True)
    collate = data.collator(training=True)
    examples = data.train_examples[np.arange(4)]
    assert isinstance(collate(examples), PairNumbers)
    texts = len(data.corpus.groups.texts)
    pool = data._feature_ids(data.corpus.groups)
    data.hard_negatives = HardNegatives(pool, np.zeros(texts, dtype=np.int64), np.zeros(texts, dtype=np.int64))
    assert isinstance(collate(examples), DuplicateBatch) and isinstance(data.collator(False)(examples), PairNumbers)


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("model", "training"),
    [
        ({}, {}),
        ({"feature_weights": "learned"}, {"gradient_clip_val": 0.5}),
        ({}, {"accumulate_grad_batches": 2}),
    ],
    ids=["as usual", "learned weights, clipped", "accumulated"],
)
def test_a_module_learns_the_same_from_batches_that_are_cut_on_its_device(corpus, device, model, training):
    adagrad = partial(RowwiseAdagrad, lr=0.1, eps=1e-10, second_moment="row")
    tables = []
    for resident, where in ((False, "cpu"), (True, device)):
        torch.manual_seed(SEED)
        data = duplicates(corpus, resident=resident)
        module = dssm_module(data, adagrad, **model)
        trainer(where, max_epochs=2, **training).fit(module, data)
        tables.append(module.encoder.table.rows)
    np.testing.assert_allclose(tables[1], tables[0], rtol=0, atol=0 if device == "cpu" else 1e-4)
