"""Batches that are cut on a device beside those of `DuplicateCollator`; on a GPU too where there is one."""

from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from askagain.text.bags import Bags
from askagain.training.data.batches import DuplicateCollator
from askagain.training.data.resident import PairNumbers, PairNumbersCollator, ResidentBags
from askagain.training.optim.embedding_bag import TensorBags, embedding_bag_sum
from askagain.training.optim.rowwise_adagrad import RowwiseAdagrad
from tests.training.conftest import dssm_module, duplicates

SEED = 5
ROWS = 40
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]


def random_bags(rng, texts: int) -> Bags:
    """Bags of up to six rows, in which rows are rare, frequent and repeated, and some are empty."""
    return Bags.from_lists([(rng.zipf(1.5, size) % ROWS).tolist() for size in rng.integers(0, 7, texts)])


def trainer(device: str, **settings) -> pl.Trainer:
    """A trainer that only trains, in float32."""
    quiet = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary", "use_distributed_sampler")
    accelerator = "gpu" if device == "cuda" else "cpu"
    return pl.Trainer(accelerator=accelerator, devices=1, **dict.fromkeys(quiet, False) | settings)


def on(device: str, numbers: PairNumbers) -> PairNumbers:
    return numbers._replace(texts=numbers.texts.to(device), groups=numbers.groups.to(device))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("texts", [1, 2, 30])
def test_a_batch_cut_on_a_device_is_that_of_the_collator(device, texts):
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED + texts)
    bags = random_bags(rng, texts)
    resident = ResidentBags(bags, torch.device(device))
    for size in (1, 5, 64):
        examples = rng.integers(0, texts, (size, 2)), rng.integers(0, 9, size)
        expected = DuplicateCollator(bags)(examples)
        cut = resident.batch(on(device, PairNumbersCollator(bags)(examples)))
        assert cut.size == expected.size and cut.groups.tolist() == expected.groups.tolist()
        distinct = len(expected.bags.rows)
        for name in ("ids", "offsets", "users"):
            assert torch.equal(getattr(cut.bags, name).cpu(), getattr(expected.bags, name)), name
        assert torch.equal(cut.bags.rows[:distinct].cpu(), expected.bags.rows)
        assert torch.equal(cut.bags.user_offsets[: distinct + 1].cpu(), expected.bags.user_offsets)
        assert set(cut.bags.user_offsets[distinct:].tolist()) <= {len(expected.bags.ids)}


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
            optimizer.step()
    torch.testing.assert_close(tables[1].cpu(), tables[0], rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
def test_a_module_learns_the_same_from_batches_that_are_cut_on_its_device(corpus, device):
    adagrad = partial(RowwiseAdagrad, lr=0.1, eps=1e-10, second_moment="row")
    tables = []
    for resident, where in ((False, "cpu"), (True, device)):
        torch.manual_seed(SEED)
        data = duplicates(corpus, resident=resident)
        module = dssm_module(data, adagrad)
        trainer(where, max_epochs=2).fit(module, data)
        tables.append(module.encoder.table.rows)
    np.testing.assert_allclose(tables[1], tables[0], rtol=0, atol=0 if device == "cpu" else 1e-4)
