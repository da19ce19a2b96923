"""train.py as a user types it."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import askagain
from tests.end_to_end.conftest import QUICK, column, history_of, metrics_of, refused, succeeded, wandb_records

ROOT = Path(__file__).resolve().parents[2]
# Fine-tuning leaves a model and no encoder, see test_finetune.py.
EXPERIMENTS = sorted({path.stem for path in (ROOT / "configs" / "experiment").glob("*.yaml")} - {"finetune"})
KS = (1, 5, 10, 100, 500, 1000)


@pytest.fixture(scope="module")
def vectors_file(tmp_path_factory, small) -> Path:
    """GloVe text with a vector for every third word of the small corpus' ranking set."""
    words = sorted(set((small / "validation.tsv").read_text().lower().split()))
    words = [word for word in words if word.isalpha()][::3]
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("vectors") / "small.txt"
    path.write_text("".join(f"{word} {' '.join(f'{x:.3f}' for x in rng.standard_normal(8))}\n" for word in words))
    return path


@pytest.mark.parametrize(
    "experiment", [pytest.param(name, marks=[pytest.mark.slow] if name == "distill" else []) for name in EXPERIMENTS]
)
def test_every_experiment_runs_and_leaves_figures_and_an_encoder(command, small, vectors_file, experiment, tmp_path):
    words = [f"experiment={experiment}", "data=tsv", f"data.dir={small}"]
    if experiment == "word_vectors":
        words.append("logger=csv")
    if experiment in ("word_vectors", "trigram"):
        words += ["vectors=file", f"vectors.path={vectors_file}"]
    if experiment != "word_vectors":
        words += ["trainer.max_epochs=1", "trainer.accelerator=cpu"]
    if experiment in ("base", "distill"):
        words += ["data.teacher_words=false", "data.made_texts=0"]  # minutes of a teacher's work otherwise
    run = succeeded(command("train.py", *words, ASKAGAIN_HOME=str(tmp_path / "home")))
    metrics = metrics_of(run)
    assert (tmp_path / "home" / "encoders" / "base").is_dir() == (experiment == "base")
    assert {f"val/hits@{k}" for k in KS} | {"val/mrr", "val/ties", "val/seconds"} <= set(metrics)
    assert "test/mrr" in metrics and metrics["data/validation_rows"] == 40
    assert (run / "metrics.csv").is_file()
    assert metrics["val/hits@1"] <= metrics["val/hits@10"] <= metrics["val/hits@100"] == 1.0  # 61 candidates
    assert askagain.load(run).encode(["how to mount a disk", ""]).shape[0] == 2


@pytest.mark.slow
def test_nothing_is_compiled_with_plain_kernels(command, small, tmp_path):
    words = ("experiment=dssm", "data=tsv", f"data.dir={small}", *QUICK, "kernels=plain")
    succeeded(command("train.py", *words, ASKAGAIN_CACHE=str(tmp_path / "cache")))
    assert list((tmp_path / "cache").glob("texts-*/")) and not (tmp_path / "cache" / "kernels").exists()


@pytest.mark.slow
def test_rung_2_tells_what_its_vectors_give_on_raw_and_on_preprocessed_text(command, small, vectors_file):
    words = ("experiment=trigram", "data=tsv", f"data.dir={small}", "vectors=file", f"vectors.path={vectors_file}")
    held_out = ("data.validation_fraction=0.2", "words=all", "trainer.max_epochs=2", "logger=csv")
    held_out += ("metric.name=val/cosine",)  # which the start does not have, so that an epoch is kept
    result = command("train.py", *words, *held_out)
    run = succeeded(result)
    metrics = metrics_of(run)
    assert column(run, "val/cosine")[int(metrics["train/best_epoch"])] == pytest.approx(metrics["val/cosine"], abs=1e-6)
    assert -1 < metrics["val/cosine"] < 1 and f"val/cosine {metrics['val/cosine']:.4f}" in result.stderr
    for name in ("mrr", "hits@10", "ties"):  # the trigrams' vectors are zero before training
        assert metrics[f"known_words/val/{name}"] == metrics[f"start/{name}"]

    same = ("data=tsv", f"data.dir={small}", "candidate_set=listed", "intervals.resamples=1")
    rung_1 = ("encoder=word_vectors", "vectors=file", f"vectors.path={vectors_file}", "preprocessor=none")
    raw = metrics_of(succeeded(command("evaluate.py", *same, *rung_1)))
    assert metrics["raw/known_words/val/mrr"] == pytest.approx(raw["val/mrr"], abs=1e-9)
    predicted = {metrics[f"{prefix}val/mrr"] for prefix in ("", "raw/", "known_words/", "raw/known_words/")}
    assert len(predicted) == 4 and "raw/known_words/test/mrr" in metrics


