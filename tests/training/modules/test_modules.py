"""The two trained rungs through the Lightning trainer, on a small synthetic corpus."""

import math
from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, Checkpoint, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import lsqr
from torch.nn import functional

import askagain
from askagain.errors import InputError
from askagain.models.bag_encoder import BagEncoder
from askagain.models.folder import load_encoder, save_encoder
from askagain.ranking.metrics import compute_metrics
from askagain.ranking.ranks import rank_duplicates
from askagain.training.callbacks.best_checkpoint import START, BestCheckpoint
from askagain.training.callbacks.hits_at_k import HitsAtK
from askagain.training.checkpoint_io import AtomicCheckpointIO
from askagain.training.losses.matryoshka import MatryoshkaLoss
from askagain.training.losses.nt_xent import NTXentLoss, ReferenceNTXentLoss
from askagain.training.modules.trigram_regressor import TrigramRegressor
from askagain.training.optim.embedding_bag import TensorBags
from askagain.training.optim.rowwise_adagrad import RowwiseAdagrad
from askagain.training.optim.schedules import warmup_decay
from tests.training.conftest import SCHEDULE, dssm_module, duplicates, known_words

ADAM = partial(torch.optim.Adam, lr=0.01)


def dssm(data, optimizer=ADAM, loss=None, **settings):
    pl.seed_everything(0, verbose=False)
    return dssm_module(data, optimizer, loss, **settings)


def trainer(folder, epochs, *callbacks):
    return pl.Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        devices=1,
        max_epochs=epochs,
        callbacks=[*callbacks],
        logger=CSVLogger(folder, name="", version=""),
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        plugins=[AtomicCheckpointIO()],
        enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
    )


def kept(folder):
    return ModelCheckpoint(folder / "checkpoints", filename="last", save_on_train_epoch_end=True)


def test_the_dssm_ranks_better_after_training_and_the_best_epoch_is_kept(corpus, tmp_path):
    data = duplicates(corpus, batch_size=128)
    hits, best = HitsAtK([1, 10, 100], "expected"), BestCheckpoint(str(tmp_path), "val/mrr", "max")
    fit = trainer(tmp_path, 4, hits, best)
    fit.fit(dssm(data), datamodule=data)
    assert float(fit.callback_metrics["val/mrr"]) > hits.start["mrr"] + 0.1
    ranking = corpus.ranking("validation")
    vectors = askagain.load(tmp_path / "encoder").encode(ranking.texts)
    kept_mrr = compute_metrics(rank_duplicates(vectors, ranking.rows.ids, ranking.rows.offsets), [1])["mrr"]
    assert kept_mrr == pytest.approx(best.metrics["val/mrr"], abs=1e-6)


def test_the_callback_embeds_each_distinct_text_once_an_evaluation(corpus, tmp_path, monkeypatch):
    embedded = []
    embed = BagEncoder.embed
    monkeypatch.setattr(BagEncoder, "embed", lambda self, bags: embedded.append(len(bags)) or embed(self, bags))
    data = duplicates(corpus, batch_size=128)
    trainer(tmp_path, 2, HitsAtK([1, 10, 100], "expected")).fit(dssm(data), datamodule=data)
    validation, test = (len(corpus.ranking(split).texts) for split in ("validation", "test"))
    assert embedded == [validation, test, validation, validation]  # at the start, and after each of two epochs


def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(corpus, tmp_path):
    def fit(folder, epochs, resume=None):
        data = duplicates(corpus, batch_size=128)
        module = dssm(data)
        made = trainer(folder, epochs, HitsAtK([1, 10, 100], "expected"), kept(folder))
        # The schedule must know the whole run, also in the part that is interrupted.
        module._scheduler = lambda optimizer, total_steps: SCHEDULE(optimizer, total_steps=40)
        made.fit(module, datamodule=data, ckpt_path=resume, weights_only=True if resume else None)
        return torch.from_numpy(module.encoder.table.rows)

    whole = fit(tmp_path / "whole", 4)
    fit(tmp_path / "first half", 2)
    resumed = fit(tmp_path / "second half", 4, tmp_path / "first half" / "checkpoints" / "last.ckpt")
    assert torch.equal(whole, resumed)


