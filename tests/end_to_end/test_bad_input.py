"""Every mistake in what a user gives is answered by one line that names it, and status 2."""

import gzip
import os
import shutil

import pytest

from tests.end_to_end.conftest import QUICK, metrics_of, refused, succeeded

FILES = {
    "too few columns": ("train.tsv", b"a\tb\nalone\n", r"train.tsv, line 2: 1 column, at least 2 needed"),
    "too few columns in a ranking file": ("validation.tsv", b"a\tb\n", "validation.tsv, line 1: 2 columns, at least 3"),
    "empty cell": ("train.tsv", b"a\tb\nc\t\td\n", "train.tsv, line 2: column 2 is empty"),
    "invalid UTF-8": ("train.tsv", b"a\tb\nc\td\n\xff\tx\n", "train.tsv, line 3: byte 1 of the line is not UTF-8"),
    "empty file": ("train.tsv", b"", "train.tsv is empty"),
    "missing file": ("validation.tsv", None, "no validation.tsv in the corpus folder"),
    "damaged gzip": ("train.tsv", gzip.compress(b"a\tb\n" * 999)[:40], "train.tsv is damaged or incomplete gzip data"),
    "bad unlabelled text": ("corpus.txt", b"fine\n\xe9\n", "corpus.txt, line 2: byte 1 of the line is not UTF-8"),
}


@pytest.fixture
def folder(small, tmp_path):
    return shutil.copytree(small, tmp_path / "copy")


@pytest.mark.parametrize(("name", "content", "message"), FILES.values(), ids=FILES)
def test_a_bad_file_is_named_and_no_figures_are_written(command, folder, tmp_path, name, content, message):
    (folder / name).unlink(missing_ok=True)
    if content is not None:
        (folder / name).write_bytes(content)
    line = refused(command("train.py", "data=tsv", f"data.dir={folder}", *QUICK))
    assert message in line
    assert not list((tmp_path / "runs").rglob("metrics.json"))


def test_a_bad_test_file_is_named_before_anything_is_trained(command, folder, tmp_path):
    (folder / "test.tsv").write_bytes(b"a\tb\n")
    result = command("train.py", "data=tsv", f"data.dir={folder}", *QUICK)
    assert "test.tsv, line 1: 2 columns, at least 3 needed" in refused(result)
    assert "epoch 0" not in result.stderr


@pytest.mark.slow
def test_a_checkpoint_of_other_data_is_refused(command, folder, small):
    words = ("train.py", "data=tsv", *QUICK, "logger=none")
    run = succeeded(command(*words, f"data.dir={small}"))
    (folder / "train.tsv").write_text("one question\tanother question\nsome title\tsome other title\n")
    line = refused(command(*words, f"data.dir={folder}", f"ckpt_path={run}"))
    assert "ckpt_path: the checkpoint is of another model or other data" in line
    junk = folder / "junk.ckpt"
    junk.write_bytes(b"junk")
    assert "junk.ckpt: not a checkpoint" in refused(command(*words, f"data.dir={small}", f"ckpt_path={junk}"))


@pytest.mark.slow
def test_an_encoder_that_is_wider_than_the_model_is_refused(command, small):
    words = ("train.py", "data=tsv", f"data.dir={small}", *QUICK, "logger=none")
    run = succeeded(command(*words))
    line = refused(command(*words, "start=encoder", f"start.path={run}", "model.dim=8"))
    assert f"{run}: its vectors have 16 columns, more than dim=8; set dim=16 or" in line


@pytest.mark.slow
def test_diverged_training_gives_no_figures(command, small):
    line = refused(command("train.py", "data=tsv", f"data.dir={small}", *QUICK, "optimizer=adam", "optimizer.eps=0"))
    assert "not finite" in line and "lower optimizer.lr" in line


@pytest.mark.slow
def test_bad_rows_are_skipped_and_counted_where_asked_for(command, folder):
    good = (folder / "train.tsv").read_bytes()
    (folder / "train.tsv").write_bytes(b"alone\nca\xe9\tx\n\t\n" + good)
    result = command("train.py", "data=tsv", f"data.dir={folder}", *QUICK, "data.on_bad_row=skip")
    metrics = metrics_of(succeeded(result))
    assert metrics["data/skipped_rows"] == 3 and metrics["data/groups"] == good.count(b"\n")
    assert "skipped 3 bad rows" in result.stderr