@pytest.mark.slow
def test_a_dssm_starts_from_an_earlier_one_on_each_of_two_devices_and_from_word_vectors(command, small, vectors_file):
    words = ("data=tsv", f"data.dir={small}", *QUICK, "logger=none")
    first = succeeded(command("train.py", *words, "name=first"))
    assert metrics_of(first)["data/started_rows"] == 0
    result = command(
        "train.py", *words, "start=encoder", f"start.path={first}", "seed=1", "name=second", "trainer.devices=2"
    )
    metrics = metrics_of(succeeded(result))
    assert metrics["start/mrr"] == pytest.approx(metrics_of(first)["val/mrr"], abs=1e-9)
    assert metrics["data/started_rows"] == metrics["data/known_words"] + metrics["data/known_ngrams"]
    assert re.search(r"started rows +[\d,]+\n", result.stdout)

    vectors = ("start=word_vectors", "vectors=file", f"vectors.path={vectors_file}")
    third = succeeded(command("train.py", *words, *vectors, "name=third"))
    assert 0 < metrics_of(third)["data/started_rows"] < metrics["data/known_words"]
    assert metrics_of(third)["start/mrr"] != metrics_of(first)["start/mrr"]


@pytest.mark.slow
def test_train_alone_trains_the_dssm_on_the_synthetic_sample_and_every_figure_reaches_every_logger(command):
    every_step = "trainer.log_every_n_steps=1"
    result = command(
        "train.py", "trainer.max_epochs=2", "model.dim=32", "logger=many", "tags=[first,second]", every_step
    )
    run = succeeded(result)
    metrics = metrics_of(run)
    assert "synthetic sample" in result.stdout
    assert metrics["val/mrr"] > metrics["start/mrr"] + 0.1
    assert metrics["test/mrr"] > metrics["start/mrr"] + 0.1
    for label in ("the start", "best epoch", "tfidf_letters"):
        assert label in result.stdout

    losses = column(run, "train/loss")
    batches = -(-metrics["data/pairs_an_epoch"] // 512)
    assert len(losses) == 2 * batches and losses[-1] < losses[0]
    assert len(column(run, "val/loss")) == 2
    assert column(run, "val/mrr")[0] == pytest.approx(metrics["start/mrr"])
    assert max(column(run, "val/mrr")) == pytest.approx(metrics["val/mrr"], abs=1e-6)  # of the epoch that was kept

    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    assert [event.value for event in events.Scalars("train/loss")] == pytest.approx(losses)
    assert [event.value for event in events.Scalars("val/loss")] == pytest.approx(column(run, "val/loss"))
    assert [event.value for event in events.Scalars("val/hits@10")] == pytest.approx(column(run, "val/hits@10"))

    records = list(wandb_records(run))
    history = [history_of(record) for record in records if record.WhichOneof("record_type") == "history"]
    assert [row["train/loss"] for row in history if "train/loss" in row] == pytest.approx(losses)
    assert [row["val/mrr"] for row in history if "val/mrr" in row] == pytest.approx(column(run, "val/mrr"))
    about = next(record.run for record in records if record.WhichOneof("record_type") == "run")
    assert about.display_name == "dssm" and list(about.tags) == ["first", "second"]
    config = {
        item.key: json.loads(item.value_json)
        for record in records
        if record.WhichOneof("record_type") == "config"
        for item in record.config.update
    }
    assert config["model"]["dim"] == 32 and config["data_counts"]["groups"] == metrics["data/groups"]
    summary = {
        "/".join(item.nested_key) or item.key: json.loads(item.value_json)
        for record in records
        if record.WhichOneof("record_type") == "summary"
        for item in record.summary.update
    }
    assert summary["best/val/mrr"] == pytest.approx(metrics["val/mrr"])


@pytest.mark.slow
def test_a_two_value_multirun_leaves_a_folder_a_run_and_ranks_them(command, small, tmp_path):
    words = ("experiment=dssm", "data=tsv", f"data.dir={small}", *QUICK, "logger=csv")
    result = command("train.py", "-m", *words, "loss.temperature=0.05,0.5", "seed=1")
    last = succeeded(result)
    (sweep,) = (tmp_path / "runs" / "sweeps").iterdir()
    runs = [sweep / "0", sweep / "1"]
    assert last == runs[1]
    temperatures = [yaml.safe_load((run / ".hydra" / "config.yaml").read_text())["loss"]["temperature"] for run in runs]
    assert temperatures == [0.05, 0.5]
    assert metrics_of(runs[0])["train/loss"] != metrics_of(runs[1])["train/loss"]
    assert metrics_of(runs[0])["start/mrr"] == metrics_of(runs[1])["start/mrr"]  # the same first weights
    mrr = [f"{metrics_of(run)['val/mrr']:.4f}" for run in runs]
    compared = result.stderr[result.stderr.index("Runs of the sweep, best first") :]
    assert compared.index(max(mrr)) < compared.index(min(mrr)) and "loss.temperature=0.05" in compared


@pytest.mark.slow
def test_a_bad_run_does_not_end_a_sweep(command, small, tmp_path):
    words = ("experiment=dssm", "data=tsv", f"data.dir={small}", *QUICK, "logger=none")
    result = command("train.py", "-m", *words, "loss.temperature=0.1,0,0.2")
    assert result.returncode == 2 and "loss.temperature=0: must be at least" in result.stderr
    (sweep,) = (tmp_path / "runs" / "sweeps").iterdir()
    assert [(sweep / number / "metrics.json").is_file() for number in "012"] == [True, False, True]
    assert "failed" in result.stderr


@pytest.mark.slow
def test_epochs_can_be_chosen_by_the_validation_loss(command, small):
    words = ("metric.name=val/loss", "metric.mode=min", "optimizer.lr=0.5", "trainer.max_epochs=4")
    run = succeeded(command("train.py", "data=tsv", f"data.dir={small}", *QUICK, *words, "logger=csv"))
    losses = column(run, "val/loss")
    assert metrics_of(run)["val/loss"] == pytest.approx(min(losses), rel=1e-6)
    assert metrics_of(run)["train/best_epoch"] == losses.index(min(losses))


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_stopped_says_how_to_go_on(small, tmp_path, cache_folder, sent, status):
    run = tmp_path / "run"
    words = ("data=tsv", f"data.dir={small}", *QUICK, "trainer.max_epochs=100000", f"hydra.run.dir={run}")
    with subprocess.Popen(
        [sys.executable, "train.py", *words],
        cwd=ROOT,
        env=os.environ | {"ASKAGAIN_CACHE": str(cache_folder)},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # ignored in a background
    ) as process:
        assert process.stderr is not None
        printed = ""
        for line in process.stderr:
            printed += line
            if "epoch 2:" in line:
                process.send_signal(sent)
                break
        printed += process.stderr.read()
        assert process.wait(timeout=60) == status, printed
    assert f"ckpt_path={run}" in printed.replace(str(run.resolve()), str(run))
    assert not (run / "metrics.json").exists()
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] >= 1


