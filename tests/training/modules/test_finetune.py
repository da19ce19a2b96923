"""Fine-tuning of a model of sentence-transformers: a tiny BERT with random weights."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from askagain.errors import InputError
from askagain.models.other_packages import SentenceTransformerEncoder
from askagain.training.callbacks.best_model import BestModel
from askagain.training.callbacks.hits_at_k import HitsAtK
from askagain.training.data.batches import TextPairBatch
from askagain.training.data.teacher import SentenceTransformerTeacher
from askagain.training.data.text_pairs import TextPairsDataModule
from askagain.training.losses.nt_xent import NTXentLoss, ReferenceNTXentLoss
from askagain.training.modules.finetune import FineTuning
from tests.training.conftest import SCHEDULE, duplicates
from tests.training.tiny_model import write_tiny_model

pytest.importorskip("sentence_transformers", reason="requirements-teacher.txt is not installed")


@pytest.fixture(scope="module")
def model(corpus, tmp_path_factory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "model", corpus.groups.texts)


def tuning(model, lr=1e-2, **settings):
    pl.seed_everything(0, verbose=False)
    learning = {"loss": NTXentLoss(0.05), "optimizer": partial(torch.optim.AdamW, lr=lr), "scheduler": SCHEDULE}
    return FineTuning.from_teacher(SentenceTransformerTeacher(str(model), batch_size=16), 64, **learning | settings)


def fit(module, data, folder, **settings):
    hits = HitsAtK([1, 10], prefix="sample")
    best = BestModel(str(folder), monitor="sample/mrr", mode="max")
    trainer = pl.Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        callbacks=[hits, best],
        **{"max_epochs": 2} | settings,
    )
    trainer.fit(module, datamodule=data)
    return trainer, hits, best


def test_the_loss_falls_and_the_folder_of_the_best_epoch_gives_the_vectors_of_the_model(corpus, model, tmp_path):
    module, data = tuning(model), TextPairsDataModule(corpus, batch_size=32)
    trainer, hits, best = fit(module, data, tmp_path)
    first, last = (epoch["losses"]["loss"] for epoch in hits.epochs[1:])
    assert last < 0.95 * first
    assert hits.latest["mrr"] > hits.start["mrr"] and best.best_epoch is not None
    assert {"val/loss", "sample/mrr", "sample/hits@10"} <= trainer.callback_metrics.keys()
    assert not any(name.startswith("val/hits") for name in trainer.callback_metrics)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    module.save(tmp_path / "last")
    texts = list(corpus.groups.texts[:20])
    again = SentenceTransformerEncoder(str(tmp_path / "last"), 16).encode(texts)
    np.testing.assert_allclose(again, module.encoder.encode(texts), atol=1e-6)
    start = SentenceTransformerEncoder(str(model), 16)
    assert np.abs(again - start.encode(texts)).max() > 0.01
    assert SentenceTransformerEncoder(str(tmp_path / "last"), 16).model.max_seq_length == start.model.max_seq_length


def test_the_same_seed_gives_the_same_weights(corpus, model, tmp_path):
    weights = []
    for _ in range(2):
        module = tuning(model)
        fit(module, TextPairsDataModule(corpus, batch_size=32), tmp_path, max_epochs=1, limit_train_batches=4)
        weights.append(torch.cat([one.detach().ravel() for one in module.model.parameters()]))
    assert torch.equal(*weights)
    start = tuning(model).model.parameters()
    assert not torch.equal(weights[0], torch.cat([one.detach().ravel() for one in start]))


def test_members_of_a_group_are_not_pushed_away_from_each_other(model):
    texts = ["how to mount a disk", "what is a monad", "mount disk", "mount a disk", "monads", "disk mount how"]
    module = tuning(model)
    module.model.eval()
    vectors = torch.from_numpy(module.encoder.encode(texts))
    losses = {}
    for groups in ([0, 1, 0], [0, 1, 2]):
        batch = TextPairBatch(texts, np.array(groups))
        expected = ReferenceNTXentLoss(0.05)(vectors[:3], vectors[3:], groups=torch.tensor(groups))
        losses[groups[2]] = float(module.batch_loss(batch))
        assert losses[groups[2]] == pytest.approx(float(expected), rel=1e-4)
    assert losses[0] < losses[2]


def test_no_more_is_read_of_a_text_to_train_on_than_asked_for(model):
    module = tuning(model)
    module.max_tokens = 5  # with those that begin and end a text
    module.model.eval()
    texts = ["mount a disk", "mount a disk monad usb"]
    losses = [module.batch_loss(TextPairBatch([text, "usb", "a", "disk"], np.array([0, 1]))) for text in texts]
    torch.testing.assert_close(*losses)
    assert not np.allclose(*module.encoder.encode(texts))


def test_ranking_leaves_dropout_as_it_was(model):
    module = tuning(model)
    for training in (True, False):
        module.model.train(training)
        module.encoder.encode(["mount disk"])
        assert module.model.training is training


def test_the_groups_held_out_are_those_of_the_dssm(corpus):
    own, others = TextPairsDataModule(corpus, seed=3), duplicates(corpus, seed=3)
    assert np.array_equal(own.split[1], others.split[1]) and len(own.split[1])
    pairs, groups = own.draw(own.split[0], 0)
    assert not set(groups.tolist()) & set(own.split[1].tolist())
    assert not np.array_equal(pairs, own.draw(own.split[0], 1)[0])


def test_a_row_of_the_sample_is_ranked_among_the_other_rows_texts_and_no_duplicates_of_its_own(corpus):
    data = TextPairsDataModule(corpus, sample_rows=10)
    sample, whole = data.ranking("validation"), corpus.ranking("validation")
    pairs = {tuple(whole.texts[text] for text in whole.rows.bag(row)[:2]) for row in range(len(whole.rows))}
    rows = [[sample.texts[text] for text in sample.rows.bag(row)] for row in range(len(sample.rows))]
    assert len(rows) == 10 and {tuple(row[:2]) for row in rows} <= pairs
    for row in rows:
        together = {text for other in rows if set(other[:2]) & set(row[:2]) for text in other[:2]}
        others = {text for other in rows for text in other[:2]}
        assert set(row[2:]) <= others - set(row[:2]) and others - together <= set(row[2:])


@pytest.mark.parametrize("damage", ["missing", "weights", "config"])
def test_a_model_that_cannot_be_loaded_is_one_line(model, tmp_path, damage):
    folder = tmp_path / "model"
    if damage != "missing":
        write_tiny_model(folder, ["mount a disk"])
        path = folder / ("model.safetensors" if damage == "weights" else "config.json")
        path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(InputError, match="sentence-transformers model") as refused:
        tuning(folder)
    assert "\n" not in str(refused.value) and str(folder) in str(refused.value)