SETTINGS = {
    "a metric that is not there": (("+metrics.x={_target_: os.nothing}",), "metrics.x._target_=os.nothing: cannot be"),
    "a word for a number": (("model.dim=abc",), "model.dim=abc: must be a whole number"),
    "a fraction for a whole number": (("data.batch_size=1.5",), "batch_size=1.5: must be a whole number"),
    "text for a list": (("preprocessor.protected_terms=abc",), "preprocessor.protected_terms=abc: must be a list"),
    "a seed out of range": (("seed=-1",), "seed=-1: must be at least 0"),
    "a group set to null": (
        ("logger=null",),
        "logger=null: a group cannot be set to null; choose a config of it, such as logger=none",
    ),
    "a folder without data=tsv": (("data.dir=.",), "data.dir=. needs data=tsv beside it"),
    "unknown mode": (("metric.mode=up",), "metric.mode=up: must be 'max' or 'min'"),
    "a start for a rung without one": (
        ("experiment=trigram", "start=encoder"),
        "Could not override 'start'. No match in the defaults list.",
    ),
    "a loss for a rung without it": (("experiment=distill", "loss.gather=false"), "loss.gather: no such setting"),
    "words for a rung that knows all": (
        ("words=all",),
        "Could not override 'words'. No match in the defaults list.",
    ),
    "epochs without an end": (
        ("trainer.max_epochs=-1",),
        "trainer.max_epochs=-1: training would never end; set it, or",
    ),
    "a device that is not here": (("trainer.accelerator=tpu",), "trainer: "),
    "unknown experiment": (("experiment=dsm",), "experiment=dsm: no such config; did you mean experiment=dssm?"),
    "unknown setting": (("optimizer.lrr=1",), "optimizer.lrr: no such setting; did you mean optimizer.lr?"),
    "no folder given": (("data=tsv",), "data.dir is missing: type data.dir=..."),
    "no such folder": (("data=tsv", "data.dir=nowhere"), "data.dir=nowhere: no such folder"),
    "no such file": (("data.train_path=nowhere.tsv",), "data.train_path=nowhere.tsv: no such file"),
    "unknown pair strategy": (("data.pairs=some",), "data.pairs=some: must be 'first_two', 'star', 'all' or 'random'"),
    "unknown stop words": (("preprocessor.stopwords=klingon",), "stopwords=klingon: no such list and no such file"),
    "unknown split": (("preprocessor.split=comma",), "preprocessor.split=comma: not one of whitespace"),
    "unknown ties": (("ties=lucky",), "ties=lucky: must be 'expected', 'optimistic' or 'pessimistic'"),
    "no word vectors chosen": (
        ("experiment=trigram", "vectors=none"),
        "vectors=none: no such config; there are file, ",
    ),
    "missing vectors": (
        ("experiment=word_vectors", "vectors=google_news"),
        "https://code.google.com/archive/p/word2vec",
    ),
    "unknown words": (("experiment=trigram", "words=some"), "words=some: no such config; there are all, "),
    "temperature of zero": (("loss.temperature=0",), "loss.temperature=0: must be at least 0.0015"),
    "unknown setting added": (("+model.depth=3",), "model.depth: no such setting; there are dim, feature_weights"),
    "letters of no use": (("features.ngram_sizes=[1,3]",), "features.ngram_sizes=[1, 3]: must be"),
    "text for a number of rows": (("features.ngram_buckets=many",), "features.ngram_buckets=many: must be"),
    "unknown setting of features": (("+features.depth=3",), "features.depth: no such setting; there are kind"),
    "unknown weights": (
        ("model.feature_weights=bm25",),
        "model.feature_weights=bm25: must be 'none', 'idf' or 'learned'",
    ),
    "no such checkpoint": (("ckpt_path=nowhere",), "ckpt_path=nowhere: no checkpoint there"),
    "no run to start from": (("start=encoder", "start.path=nowhere"), "start.path=nowhere: no encoder here"),
    "no path to start from": (("start=encoder",), "start.path is missing: type start.path=..."),
    "no file of word vectors to start from": (("start=word_vectors", "vectors=file"), "vectors.path is missing"),
    "no such start": (("start=middle",), "start=middle: no such config; there are auto, encoder, "),
}


@pytest.mark.slow  # a command each; tests/apps/test_settings.py has the checks themselves
@pytest.mark.parametrize(("words", "message"), SETTINGS.values(), ids=SETTINGS)
def test_a_mistake_in_a_setting_is_named(command, words, message):
    assert message in refused(command("train.py", *words))