@pytest.mark.slow
def test_train_returns_the_chosen_metric():
    """What a sweeper sees: the value of `metric.name`."""
    from hydra import compose, initialize_config_dir
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import open_dict

    from askagain.apps.train import train

    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        words = ["trainer.max_epochs=1", "model.dim=8", "metric.name=val/hits@10", "logger=csv", "data.sample.seed=5"]
        cfg = compose("train", [*words, "trainer.accelerator=cpu"], return_hydra_config=True)
    run = Path(cfg.paths.cache_dir).resolve() / "returned"
    with open_dict(cfg):
        cfg.paths.run_dir = str(run)
        cfg.hydra.runtime.output_dir = str(run)
    HydraConfig.instance().set_config(cfg)
    with open_dict(cfg):
        del cfg["hydra"]
    assert train(cfg) == metrics_of(run)["val/hits@10"]


@pytest.mark.slow
@pytest.mark.parametrize("limit", ["null", "3"], ids=["whole epochs", "epochs cut short"])
def test_resuming_goes_on_where_the_run_stopped(command, small, limit):
    words = (
        f"trainer.limit_train_batches={limit}",
        "trainer.log_every_n_steps=1",
        "experiment=dssm",
        "data=tsv",
        f"data.dir={small}",
        "model.dim=16",
        "data.batch_size=64",
        "scheduler=constant",
    )
    whole = succeeded(command("train.py", *words, "trainer.max_epochs=3", "name=whole"))
    first = succeeded(command("train.py", *words, "trainer.max_epochs=2", "name=first"))
    second = succeeded(command("train.py", *words, "trainer.max_epochs=3", f"ckpt_path={first}", "name=second"))
    assert metrics_of(second)["train/epochs"] == 3
    assert metrics_of(second)["start/mrr"] == pytest.approx(column(first, "val/mrr")[-1], abs=1e-6)
    assert column(first, "train/loss") + column(second, "train/loss") == column(whole, "train/loss")
    assert metrics_of(second)["val/mrr"] == metrics_of(whole)["val/mrr"]
    assert (first / "checkpoints" / "best.ckpt").is_file() and (second / "checkpoints" / "last.ckpt").is_file()