@pytest.mark.parametrize("moved", [False, True], ids=["in place", "moved away"])
@pytest.mark.parametrize("into", ["first", "second"])
def test_a_resumed_run_goes_on_from_the_earlier_best_where_it_is_still_there(corpus, tmp_path, moved, into):
    def fit(folder, epochs, resume=None):
        data = duplicates(corpus)
        best = BestCheckpoint(str(folder), "val/mrr", "min")  # so that the start stays the best
        trainer(folder, epochs, HitsAtK([1], "expected"), best, kept(folder)).fit(
            dssm(data), datamodule=data, ckpt_path=resume, weights_only=True if resume else None
        )
        return best

    first = fit(tmp_path / "first", 2)
    if moved:
        (tmp_path / "first" / "encoder").rename(tmp_path / "elsewhere")
    second = fit(tmp_path / into, 3, tmp_path / "first" / "checkpoints" / "last.ckpt")
    assert first.best_epoch == START
    assert second.best_epoch == (2 if moved else START)
    texts = list(corpus.ranking("validation").texts)[:20]
    encoder, checkpoint = (askagain.load(tmp_path / into / path) for path in ("", "checkpoints/best.ckpt"))
    assert np.array_equal(encoder.encode(texts), checkpoint.encode(texts))


class LogsScores(pl.Callback):
    """Logs one given score after each epoch."""

    def __init__(self, *scores):
        self.scores = scores

    def on_train_epoch_end(self, trainer, pl_module):
        pl_module.log("val/score", self.scores[trainer.current_epoch])


@pytest.mark.parametrize(("mode", "worse"), [("max", 0.5), ("min", 2.0)])
def test_any_epoch_is_better_than_one_whose_score_is_not_a_number(corpus, tmp_path, mode, worse):
    scores, best = LogsScores(math.nan, 1.0, math.nan, worse), BestCheckpoint(str(tmp_path), "val/score", mode)
    trainer(tmp_path, 4, scores, best).fit(dssm(data := duplicates(corpus)), datamodule=data)
    assert best.best_epoch == 1 and best.metrics["val/score"] == best.best_model_score == 1.0
    assert torch.load(best.best_model_path, weights_only=True)["epoch"] == 1


def test_the_last_checkpoint_is_of_the_last_epoch_also_when_another_was_better(corpus, tmp_path):
    data = duplicates(corpus)
    scores, best = LogsScores(3.0, 2.0, 1.0), BestCheckpoint(str(tmp_path), "val/score", "max")
    trainer(tmp_path, 3, scores, best, kept(tmp_path)).fit(dssm(data), datamodule=data)
    epochs = {
        name: torch.load(tmp_path / "checkpoints" / f"{name}.ckpt", weights_only=True)["epoch"]
        for name in ("best", "last")
    }
    assert epochs == {"best": best.best_epoch, "last": 2} and best.best_epoch == 0


def test_a_checkpoint_of_other_data_or_another_model_is_refused(corpus, tmp_path):
    def resume(data, **settings):
        checkpoint = tmp_path / "checkpoints" / "last.ckpt"
        trainer(tmp_path / "second", 2).fit(
            dssm(data, **settings), datamodule=data, ckpt_path=checkpoint, weights_only=True
        )

    data = duplicates(corpus)
    trainer(tmp_path, 1, kept(tmp_path)).fit(dssm(data), datamodule=data)
    with pytest.raises(InputError, match="another model or other data"):
        resume(data, dim=16)
    other = duplicates(corpus)
    other.features.tokenizer.ngrams.reverse()
    with pytest.raises(InputError, match="trained on other words"):
        resume(other)


