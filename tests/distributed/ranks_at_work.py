"""What the ranks of test_collectives.py compute."""

from functools import partial
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch

from askagain.corpus.cache import Cache
from askagain.corpus.corpus import Corpus
from askagain.corpus.files import CorpusFiles
from askagain.distributed.collectives import World
from askagain.distributed.launch import cluster_environment, process_group
from askagain.distributed.strategy import ReplicatedStrategy
from askagain.text.ngrams import letter_ngrams
from askagain.text.preprocessor import TextPreprocessor
from askagain.training.callbacks.hits_at_k import HitsAtK
from askagain.training.callbacks.throughput import Throughput
from askagain.training.losses.nt_xent import NTXentLoss, ReferenceNTXentLoss
from askagain.training.modules.trigram_regressor import TrigramRegressor
from askagain.training.optim.rowwise_adagrad import RowwiseAdagrad
from askagain.vectors.word_vectors import WordVectors
from tests.training.conftest import SCHEDULE, dssm_module, duplicates, known_words

OPTIMIZERS = {
    "row": partial(RowwiseAdagrad, lr=0.05, eps=1e-10, second_moment="row"),
    "full": partial(RowwiseAdagrad, lr=0.05, eps=1e-10, second_moment="full"),
    "adam": partial(torch.optim.Adam, lr=0.003),
}
GLOBAL_BATCH = 64
EPOCHS = 8  # more than 50 steps
NEGATIVES = 5
ROUNDED_PAIRS = 200
PAIRS = (1, 2, 7, 64)  # of a batch: also fewer than ranks, and not to be dealt out evenly


def corpus_in(folder: Path) -> Corpus:
    return Corpus(CorpusFiles.locate(str(folder)), TextPreprocessor(), Cache(folder / "cache"), "error")


def losses(world: World) -> dict[str, torch.Tensor]:
    """NT-Xent and its gradient on random batches, shared by the ranks; and what the readable reference computes."""
    results = {}
    for pairs in PAIRS:
        for temperature in (0.1, 0.01):
            for gather in (True, False):
                loss = NTXentLoss(temperature, gather=gather)
                results |= loss_and_gradient(f"{pairs} pairs, {temperature}, {gather}", loss, pairs, 0, world)
        for gather in (True, False):
            for kind in (NTXentLoss, ReferenceNTXentLoss):
                loss = kind(0.2, learn_temperature=True, label_smoothing=0.2, gather=gather)
                name = f"{pairs} pairs and additions, {gather}"
                name = name if kind is NTXentLoss else f"reference, {name}"
                results |= loss_and_gradient(name, loss, pairs, NEGATIVES, world)
                results[f"{name}: of temperature"] = loss.log_temperature.grad
    return results | rounded(world)


def loss_and_gradient(name: str, loss: NTXentLoss, pairs: int, hard: int, world: World) -> dict[str, torch.Tensor]:
    """The loss of a random batch with `hard` hard negatives, and the gradient of all its vectors."""
    vectors, groups = random_batch(pairs, hard)
    queries, positives, negatives = vectors.split([pairs, pairs, hard])
    value = loss(queries, positives, negatives=negatives if hard else None, groups=groups, world=world)
    value.backward()
    return {f"{name}: loss": value.detach(), f"{name}: gradient": vectors.grad}


def random_batch(pairs: int, hard: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors, [2 pairs + hard, 12], and groups, [pairs + hard], the same on every rank."""
    torch.manual_seed(pairs)
    vectors = torch.randn(2 * pairs + hard, 12, requires_grad=True)
    return vectors, torch.randint(0, 5, (pairs + hard,))


def rounded(world: World) -> dict[str, torch.Tensor]:
    """Likewise with matrix products in bfloat16."""
    results = {}
    for hard in (0, 40):
        torch.manual_seed(hard)
        vectors = torch.randn(2 * ROUNDED_PAIRS + hard, 32, requires_grad=True)
        queries, positives, negatives = vectors.split([ROUNDED_PAIRS, ROUNDED_PAIRS, hard])
        with torch.autocast("cpu", torch.bfloat16):
            loss = NTXentLoss()(queries, positives, negatives=negatives if hard else None, world=world)
        loss.backward()
        name = f"rounded, {hard} negatives"
        results |= {f"{name}: loss": loss.detach(), f"{name}: gradient": vectors.grad}
    return results


def trained(module: pl.LightningModule, data: pl.LightningDataModule, size: int, folder: Path) -> dict:
    """The weights, losses and figures after some epochs."""
    trainer = pl.Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        devices=size,
        strategy=ReplicatedStrategy(cluster_environment=cluster_environment()) if size > 1 else "auto",
        max_epochs=EPOCHS,
        callbacks=[Throughput(), HitsAtK([1, 10], "expected")],
        logger=False,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        use_distributed_sampler=False,
    )
    trainer.fit(module, datamodule=data)
    figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
    validated, tested = (run(module, datamodule=data, verbose=False)[0] for run in (trainer.validate, trainer.test))
    return {
        "weights": torch.cat([weights.detach().flatten() for weights in module.parameters()]),
        "figures": figures,
        "after fit": validated | tested,
        "steps": trainer.global_step,
    }


def trainings(size: int, folder: Path) -> dict[str, dict]:
    corpus = corpus_in(folder)
    found = {}
    for name, optimizer in OPTIMIZERS.items():
        torch.manual_seed(0)
        data = duplicates(corpus, batch_size=GLOBAL_BATCH // size)
        module = dssm_module(data, optimizer, dim=16)
        found[f"dssm, {name}"] = trained(module, data, size, folder)
    for name in ("row", "adam"):
        torch.manual_seed(0)
        data = duplicates(corpus, batch_size=GLOBAL_BATCH // size)
        module = dssm_module(data, OPTIMIZERS[name], dim=16, feature_weights="learned")
        found[f"weighted dssm, {name}"] = trained(module, data, size, folder)
    words = sorted(corpus.ranking("validation").words(corpus.preprocessor).words)
    rng = np.random.default_rng(0)
    hidden: dict[str, np.ndarray] = {}
    table = np.stack([sum(hidden.setdefault(t, rng.standard_normal(8)) for t in letter_ngrams(word)) for word in words])
    vectors = WordVectors(words, table.astype(np.float32), "test vectors")
    for name, optimizer in OPTIMIZERS.items():
        torch.manual_seed(0)
        data = known_words(corpus, vectors, batch_size=GLOBAL_BATCH // size)
        module = TrigramRegressor(**data.model_inputs(), optimizer=optimizer, scheduler=SCHEDULE, init_std=0.0)
        found[f"trigram, {name}"] = trained(module, data, size, folder)
    return found


def work(size: int, folder: Path) -> None:
    """All that a rank computes, saved as `folder/rank-R.pt`."""
    torch.set_num_threads(1)
    with process_group("cpu"):
        world = World.current()
        shares = [world.shard(n) for n in range(10)]
        results: dict = {"losses": losses(world), "shares": [(share.start, share.stop) for share in shares]}
        halves = torch.rand(100, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        shifted = halves + world.rank
        results["agreement"] = [world.agrees_on(numbers) for numbers in (halves, shifted, halves * torch.nan)]
        results["whole"] = world.all_gather(np.arange(7)[world.shard(7)], 7).tolist()
        if size == 2:
            results["trainings"] = trainings(size, folder)
        torch.save(results, folder / f"rank-{world.rank}.pt")