@pytest.mark.slow
def test_a_folder_that_is_used_again_ranks_the_encoder_of_its_own_run(command, small, tmp_path):
    words = ("data=tsv", f"data.dir={small}", *QUICK, "logger=none", f"hydra.run.dir={tmp_path / 'run'}")
    by_loss = ("metric.name=val/loss", "metric.mode=min")  # which the start does not have, so that an epoch is kept
    trained = metrics_of(succeeded(command("train.py", *words, "optimizer.lr=0.5", *by_loss)))
    assert trained["val/mrr"] != trained["start/mrr"]
    again = command("train.py", *words, "trainer.max_epochs=0")
    untrained = metrics_of(succeeded(again))
    assert untrained["val/mrr"] == untrained["start/mrr"] == trained["start/mrr"]
    assert "\nuntrained " in again.stdout
    last = command("train.py", *words, "callbacks.best_checkpoint=null", "optimizer.lr=0.5", "seed=1")
    assert metrics_of(succeeded(last))["val/mrr"] not in (trained["val/mrr"], untrained["val/mrr"])
    assert "\ntrained " in last.stdout


@pytest.mark.slow
def test_a_profiler_that_is_asked_for_measures(command, small, tmp_path):
    settings = f"_target_: pytorch_lightning.profilers.SimpleProfiler, dirpath: {tmp_path}, filename: times"
    words = ("data=tsv", f"data.dir={small}", *QUICK, "logger=none")
    succeeded(command("train.py", *words, f"trainer.profiler={{{settings}}}"))
    assert "run_training_batch" in (tmp_path / "fit-times.txt").read_text()


@pytest.mark.slow
def test_early_stopping_ends_a_run_that_gets_no_better(command, small):
    run = succeeded(
        command(
            *("train.py", "data=tsv", f"data.dir={small}", "callbacks=early_stopping", "trainer.max_epochs=30"),
            *("optimizer.lr=1e-12", "model.dim=16", "callbacks.early_stopping.patience=1", "logger=csv"),
        )
    )
    assert metrics_of(run)["train/epochs"] <= 4