def test_a_diverged_encoder_is_not_ranked(corpus, tmp_path):
    data = duplicates(corpus)
    diverging = dssm(data, partial(torch.optim.Adam, lr=float("inf")))
    with pytest.raises(InputError, match=r"diverged in epoch 0: .*not finite.*lower optimizer.lr"):
        trainer(tmp_path, 2, HitsAtK([1], "expected")).fit(diverging, datamodule=data)


class Explode(Callback):
    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 2:
            with torch.no_grad():
                pl_module.trainable.bag.weight.mul_(1e30)


def test_training_that_diverges_later_ends_and_keeps_its_best_epoch(corpus, tmp_path, caplog):
    data = duplicates(corpus)
    best = BestCheckpoint(str(tmp_path), "val/mrr", "max")
    fit = trainer(tmp_path, 9, HitsAtK([1], "expected"), best, kept(tmp_path), Explode())
    fit.fit(dssm(data), datamodule=data)
    assert fit.current_epoch == 3 and best.best_epoch in (0, 1)
    assert math.isnan(fit.callback_metrics["val/mrr"]) and load_encoder(tmp_path).is_finite
    assert "training diverged in epoch 2" in caplog.text and "the best before it is kept" in caplog.text


def test_the_same_seed_gives_the_same_weights_and_another_one_others(corpus, tmp_path):
    def fit(seed):
        data = duplicates(corpus, batch_size=128, seed=seed)
        module = dssm(data)
        trainer(tmp_path / str(seed), 1).fit(module, datamodule=data)
        return torch.from_numpy(module.encoder.table.rows)

    first = fit(0)
    assert torch.equal(first, fit(0))
    assert not torch.equal(first, fit(1))


def test_masking_leaves_other_members_of_a_group_out(corpus):
    data = duplicates(corpus, pairs="all", batch_size=200, validation_fraction=0.0)
    batch = next(iter(data.train_dataloader()))
    assert len(set(batch.groups.tolist())) < len(batch.groups)
    losses = [NTXentLoss(mask_same_group=mask) for mask in (True, False)]
    masked, unmasked = (dssm(data, loss=loss).batch_loss(batch).item() for loss in losses)
    assert masked < unmasked


def test_a_matryoshka_loss_reaches_the_first_columns_of_the_vectors(corpus):
    data = duplicates(corpus, batch_size=64)
    batch = next(iter(data.train_dataloader()))
    module = dssm(data, loss=MatryoshkaLoss(NTXentLoss(), [16, 8, 99], weight=0.5))
    queries, positives = module.pool(batch.bags).split(batch.size)
    sides = [(queries[:, :dim], positives[:, :dim]) for dim in (32, 16, 8)]
    whole, *short = (NTXentLoss()(*side, groups=batch.groups).item() for side in sides)
    assert module.batch_loss(batch).item() == pytest.approx(whole + 0.5 * sum(short) / 2, rel=1e-5)


def test_the_reference_trains_the_same_encoder(corpus, tmp_path):
    tables = []
    for name, loss in (("fused", NTXentLoss()), ("reference", ReferenceNTXentLoss())):
        data = duplicates(corpus)
        module = dssm(data, ROW_WISE, loss)
        trainer(tmp_path / name, 2).fit(module, datamodule=data)
        tables.append(torch.from_numpy(module.encoder.table.rows))
    torch.testing.assert_close(*tables, rtol=0, atol=1e-4)


def test_a_temperature_that_is_learned_moves_and_the_loss_is_lower_for_it(corpus, tmp_path):
    data = duplicates(corpus, batch_size=64)
    losses = {}
    for learned in (False, True):
        module = dssm(data, loss=NTXentLoss(temperature=0.5, learn_temperature=learned))
        fit = trainer(tmp_path / str(learned), 4)
        fit.fit(module, datamodule=data)
        losses[learned] = fit.callback_metrics["train/loss_epoch"].item()
    assert 0.025 <= fit.callback_metrics["train/temperature"].item() < 0.5
    assert losses[True] < losses[False]


