"""Training on a GPU beside training on the processor; skipped where there is none."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import distributed

from askagain.distributed.collectives import World
from askagain.distributed.launch import run_ranks
from askagain.distributed.strategy import backend
from askagain.training.callbacks.hits_at_k import HitsAtK
from askagain.training.losses.nt_xent import NTXentLoss
from askagain.training.modules.trigram_regressor import TrigramRegressor
from askagain.training.optim.rowwise_adagrad import RowwiseAdagrad
from tests.training import ranks_on_one_gpu
from tests.training.conftest import SCHEDULE, dssm_module, duplicates, known_words, trainer

pytestmark = [pytest.mark.cuda, pytest.mark.slow, pytest.mark.new_process]
ADAGRAD = partial(RowwiseAdagrad, lr=0.1, eps=1e-10, second_moment="row")
GIB = 2**30
SEEDS = 3


def trained(corpus, device, **settings):
    pl.seed_everything(0, verbose=False)
    data = duplicates(corpus)
    module = dssm_module(data, ADAGRAD)
    ranking = HitsAtK([1, 10])
    trainer(device, callbacks=[ranking], **settings).fit(module, data)
    return module.encoder.table.rows, ranking.latest["mrr"]


def test_a_step_in_float32_is_that_of_the_processor(corpus):
    tables = [trained(corpus, device, max_steps=1)[0] for device in ("cpu", "cuda")]
    np.testing.assert_allclose(tables[1], tables[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_training_ranks_as_well_as_on_the_processor(corpus, precision):
    on_cpu, on_gpu = (
        trained(corpus, device, max_epochs=5, precision=precision if device == "cuda" else "32-true")[1]
        for device in ("cpu", "cuda")
    )
    assert on_gpu == pytest.approx(on_cpu, abs=0.02)  # 40 rows


def test_a_step_of_the_trigram_regressor_is_that_of_the_processor(corpus, vectors):
    tables = []
    for device in ("cpu", "cuda"):
        pl.seed_everything(0, verbose=False)
        data = known_words(corpus, vectors)
        inputs = data.model_inputs() | {"init_std": 0.05, "optimizer": ADAGRAD, "scheduler": SCHEDULE}
        module = TrigramRegressor(**inputs)
        trainer(device, max_steps=1).fit(module, data)
        tables.append(next(module.parameters()).detach().cpu())
    torch.testing.assert_close(tables[1], tables[0], rtol=0, atol=1e-5)


class Strict(pl.Callback):
    """Makes whatever waits for the GPU an error from the end of the second step on, until the epoch ends."""

    def __init__(self):
        self.steps = 0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step >= 2:  # the first steps make the optimizer's state
            self.steps += 1
            torch.cuda.set_sync_debug_mode("default" if trainer.is_last_batch else "error")


def test_nothing_waits_for_the_gpu_within_a_step(corpus):
    data = duplicates(corpus, batch_size=32)
    module = dssm_module(data, ADAGRAD)
    settings = {"max_epochs": 1, "log_every_n_steps": 10**6, "limit_val_batches": 0}
    strict = Strict()
    try:
        trainer("cuda", callbacks=[strict], **settings).fit(module, data)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert strict.steps > 3


class SaveFirstEpoch(pl.Callback):
    """Writes a checkpoint after the first epoch."""

    def __init__(self, path):
        self.path = path

    def on_train_epoch_end(self, trainer, pl_module):
        if trainer.current_epoch == 0:
            trainer.save_checkpoint(self.path)


@pytest.mark.parametrize(("first", "then"), [("cuda", "cpu"), ("cpu", "cuda")])
def test_a_run_goes_on_on_the_other_device(corpus, tmp_path, first, then):
    checkpoint = tmp_path / "first.ckpt"
    tables = []
    for device, path in ((first, None), (then, checkpoint)):
        pl.seed_everything(0, verbose=False)
        data = duplicates(corpus)
        module = dssm_module(data, ADAGRAD)
        callbacks = [SaveFirstEpoch(checkpoint)] if path is None else []
        trainer(device, max_epochs=2, callbacks=callbacks).fit(module, data, ckpt_path=path, weights_only=True)
        tables.append(module.encoder.table.rows)
    np.testing.assert_allclose(tables[1], tables[0], rtol=0, atol=1e-4)


def test_a_batch_of_65536_pairs_takes_less_than_8_gib():
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    queries, positives = (torch.randn(65_536, 300, device="cuda", requires_grad=True) for _ in range(2))
    with torch.autocast("cuda", torch.bfloat16):
        NTXentLoss()(queries, positives, groups=torch.arange(65_536, device="cuda")).backward()
    assert torch.cuda.max_memory_allocated() - before < 8 * GIB and queries.grad.isfinite().all()


def test_one_rank_reduces_over_nccl():
    distributed.init_process_group(backend("cuda"), store=distributed.HashStore(), rank=0, world_size=1)
    try:
        tensor = torch.arange(4.0, device="cuda")
        world = World(rank=0, size=2)  # of several, so that it communicates
        assert world.all_reduce(tensor).tolist() == [0, 1, 2, 3]
        assert world.agrees_on(tensor.double())
    finally:
        distributed.destroy_process_group()


def test_two_ranks_on_one_gpu_share_a_loss_over_gloo():
    loss, gradient = run_ranks(2, ranks_on_one_gpu.work)
    alone, gradient_alone = ranks_on_one_gpu.loss_and_gradient("cpu", World())
    assert loss == pytest.approx(alone, abs=1e-5)
    np.testing.assert_allclose(gradient, gradient_alone, rtol=0, atol=1e-6)


def test_real_titles_are_ranked_as_well_as_on_the_processor(command, askubuntu, tmp_path):
    def mean_mrr(name, *device):
        sweep = tmp_path / name
        seeds = ",".join(map(str, range(SEEDS)))
        words = ("-m", "experiment=dssm", f"seed={seeds}", f"hydra.sweep.dir={sweep}", *device)
        quiet = ("report=false", "logger=none", "baselines=null", "baseline_preprocessors=[]")
        finished = command("train.py", *words, "data=tsv", f"data.dir={askubuntu}", *quiet)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        runs = [Path(sweep, str(seed), "metrics.json") for seed in range(SEEDS)]
        return np.mean([json.loads(run.read_text())["val/mrr"] for run in runs])

    on_cpu = mean_mrr("cpu", "trainer.accelerator=cpu", "trainer.precision=32-true")
    for precision in ("32-true", "bf16-mixed"):
        on_gpu = mean_mrr(precision, "trainer.accelerator=gpu", f"trainer.precision={precision}")
        print(f"mean MRR of {SEEDS} seeds: {on_cpu:.4f} on the processor, {on_gpu:.4f} on the GPU in {precision}")
        assert abs(on_gpu - on_cpu) <= 0.005


def test_auto_takes_the_gpu():
    from pytorch_lightning.accelerators import CUDAAccelerator

    assert isinstance(pl.Trainer(accelerator="auto", logger=False).accelerator, CUDAAccelerator)