@pytest.mark.slow
def test_gzip_files_a_byte_order_mark_and_single_paths_are_read(command, small, tmp_path):
    import gzip

    folder = tmp_path / "gz"
    folder.mkdir()
    crlf = (small / "train.tsv").read_bytes().replace(b"\n", b"\r\n")
    (folder / "train.tsv.gz").write_bytes(gzip.compress(b"\xef\xbb\xbf" + crlf))
    words = ("experiment=dssm", "data=tsv", *QUICK, "logger=csv", "data.count_unlabelled=false")
    plain = succeeded(command("train.py", *words, f"data.dir={small}", "name=plain"))
    packed = succeeded(
        command(
            *("train.py", *words, f"data.dir={folder}", f"data.validation_path={small / 'validation.tsv'}"),
            f"data.test_path={small / 'test.tsv'}",
        )
    )
    for name in ("val/mrr", "test/mrr", "data/texts"):
        assert metrics_of(packed)[name] == metrics_of(plain)[name]
    assert metrics_of(plain)["data/unlabelled_texts"] == 2


@pytest.mark.new_process
@pytest.mark.parametrize("script", ["train.py", "evaluate.py"])
@pytest.mark.parametrize("words", [("--help",), ("--cfg", "job")])
def test_help_and_cfg_answer_without_importing_anything_heavy(command, script, words, tmp_path):
    probe = tmp_path / "probe.py"
    probe.write_text(
        "import runpy, sys\n"
        f"sys.argv = [{script!r}, *{words!r}]\n"
        "try:\n"
        f"    runpy.run_path({str(ROOT / script)!r}, run_name='__main__')\n"
        "except SystemExit:\n"
        "    pass\n"
        "heavy = {'torch', 'pytorch_lightning', 'gensim', 'sklearn', 'wandb', 'nltk', 'numpy'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy))\n"
    )
    result = command(str(probe), cwd=ROOT)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "heavy: []"
    assert "val/mrr" in result.stdout or "encoder" in result.stdout


@pytest.mark.slow
def test_two_devices_train_together_and_leave_one_run(command, small, tmp_path):
    words = ("experiment=dssm", "data=tsv", f"data.dir={small}", *QUICK, "logger=csv", "trainer.devices=2")
    words += ("trainer.log_every_n_steps=1",)
    result = command("train.py", *words)
    run = succeeded(result)
    assert result.stdout.count("metrics: ") == result.stdout.count("data: ") == 1
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [run.name]
    metrics = metrics_of(run)
    assert len(column(run, "train/loss")) == metrics["data/pairs_an_epoch"] // 128 + 1
    assert metrics["val/mrr"] == pytest.approx(column(run, "val/mrr")[-1], abs=1e-6)


@pytest.mark.slow
def test_a_loss_of_ones_own_is_one_class_and_one_config(command, small, tmp_path):
    (tmp_path / "loss").mkdir()
    config = "_target_: tests.end_to_end.cosine_loss.CosineLoss\nenough: 0.9\n"
    (tmp_path / "loss" / "cosine.yaml").write_text(config)
    words = ("data=tsv", f"data.dir={small}", *QUICK, "logger=none", "loss=cosine", "loss.enough=0.95")
    searched = f"hydra.searchpath=[file://{tmp_path}]"
    run = succeeded(command("train.py", *words, searched, PYTHONPATH=os.pathsep.join([str(ROOT), str(ROOT / "src")])))
    assert 0 < metrics_of(run)["train/loss_epoch"] < 0.95
    assert askagain.load(run / "checkpoints" / "last.ckpt").dim == 16


def test_validation_rows_can_be_drawn_from_groups(command, small, tmp_path):
    lines = (small / "train.tsv").read_text().splitlines(keepends=True)
    (tmp_path / "train.tsv").write_text("".join(lines[50:]))
    (tmp_path / "held_out.tsv").write_text("".join(lines[:50]))
    words = ("train.py", "experiment=dssm", "data=tsv", f"data.dir={tmp_path}", *QUICK)
    result = command(*words, f"data.validation_groups={tmp_path / 'held_out.tsv'}", "data.validation_candidates=40")
    run = succeeded(result)
    assert f"dssm on rows drawn from {tmp_path / 'held_out.tsv'}" in result.stdout
    ranked = json.loads((run / "metrics.json").read_text())
    assert 0 < ranked["val/mrr"] <= 1
    refusal = command(*words, f"data.validation_groups={tmp_path / 'train.tsv'}")
    assert "rows are trained on" in refused(refusal)