class LowerTemperature(pl.Callback):
    """Sets the temperature below its bound before every step, and notes what a checkpoint after the step would hold."""

    def __init__(self) -> None:
        self.noted: list[float] = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        with torch.no_grad():
            pl_module.loss.log_temperature.fill_(math.log(0.025) - 1e-3)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.noted.append(pl_module.loss.temperature.item())


def test_a_learned_temperature_is_kept_at_its_bound_and_is_trained_there_all_the_same(corpus, tmp_path):
    data = duplicates(corpus, batch_size=64)
    module = dssm(data, loss=NTXentLoss(temperature=0.025, learn_temperature=True))
    lowered = LowerTemperature()
    trainer(tmp_path, 1, lowered).fit(module, datamodule=data)
    assert len(lowered.noted) > 1 and min(lowered.noted) == pytest.approx(0.025)
    module.batch_loss(next(iter(data.train_dataloader()))).backward()
    assert module.loss.log_temperature.grad.item() != 0


def test_a_monitored_metric_that_is_not_logged_is_named(corpus, tmp_path):
    data = duplicates(corpus, batch_size=128)
    with pytest.raises(InputError, match=r"monitor=val/mmr.*val/mrr"):
        trainer(tmp_path, 1, HitsAtK([1, 10, 100], "expected"), BestCheckpoint(str(tmp_path), "val/mmr", "max")).fit(
            dssm(data), datamodule=data
        )


def test_smoothed_labels_reach_the_loss(corpus):
    data = duplicates(corpus, batch_size=64)
    batch = next(iter(data.train_dataloader()))
    module = dssm(data, loss=NTXentLoss(label_smoothing=0.2))
    queries, positives = module.pool(batch.bags).split(batch.size)
    expected = ReferenceNTXentLoss(label_smoothing=0.2)(queries, positives, groups=batch.groups)
    assert module.batch_loss(batch).item() == pytest.approx(expected.item(), rel=1e-6)
    assert module.batch_loss(batch).item() != pytest.approx(dssm(data).batch_loss(batch).item(), rel=1e-2)


@pytest.mark.parametrize("change", [lambda v: v, lambda v: v.half(), lambda v: v.T.contiguous().T])
@pytest.mark.parametrize("share", [1.0, 0.25])  # of a step with accumulated gradients
def test_the_trigram_regressor_has_the_loss_and_the_gradient_of_the_mean_squared_error(
    corpus, vectors, kernels, share, change
):
    data = known_words(corpus, vectors)
    learning = {"optimizer": partial(torch.optim.Adam, lr=0.03), "scheduler": SCHEDULE}
    module = TrigramRegressor(**data.model_inputs(), **learning, init_std=0.1)
    batch = next(iter(data.train_dataloader()))
    batch = batch._replace(vectors=change(batch.vectors))
    weight = module.bag.weight
    predicted = functional.embedding_bag(
        batch.ngrams.ids, weight, batch.ngrams.offsets, mode="sum", include_last_offset=True
    )
    expected = functional.mse_loss(predicted, batch.vectors.float())
    loss = module.batch_loss(batch)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    found, wanted = (torch.autograd.grad(share * value, weight)[0] for value in (loss, expected))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-7)


def test_the_trigram_regressor_comes_close_to_the_least_squares_optimum(corpus, vectors, tmp_path):
    data = known_words(corpus, vectors, words="all", validation_fraction=0.0, batch_size=32)
    inputs = data.model_inputs()
    module = TrigramRegressor(**inputs, optimizer=partial(torch.optim.Adam, lr=0.03), scheduler=SCHEDULE, init_std=0.0)
    trainer(tmp_path, 60, HitsAtK([1, 10, 100], "expected")).fit(module, datamodule=data)
    rows = np.repeat(np.arange(len(data.ngrams)), data.ngrams.lengths)
    design = csr_matrix((np.ones(len(rows)), (rows, data.ngrams.ids)))
    targets = vectors.table.astype(np.float64)
    solution = np.stack([lsqr(design, targets[:, i], atol=1e-12, btol=1e-12)[0] for i in range(vectors.dim)], axis=1)
    optimum = np.mean((design @ solution - targets) ** 2)
    found = np.mean((module.predict(vectors.words).numpy() - targets) ** 2)
    untrained = np.mean(targets**2)
    print(f"mean squared error: optimum {optimum:.5f}, found {found:.5f}, all zero {untrained:.5f}")
    assert optimum <= found < optimum + 0.02 * (untrained - optimum)