TYPED = {
    "an option for a setting": (("--experiment", "dssm"), "--experiment: no such option; settings are typed "),
    "a bare name": (("dssm",), "dssm: a setting is typed KEY=VALUE; did you mean experiment=dssm?"),
    "an old name": (("trainer.gpus=1",), "no such setting; type trainer.accelerator=gpu trainer.devices=1"),
    "a folder for the data": (("data=/my/folder",), "this is a folder; type data=tsv data.dir=/my/folder"),
    "a typo in a key": (("trainer.max_epoch=3",), "no such setting; did you mean trainer.max_epochs?"),
    "-m in the middle": (("seed=0", "-m", "ties=lucky"), "ties=lucky: must be 'expected', 'optimistic' or"),
    "a typo in a sweep": (("-m", "seed=0,1", "model.dimm=8"), "model.dimm: no such setting; did you mean model.dim?"),
    "a value that all runs share": (("-m", "seed=0,1", "model.dim=no"), "model.dim=no: must be a whole number"),
    "a value of the wrong type": (("data.batch_size=yes",), "data.batch_size=yes: must be a whole number"),
    "a folder that is not there": (("data=tsv", "data.dir=nowhere"), "data.dir=nowhere: no such folder"),
}


@pytest.fixture
def without_torch(tmp_path) -> dict[str, str]:
    """An environment in which PyTorch cannot be imported."""
    (tmp_path / "torch.py").write_text("raise AssertionError('torch was imported')")
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}


@pytest.mark.parametrize(("words", "message"), TYPED.values(), ids=TYPED)
def test_a_mistake_is_answered_by_the_words_to_type_before_torch_is_imported_and_leaves_no_folder(
    command, without_torch, tmp_path, words, message
):
    assert message in refused(command("train.py", *words, **without_torch))
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_each_run_of_a_sweep_is_checked_when_it_starts(command, without_torch, tmp_path):
    result = command("train.py", "-m", "model.dim=0,none", **without_torch)
    assert result.returncode == 2 and "failed: 0, 1 of 2 runs" in result.stderr
    runs = sorted((tmp_path / "runs" / "sweeps").glob("*/*/train.log"))
    for path, mistake in zip(runs, ("model.dim=0: must be at least 1", "model.dim=none: must be a whole"), strict=True):
        assert mistake in path.read_text()


def test_minus_m_may_be_typed_anywhere(command, tmp_path):
    result = command("train.py", "model.dim=0,-1", "-m")
    assert "failed: 0, 1 of 2 runs" in result.stderr


EVALUATE = {
    "no path given": ((), "encoder.path is missing: type encoder.path=..."),
    "no such run": (("encoder.path=nowhere",), "encoder.path=nowhere: no encoder here"),
    "no such checkpoint": (("encoder.path=nowhere.ckpt",), "encoder.path=nowhere.ckpt: no encoder here"),
    "no such file of texts": (
        ("ranker=bm25", "candidate_set=all", "candidate_set.files=[tests]"),
        "candidate_set.files=['tests']: each must be",
    ),
    "no such ranker": (("ranker=bm52",), "ranker=bm52: no such config; did you mean ranker=bm25?"),
    "no such model": (
        ("encoder=sentence_transformers", "encoder.path=nowhere"),
        "nowhere: neither a folder of a sentence-transformers model",
    ),
    "a share above one": (("intervals.confidence=95", "encoder.path=x"), "intervals.confidence=95: must be below 1"),
    "no file of word vectors": (("encoder=word_vectors", "vectors=file"), "vectors.path is missing"),
}


@pytest.mark.parametrize(("words", "message"), EVALUATE.values(), ids=EVALUATE)
def test_a_mistake_in_what_to_evaluate_is_named(command, words, message):
    assert message in refused(command("evaluate.py", *words))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_named(command, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert "locked" in refused(command("train.py", f"paths.cache_dir={locked}"))


@pytest.mark.slow
def test_a_traceback_is_there_for_those_who_want_it(command):
    result = command("train.py", "data=tsv", "data.dir=nowhere", HYDRA_FULL_ERROR="1")
    assert result.returncode == 1 and "Traceback" in result.stderr and "no such folder" in result.stderr


@pytest.mark.slow
def test_a_metric_that_is_not_logged_is_named_as_it_is_typed(command):
    line = refused(command("train.py", *QUICK, "metric.name=val/mmr"))
    assert "metric.name=val/mmr: no such metric; there are" in line and "val/mrr" in line
