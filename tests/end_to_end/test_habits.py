"""What people type by habit, from other templates and from Lightning, each through the command."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import askagain
from askagain.apps.command_line import CONFIGS
from askagain.models.bag_encoder import BagEncoder
from askagain.text.features import Features
from askagain.text.ngrams import NgramTokenizer
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.vocabulary import WordVocabulary
from tests.conftest import ROOT
from tests.end_to_end.conftest import QUICK, column, metrics_of, refused, succeeded

pytestmark = pytest.mark.slow
OWN = "tests.end_to_end.own_parts"


@pytest.fixture
def train(command, small):
    """Trains on a small corpus for an epoch; the words come last."""
    return lambda *words, **settings: command("train.py", "data=tsv", f"data.dir={small}", *QUICK, *words, **settings)


def test_a_fast_dev_run_trains_a_batch_and_leaves_no_checkpoint(train):
    run = succeeded(train("debug=fdr", "hydra/job_logging=disabled"))
    assert metrics_of(run)["train/epochs"] == 1 and not (run / "metrics.csv").exists()
    assert not (run / "checkpoints").exists() and run.name.endswith("_debug")


def test_a_limited_run_has_few_batches(train):
    run = succeeded(train("debug=limit", "data.batch_size=16", "trainer.log_every_n_steps=1"))
    assert len(column(run, "train/loss")) == 10  # QUICK asks for a single epoch


def test_overfitting_goes_over_the_same_batches_until_they_are_learned(train):
    run = succeeded(train("debug=overfit", "trainer.max_epochs=15", "trainer.log_every_n_steps=1"))
    losses = column(run, "train/loss")
    assert len(losses) == 15 * 3 and losses[-1] < losses[0] / 3
    other = succeeded(train("+trainer.overfit_batches=1", "trainer.max_epochs=2", "optimizer.lr=0", "name=one_batch"))
    first, second = column(other, "train/loss_epoch")
    assert first == pytest.approx(second, abs=1e-6)


def test_a_profiler_shows_its_report(train):
    result = train("debug=profiler")
    assert succeeded(result) and "run_training_batch" in result.stdout


def test_debug_stops_at_the_first_nan(train):
    result = train("debug=default", "optimizer=adam", "optimizer.eps=0", "trainer.max_epochs=2")
    assert result.returncode != 0 and "nan" in result.stderr.lower()


@pytest.mark.parametrize(
    ("trainer", "expected"),
    [
        ("cpu", {"accelerator": "cpu", "devices": 1}),
        ("gpu", {"accelerator": "gpu", "devices": 1}),
        ("ddp", {"accelerator": "gpu", "devices": "auto", "strategy": "ddp"}),
        ("ddp_sim", {"accelerator": "cpu", "devices": 2, "strategy": "ddp_spawn"}),
        ("mps", {"accelerator": "mps", "devices": 1}),
    ],
)
@pytest.mark.parametrize("experiment", ["dssm", "trigram", "distill"])
def test_a_trainer_is_chosen_for_every_experiment_that_trains(trainer, expected, experiment):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("train", [f"experiment={experiment}", f"trainer={trainer}"])
    chosen = OmegaConf.to_container(config.trainer, resolve=False)
    epochs = chosen["max_epochs"]  # the experiment's
    assert expected.items() <= chosen.items() and (epochs > 1 if experiment == "trigram" else epochs == "auto")


def test_ddp_sim_trains_two_ranks_on_the_processor(command, small):
    words = ("data=tsv", f"data.dir={small}", "trainer=ddp_sim", "trainer.max_epochs=1", "model.dim=16", "logger=csv")
    run = succeeded(command("train.py", *words))
    assert "train/bytes_crossed_per_step" in metrics_of(run)


@pytest.mark.skipif(sys.platform == "darwin", reason="has a GPU of that kind")
def test_a_gpu_that_is_not_here_is_one_line(command):
    assert "trainer: " in refused(command("train.py", "trainer=mps"))


def test_without_callbacks_the_last_epoch_is_kept_and_ranked(train):
    run = succeeded(train("callbacks=none"))
    metrics = metrics_of(run)
    assert "val/mrr" in metrics and "train/best_epoch" not in metrics and not (run / "checkpoints").exists()
    assert askagain.load(run).dim == 16


@pytest.mark.parametrize(("callbacks", "shown"), [("model_summary", "TrainableEncoder"), ("rich_progress_bar", "")])
def test_callbacks_of_lightning_are_chosen_by_name(train, callbacks, shown):
    result = train(f"callbacks={callbacks}")
    assert succeeded(result) and shown in result.stdout


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="mlflow is not installed")
def test_mlflow_has_the_config_and_the_metrics(train, tmp_path):
    from mlflow.tracking import MlflowClient

    words = Features("words", WordVocabulary(["how"]), NgramTokenizer())
    BagEncoder(TextPreprocessor(), words, np.ones((1, 16), dtype=np.float32)).save(tmp_path / "start")
    from_start = ("start=encoder", f"start.path={tmp_path / 'start'}")  # an absolute path is noted in the provenance
    run = succeeded(train("logger=mlflow", "trainer.max_epochs=2", "tags=[first]", *from_start))
    client = MlflowClient(f"sqlite:///{tmp_path / 'runs' / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'askagain'")
    (logged,) = client.search_runs([experiment.experiment_id])
    assert logged.info.run_name == "dssm" and logged.data.params["model/dim"] == "16"
    history = [metric.value for metric in client.get_metric_history(logged.info.run_id, "val/mrr")]
    assert len(history) == 3 and max(history) == pytest.approx(metrics_of(run)["val/mrr"], abs=1e-6)


def test_the_config_is_printed_as_a_tree_and_kept(train):
    shown = train("print_config=true")
    kept = (succeeded(shown) / "config_tree.txt").read_text()
    assert "max_epochs: 1" in kept and "├── " in kept and "max_epochs: 1" in shown.stdout
    assert "├── " not in train("print_config=false").stdout


def test_the_test_set_can_be_left_alone_and_the_metric_of_a_sweep_chosen(train, small, tmp_path):
    run = succeeded(train("test=false"))
    assert not any(name.startswith("test/") for name in metrics_of(run))
    assert any(name.startswith("test/") for name in metrics_of(succeeded(train("name=with_test"))))
    line = refused(train("optimized_metric=test/mrr", "test=false"))
    assert "optimized_metric=test/mrr: no such metric; there are" in line


def test_validation_every_second_epoch_ranks_every_second_epoch(train):
    result = train("trainer.check_val_every_n_epoch=2", "trainer.max_epochs=5", "callbacks=early_stopping")
    run = succeeded(result)
    assert len(column(run, "val/mrr")) == 1 + 2 and len(column(run, "val/loss")) == 2
    assert metrics_of(run)["train/best_epoch"] in (1, 3)
    assert re.findall(r"epoch (\d): ", result.stderr) == ["1", "3"]


def test_a_metric_of_ones_own_is_in_every_table_and_chooses_epochs(train, command, small):
    own = f"+metrics.is_first={{_target_: {OWN}.is_first, _partial_: true}}"
    result = train(own, "metric.name=val/is_first", "trainer.max_epochs=2")
    run = succeeded(result)
    assert max(column(run, "val/is_first")) == pytest.approx(metrics_of(run)["val/is_first"], abs=1e-6)
    assert "is_first" in result.stdout and "is_first on 40 test rows" in result.stdout
    again = succeeded(command("evaluate.py", f"encoder.path={run}", "data=tsv", f"data.dir={small}", own))
    metrics = metrics_of(again)
    assert metrics["val/is_first_low"] <= metrics["val/is_first"] <= metrics["val/is_first_high"]
    assert metrics["val/is_first"] == metrics_of(run)["val/is_first"]
    line = refused(train(f"+metrics.short={{_target_: {OWN}.too_short, _partial_: true}}"))
    assert "metrics.short: gives (1,); a number for each query, (40,), is needed" in line


def test_a_word_splitter_of_ones_own_is_saved_by_name_and_not_imported_by_a_saved_encoder(train, command, small):
    run = succeeded(
        train(f"preprocessor.split={{_target_: {OWN}.CamelCase, shortest: 2}}", "preprocessor.lowercase=false")
    )
    words = ("evaluate.py", f"encoder.path={run}", "data=tsv", f"data.dir={small}")
    same = metrics_of(succeeded(command(*words, f"imports=[{OWN}]")))
    assert same["val/mrr"] == metrics_of(run)["val/mrr"]
    assert f"words are split by {OWN}.CamelCase, which was not imported; type imports=[{OWN}]" in refused(
        command(*words)
    )


def test_a_sweep_leaves_a_table_that_names_the_best_run_and_the_command_that_repeats_it(train, tmp_path):
    result = train("-m", "optimizer.lr=0.0500001234,0.0000001", "logger=none", "optimized_metric=val/hits@10")
    assert result.returncode == 0, result.stderr
    (table,) = (tmp_path / "runs" / "sweeps").glob("*/comparison.md")
    lines = table.read_text().splitlines()
    assert lines[0] == "| run | val/hits@10 | with |" and lines[2].endswith("| optimizer.lr=0.05 |")
    assert f"best: {table.parent / '0'}" in lines and f"table: {table}" in result.stderr
    (again,) = [line for line in lines if line.startswith("again: python train.py ")]
    assert "optimizer.lr=0.0500001234" in again and "logger=none" in again and again in result.stderr


def test_tensorboard_compares_runs_by_the_chosen_metric_and_no_chart_has_a_single_dot(train):
    run = succeeded(train("trainer.max_epochs=2", "trainer.log_every_n_steps=1", "logger=tensorboard"))
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"histograms": 0})
    events.Reload()
    tags = events.Tags()
    assert all(len(events.Scalars(tag)) > 1 for tag in tags["scalars"])
    metrics = metrics_of(run)
    assert events.Scalars("hp_metric")[-1].value == pytest.approx(metrics["val/mrr"])
    assert "norms/table" in tags["histograms"] and len(events.Histograms("norms/table")) == 2
    texts = {tag.partition("/")[0] for tag in tags["tensors"]}
    assert {"worst_ranked", "results"} <= texts
    assert any("hparams" in tag for tag in events.summary_metadata)


def test_settings_of_the_machine_are_read_from_a_file(tmp_path):
    for name in ("train.py", "configs"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, tmp_path / name)
    (tmp_path / "src").symlink_to(ROOT / "src")
    (tmp_path / ".env").write_text((ROOT / ".env.example").read_text().replace("RUNS=runs", "RUNS=elsewhere"))
    resolved = subprocess.run(
        [sys.executable, "train.py", "--cfg", "job", "--resolve", "--package", "paths"],
        cwd=tmp_path,
        env={"PATH": "", "PYTHONPATH": str(tmp_path / "src"), "ASKAGAIN_CACHE": "mine"},
        capture_output=True,
        text=True,
    )
    assert "runs_dir: elsewhere" in resolved.stdout and "cache_dir: mine" in resolved.stdout, resolved.stderr


ON_TEST = r"on 40 test rows: [\d.]+, 95 % interval [\d.]+ to [\d.]+\n"
VERDICTS = {
    "better": ((), rf"mrr {ON_TEST}(?s:.*)  clearly better than .*the start\n"),
    "a loss that decides": (  # the validation rows chose nothing
        ("metric.name=val/loss", "metric.mode=min"),
        rf" 0\.\d{{4}}\ndssm on .*40 test rows\n(?s:.*)mrr {ON_TEST}(?s:.*)  clearly better than .*the start\n",
    ),
    "a rank that decides": (
        ("metric.name=val/mean_rank", "metric.mode=min"),
        rf"mean_rank {ON_TEST}(?s:.*)  clearly better than .*the start\n",
    ),
    "no better": (
        ("optimizer.lr=0",),
        r"the start \(kept\) +all_words (?s:.*)training did not beat its start, so that the start was kept: try more ",
    ),
    "few steps": (("data.batch_size=512",), r"steps an epoch are few; try data\.batch_size=\d+ or more epochs\n"),
    "questions without words": (
        ("preprocessor=standard", "features=words", "features.max_words=5"),
        r"[1-9]\d* of 40 test questions have no known feature, (?s:.*)try\s+preprocessor=all_words,\s+features=",
    ),
    "chosen": (
        (),
        r"rows chose the epoch, so that its figures on them are slightly optimistic\ndssm on .*40 test rows\n",
    ),
    "no test": (("test=false",), r"chose the epoch: only a test\.tsv would give (?s:.*)mrr on 40 validation rows: "),
    "baselines": (
        (),
        r"bm25 +standard +(0\.\d{4} +){3}0\.\d{4}-[01]\.\d{4} +[+-]0\.\d{4} +(< 0\.001|[\d.]+) +0\.\d{4}\n",
    ),
    "another text": (("preprocessor=none",), r"bm25 +none .*\nbm25 +(standard|all_words) (?s:.*)other texts than the "),
    "changed text": (("preprocessor.min_word_length=2",), r"best epoch \(\d\) +custom "),
}


@pytest.mark.parametrize(("words", "said"), VERDICTS.values(), ids=VERDICTS)
def test_the_last_lines_say_what_came_of_it(train, words, said):
    result = train(*words, "trainer.max_epochs=3", "logger=none")
    succeeded(result)
    assert re.search(said, result.stdout), result.stdout


def test_baselines_can_be_switched_off_alone_and_together(train):
    words = ("logger=none", "test=false")
    alone, together = train(*words, "baselines.bm25=null"), train(*words, "baselines=null")
    assert succeeded(alone) and succeeded(together)
    assert "bm25" not in alone.stdout and "\ntfidf_letters " in alone.stdout
    assert "tfidf_letters" not in together.stdout and "\nthe start " in together.stdout
    line = refused(train("baseline_preprocessors=[nosuch]"))
    assert "baseline_preprocessors=['nosuch']: must be names of configs in configs/preprocessor" in line


def test_the_start_that_was_kept_is_named_wherever_a_run_is_looked_at(train, tmp_path):
    run = succeeded(train("optimizer.lr=0", "logger=tensorboard", "hydra.run.dir=" + str(tmp_path / "still")))
    written = json.loads((run / "metrics.json").read_text())
    assert (written["kept"], written["preprocessor"], written["train/best_epoch"]) == ("the start", "all_words", -1)
    assert written["val/mrr"] == written["start/mrr"] and written["test/mrr"] == written["start/test/mrr"]
    assert "val/loss" not in written
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"tensors": 0}).Reload()
    (text,) = events.Tensors("results/text_summary")
    assert "| best/kept | the start |" in text.tensor_proto.string_val[0].decode()
    more = ("optimizer.lr=0", "logger=none", "trainer.max_epochs=2", "optimized_metric=val/loss", f"ckpt_path={run}")
    resumed = train(*more)
    again = json.loads((succeeded(resumed) / "metrics.json").read_text())
    assert again["kept"] == "the start" and again["val/mrr"] == written["val/mrr"]
    assert "\nthe checkpoint " in resumed.stdout and "optimized_metric=val/loss: the start was kept" in resumed.stderr


def test_nothing_that_is_printed_is_wider_than_100_columns_or_a_hash(train, tmp_path):
    result = train("trainer.max_epochs=2")
    run = succeeded(result)
    for line in (result.stdout + result.stderr).splitlines():
        if str(tmp_path) not in line and str(run) not in line and ".tsv" not in line:
            assert len(line) <= 100, line
    assert not re.search(r"[0-9a-f]{24}", result.stdout + result.stderr)
    assert not re.search(r"  [a-z ]+ +0\n", result.stdout)  # a count of what is switched off