def test_the_cosine_of_held_out_words_is_that_of_their_predicted_vectors(corpus, vectors, tmp_path):
    data = known_words(corpus, vectors, words="all", validation_fraction=0.3, batch_size=16)
    learning = {"optimizer": partial(torch.optim.Adam, lr=0.03), "scheduler": SCHEDULE}
    module = TrigramRegressor(**data.model_inputs(), **learning, init_std=0.0)
    made = trainer(tmp_path, 3)
    made.fit(module, datamodule=data)
    rows = data.rows[data.split[1]]
    assert len(rows) > 16 and len(rows) % 16  # several batches, the last one smaller
    predicted = module.predict([vectors.words[row] for row in rows]).numpy()
    wanted = vectors.table[rows]
    lengths = np.maximum(np.linalg.norm(predicted, axis=1) * np.linalg.norm(wanted, axis=1), 1e-12)
    cosine = float(((predicted * wanted).sum(axis=1) / lengths).mean())
    assert cosine > 0.2
    assert float(made.callback_metrics["val/cosine"]) == pytest.approx(cosine, abs=1e-6)


def test_known_words_keep_their_vectors_and_unknown_words_get_predicted_ones(corpus, vectors, tmp_path):
    data = known_words(corpus, vectors, words="all", batch_size=32)
    module = TrigramRegressor(
        **data.model_inputs(), optimizer=partial(torch.optim.Adam, lr=0.03), scheduler=SCHEDULE, init_std=0.1
    )
    known, unknown = vectors.words[3], data.frequent_unknown_words(1)[0]
    found = module.encoder.encode([known, unknown, f"{known} {unknown}"])
    np.testing.assert_allclose(found[0], vectors.table[3], rtol=1e-6)
    np.testing.assert_allclose(found[1], module.predict([unknown])[0].numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[2], found[0] + found[1], rtol=1e-4, atol=1e-5)


WEIGHTED = ["idf", "learned"]
ROW_WISE = partial(RowwiseAdagrad, lr=0.05, eps=1e-10, second_moment="row")
OPTIMIZERS = {"row-wise": ROW_WISE, "adam": ADAM}


def folded(module):
    """The table with each row times its weight, from what is trained."""
    state = module.state_dict()
    names = [f"trainable.{name}_weights" for name in ("fixed", "learned")]
    (weights,) = [state[name] for name in names if name in state] or [torch.ones(1)]
    return state["trainable.bag.weight"] * weights[:, None]


@pytest.mark.parametrize("weights", WEIGHTED)
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_weights_are_multiplied_into_the_encoder_that_is_kept_and_into_that_of_a_checkpoint(
    corpus, tmp_path, weights, optimizer
):
    data = duplicates(corpus)
    module = dssm(data, feature_weights=weights, optimizer=optimizer)
    start = folded(module)
    callbacks = HitsAtK([1], "expected"), BestCheckpoint(str(tmp_path), "val/mrr", "max"), kept(tmp_path)
    fit = trainer(tmp_path, 3, *callbacks)
    fit.fit(module, datamodule=data)
    assert float(fit.callback_metrics["val/mrr"]) > callbacks[0].start["mrr"]
    assert not torch.equal(folded(module), start)
    assert np.array_equal(module.encoder.table.rows, folded(module))
    assert np.array_equal(askagain.load(tmp_path / "checkpoints" / "last.ckpt").table.rows, folded(module))
    texts = list(corpus.ranking("validation").texts)
    best, checkpoint = (askagain.load(tmp_path / path).encode(texts) for path in ("", "checkpoints/best.ckpt"))
    assert np.array_equal(best, checkpoint)
    names = sorted(path.name for path in (tmp_path / "encoder").iterdir())
    assert len(names) == 6 and {"checksums.json", "table.safetensors", "words.json"} < set(names)


