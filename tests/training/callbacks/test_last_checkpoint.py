import csv
import shutil

import pytest
import pytorch_lightning as pl
import torch

from askagain.training.callbacks.last_checkpoint import LastCheckpoint
from askagain.training.csv_logger import CsvLogger
from tests.training.callbacks.test_hard_negatives import DiesAt
from tests.training.conftest import duplicates
from tests.training.modules.test_modules import dssm


class Saves(pl.Callback):
    """Notes at which batch of which epoch each checkpoint was written."""

    def __init__(self):
        self.batches = []
        self.batch = 0

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.batch = batch_idx

    def on_save_checkpoint(self, trainer, pl_module, checkpoint):
        self.batches.append((trainer.current_epoch, self.batch))


def fit(corpus, folder, *callbacks, resume=None, last=None, **settings):
    module = dssm(data := duplicates(corpus, batch_size=64, validation_fraction=0.0))
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=2,
        callbacks=[last or LastCheckpoint(str(folder), every_n_steps=2), *callbacks],
        enable_progress_bar=False,
        enable_model_summary=False,
        accumulate_grad_batches=2,
        **{"logger": False} | settings,
    )
    trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True if resume else None)
    return module.trainable.bag.weight.detach(), len(data.train_dataloader())


def test_with_accumulated_gradients_it_saves_only_right_after_a_step_and_resumes_bit_for_bit(corpus, tmp_path):
    saves = Saves()
    whole, batches = fit(corpus, tmp_path / "whole", saves)
    expected, step = [], 0
    for epoch in (0, 1):
        for batch in range(batches):
            last, stepped = batch == batches - 1, batch % 2 == 1 or batch == batches - 1
            step += stepped
            if last or (stepped and step % 2 == 0):
                expected.append((epoch, batch))
    assert len(expected) > 4 and saves.batches == expected

    steps = step // 2  # of an epoch
    with pytest.raises(RuntimeError, match="as if it were killed"):
        fit(corpus, tmp_path / "part", DiesAt(steps + 4))
    last = tmp_path / "part" / "checkpoints" / "last.ckpt"
    assert torch.load(last, weights_only=True)["global_step"] > steps
    resumed, _ = fit(corpus, tmp_path / "part", resume=last)
    assert torch.equal(resumed, whole)


class Logged(pl.Callback):
    """Notes what was logged by the end."""

    def on_train_end(self, trainer, pl_module):
        self.metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}


def test_what_was_logged_before_a_run_was_stopped_within_an_epoch_is_logged_by_its_end(corpus, tmp_path):
    _, batches = fit(corpus, tmp_path / "steps")
    steps = -(-batches // 2)  # of an epoch
    often = {"log_every_n_steps": steps + 1}  # once, at the first step of the second epoch
    fit(corpus, tmp_path / "whole", whole := Logged(), **often)
    with pytest.raises(RuntimeError, match="as if it were killed"):
        fit(corpus, tmp_path / "part", DiesAt(2 * steps - 1), **often)
    last = tmp_path / "part" / "checkpoints" / "last.ckpt"
    assert torch.load(last, weights_only=True)["global_step"] > steps + 1
    fit(corpus, tmp_path / "part", resumed := Logged(), resume=last, **often)
    assert "train/loss" in whole.metrics and resumed.metrics == whole.metrics


class KeepsCopies(LastCheckpoint):
    """Copies the run's folder each time a checkpoint has been written, as a process killed then would leave it."""

    state_key = LastCheckpoint.__qualname__

    def _save(self, trainer):
        super()._save(trainer)
        run = self.checkpoint.parents[1]
        shutil.copytree(run, run.with_name(f"killed-{trainer.global_step}"))


def history(folder):
    with (folder / "metrics.csv").open() as file:
        return [(row["step"], [name for name in row if row[name]]) for row in csv.DictReader(file)]


def test_a_run_killed_after_any_checkpoint_has_each_row_of_its_history_once(corpus, tmp_path):
    run = tmp_path / "run"
    settings = {"log_every_n_steps": 1}
    fit(corpus, run, last=KeepsCopies(str(run), every_n_steps=4), logger=CsvLogger(str(run)), **settings)
    copies = list(tmp_path.glob("killed-*"))
    assert len(copies) > 2
    for copy in copies:
        last = copy / "checkpoints" / "last.ckpt"
        fit(corpus, copy, resume=last, logger=CsvLogger(str(copy)), **settings)
        assert history(copy) == history(run), copy