def test_fixed_weights_stay_and_learned_ones_start_there_and_move(corpus, tmp_path):
    data = duplicates(corpus)
    idf = torch.from_numpy(data.idf())
    for weights in WEIGHTED:
        module = dssm(data, feature_weights=weights)
        assert torch.equal(module.trainable.row_weights.detach(), idf)
        trainer(tmp_path / weights, 1).fit(module, datamodule=data)
        assert torch.equal(module.trainable.row_weights.detach(), idf) == (weights == "idf")


def test_weights_change_what_is_ranked_first_and_no_weights_leave_the_table_as_it_is(corpus):
    data = duplicates(corpus)
    plain, weighted = dssm(data), dssm(data, feature_weights="idf")
    assert torch.equal(plain.trainable.bag.weight, weighted.trainable.bag.weight)
    assert plain.encoder.table.rows.ctypes.data == plain.trainable.bag.weight.data_ptr()
    texts = list(corpus.ranking("validation").texts)[:50]
    vectors = weighted.encoder.encode(texts)
    assert not np.allclose(vectors, plain.encoder.encode(texts), atol=1e-3)
    bags = TensorBags.of(weighted.encoder.tokenize(texts))
    expected = torch.nn.functional.normalize(weighted.pool(bags)).detach().numpy()
    np.testing.assert_allclose(vectors, expected, atol=1e-6)


def test_a_resumed_run_goes_on_with_its_weights_and_those_of_another_kind_are_refused(corpus, tmp_path):
    def fit(folder, epochs, resume=None, weights="learned"):
        data = duplicates(corpus)
        module = dssm(data, feature_weights=weights, optimizer=ROW_WISE)
        module._scheduler = lambda optimizer, total_steps: SCHEDULE(optimizer, total_steps=40)
        trainer(folder, epochs, kept(folder)).fit(
            module, datamodule=data, ckpt_path=resume, weights_only=True if resume else None
        )
        return folded(module)

    whole = fit(tmp_path / "whole", 3)
    fit(tmp_path / "first", 1)
    last = tmp_path / "first" / "checkpoints" / "last.ckpt"
    assert torch.equal(fit(tmp_path / "second", 3, last), whole)
    for other in ("none", "idf"):
        with pytest.raises(InputError, match="another model or other data"):
            fit(tmp_path / "other", 3, last, other)


def test_the_encoder_has_the_pooling_that_was_asked_for_and_ranks_the_same(corpus, tmp_path):
    data = duplicates(corpus)
    total, mean = (dssm(data, pooling=pooling).encoder for pooling in ("sum", "mean"))
    save_encoder(mean, tmp_path)
    assert askagain.load(tmp_path).pooling == "mean" and total.pooling == "sum"
    texts = list(corpus.ranking("validation").texts)[:50]
    np.testing.assert_allclose(askagain.load(tmp_path).encode(texts), total.encode(texts), atol=1e-6)


@pytest.mark.parametrize(("name", "value"), [("feature_weights", "tfidf"), ("pooling", "max")])
def test_unknown_weights_and_poolings_are_refused(corpus, name, value):
    with pytest.raises(InputError, match=f"^{name}={value}: not one of"):
        dssm(duplicates(corpus), **{name: value})


def test_the_schedule_warms_up_and_decays_to_zero():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    schedule = warmup_decay(optimizer, total_steps=10, warmup_share=0.2, decay="linear")
    rates = []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([1 / 3, 2 / 3, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8])
