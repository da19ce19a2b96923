"""Input that once gave wrong figures without a word now gives the right ones, or one line that says what is wrong."""

import csv
import os
import shutil

import numpy as np
import pytest

from askagain.corpus.cache import Cache
from askagain.corpus.token_store import TokenStore
from askagain.vectors.sources import vector_file
from tests.conftest import ROOT
from tests.end_to_end.conftest import QUICK, column, metrics_of, refused, succeeded

CASES = ROOT.parent / "shared" / "cases"
RANKED = "quit vim\texit vim\tlist ports\topen ports\nundo commit\trevert commit\tlist ports\tcafe menu\n"

cases = pytest.mark.skipif(not CASES.is_dir(), reason=f"the inputs that went wrong are not at {CASES}")


@pytest.fixture
def train_on(command, tmp_path):
    """Trains on a text as train.tsv, and ranks a text as validation.tsv."""

    def run(train, validation=RANKED, *words):
        folder = tmp_path / "corpus"
        folder.mkdir(exist_ok=True)
        (folder / "train.tsv").write_bytes(train if isinstance(train, bytes) else train.encode())
        (folder / "validation.tsv").write_text(validation)
        return command("train.py", "data=tsv", f"data.dir={folder}", *QUICK, "logger=csv", *words)

    return run


@cases
@pytest.mark.parametrize(
    ("name", "words", "vectors"),
    [
        ("control_word2vec.txt", ["install", "pizza"], (60, 20)),
        ("control_glove.txt", ["install", "pizza"], (60, 20)),
        ("bom_glove.txt", ["ubuntu"], (2, 3)),
        ("bom_word2vec.txt", ["ubuntu"], (2, 3)),
    ],
)
def test_vectors_as_text_with_odd_characters_are_read_as_text(name, words, vectors):
    read = vector_file(CASES / name)
    assert read.table.shape == vectors and len(read.words) == vectors[0]
    numbers = {}
    for line in (CASES / name).read_text(encoding="utf-8-sig").splitlines():
        word, *values = line.split(" ")
        numbers[word] = values
    for word in words:
        np.testing.assert_allclose(read.table[read.words.index(word)], np.array(numbers[word], dtype=np.float32))


@pytest.mark.slow
@cases
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("header_too_small.bin", "its content does not fit its header"),
        ("dimension_too_small.bin", "its content does not fit its header"),
        ("nine_bytes.kv", "is not a readable gensim save"),
    ],
)
def test_vectors_that_do_not_fit_their_header_are_refused(command, name, message):
    line = refused(command("train.py", "experiment=word_vectors", "vectors=file", f"vectors.path={CASES / name}"))
    assert name in line and message in line


@cases
def test_characters_that_nobody_sees_make_no_other_words(tmp_path):
    lines = (CASES / "invisible_train.tsv").read_bytes().splitlines(keepends=True)
    (tmp_path / "train.tsv").write_bytes(b"".join(lines[:3] + lines[4:]))
    store = TokenStore(tmp_path / "train.tsv", 2, "error", Cache(tmp_path / "cache"))
    texts = [[store.texts[text].split() for text in store.rows.bag(row).tolist()] for row in range(4)]
    assert [row[0][0] for row in texts[:3]] == ["compound", "install", "café"]
    assert all(row[0][0] == row[1][0] for row in texts[:3])
    assert texts[3][0] != texts[3][1] and "\u200c" in texts[3][0][0]


@pytest.mark.slow
@cases
def test_a_cell_without_anything_to_see_is_empty(train_on):
    content = (CASES / "invisible_train.tsv").read_bytes()
    assert "train.tsv, line 4: column 1 is empty" in refused(train_on(content))


@pytest.mark.slow
@cases
def test_joined_files_with_byte_order_marks_have_one_text_twice(train_on):
    run = succeeded(train_on((CASES / "joined_bom_train.tsv").read_bytes()))
    metrics = metrics_of(run)
    assert metrics["data/texts"] == 3 and metrics["data/groups"] == metrics["data/lines_joined"] == 1


@pytest.mark.slow
@cases
def test_lines_that_share_a_text_are_one_group(train_on):
    lines = (CASES / "shared_lines_train.tsv").read_text()
    validation = RANKED.replace("quit vim\texit vim", "other\tanother")
    run = succeeded(train_on(lines, validation))
    assert metrics_of(run)["data/groups"] == 1
    apart = succeeded(train_on(lines, validation, "data.join_groups=false"))
    assert metrics_of(apart)["data/groups"] == 2


@pytest.mark.slow
@cases
def test_texts_of_stop_words_alone_leave_nothing_to_train_on(train_on):
    files = ((CASES / f"stop_words_{name}.tsv").read_text() for name in ("train", "validation"))
    assert "no text has a word left to train on; try preprocessor.stopwords=none" in refused(
        train_on(*files, "preprocessor=standard")
    )


@pytest.mark.slow
@cases
def test_texts_of_stop_words_alone_are_texts_where_all_words_are_read(train_on):
    files = ((CASES / f"stop_words_{name}.tsv").read_text() for name in ("train", "validation"))
    result = train_on(*files)  # BM25 with `standard` has no word left, but with these texts' own it has
    assert succeeded(result) and "\nbm25 " in result.stdout and "\ntfidf_letters " in result.stdout


@pytest.mark.slow
def test_a_model_that_an_earlier_run_left_in_the_folder_is_not_named(command, tmp_path):
    (tmp_path / "run" / "model").mkdir(parents=True)
    result = command("train.py", *QUICK, f"hydra.run.dir={tmp_path / 'run'}")
    assert f"\nencoder: {succeeded(result) / 'encoder'}\n" in result.stdout and "\nmodel: " not in result.stdout


@pytest.mark.slow
def test_no_word_frequent_enough_names_the_setting(command):
    line = refused(command("train.py", *QUICK, "features=words", "features.min_count=100000"))
    assert "nothing to train; lower features.min_count" in line


@pytest.mark.slow
@cases
def test_a_header_is_no_pair_and_rows_of_groups_are_told(train_on):
    result = train_on((CASES / "header_line_train.tsv").read_text(), (CASES / "groups_as_validation.tsv").read_text())
    assert metrics_of(succeeded(result))["data/groups"] == 2
    assert "train.tsv, line 1: left out, since it names columns (question, duplicate)" in result.stderr
    assert "validation.tsv: its rows look like groups of duplicates" in result.stderr
    assert "as 'leave vim' would be one of 'quit vim'" in result.stderr


@pytest.mark.slow
def test_a_nul_is_a_bad_row(train_on):
    assert "train.tsv, line 2: a NUL character within the line" in refused(train_on("a b\tc d\ne\0f\tg h\n"))


@pytest.mark.slow
def test_rows_that_are_trained_on_are_refused_with_an_example_unless_allowed(train_on):
    train = "quit vim\tleave vim\nleave vim\texit vim\nopen ports\tports in use\n"
    line = refused(train_on(train))
    assert "1 of 2 rows are trained on" in line and "has both 'quit vim' and 'exit vim'" in line
    assert "(written 'Quit vim?' and 'exit vim' there)" in refused(train_on(train.replace("quit vim", "Quit vim?")))
    run = succeeded(train_on(train, RANKED, "data.leaks_allowed=1"))
    assert metrics_of(run)["data/validation_rows_trained_on"] == 1


@pytest.mark.slow
def test_a_question_among_its_own_candidates_is_counted(train_on):
    run = succeeded(train_on("a b\tc d\n", "quit vim\texit vim\tquit vim\nopen ports\tlist ports\tusb disk\n"))
    assert metrics_of(run)["data/validation_rows_with_a_text_twice"] == 1


@pytest.mark.slow
def test_batches_without_negatives_change_nothing_and_are_counted(command):
    words = ("trainer.max_epochs=1", "model.dim=16", "trainer.accelerator=cpu", "logger=csv")
    result = command("train.py", *words, "data.batch_size=1", "+trainer.limit_train_batches=50", "data.pairs=first_two")
    metrics = metrics_of(succeeded(result))
    assert metrics["val/mrr"] == metrics["start/mrr"] and metrics["train/loss_epoch"] == 0
    assert metrics["train/share_without_negatives"] == 1
    assert "100% of the batches had no negatives" in result.stderr and "-0.0" not in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("optimizer.lr=1e30", "training diverged in epoch 0"),
        ("model.init_std=1e30", "lower model.init_std"),
        ("model.dim=1000000000", "GiB are free; lower model.dim"),
        ("+trainer.val_check_interval=1000", "trainer.val_check_interval=1000: more than the 9 batches of an epoch"),
        ("+logger.a=1", "logger.a=1: must be a section with a _target_"),
    ],
)
def test_numbers_that_cannot_be_are_named(command, small, word, message):
    assert message in refused(command("train.py", "data=tsv", f"data.dir={small}", *QUICK, "logger=none", word))


@pytest.mark.slow
def test_settings_that_change_a_resumed_run_are_named(command, small):
    words = ("train.py", "data=tsv", f"data.dir={small}", *QUICK, "logger=none")
    first = succeeded(command(*words))
    changed = ("optimizer.lr=0.9", "trainer.max_epochs=2", "scheduler.warmup_share=0.5")
    result = command(*words, *changed, f"ckpt_path={first}")
    succeeded(result)
    assert "optimizer.lr=0.9 has no effect: a resumed run goes on with the checkpoint's, " in result.stderr
    assert "the learning-rate schedule now spans 18 steps, not 9" in result.stderr
    assert "scheduler.warmup_share=0.5 instead of 0" in result.stderr


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.slow
def test_a_flipped_bit_changes_no_figure(command, small, tmp_path):
    cache = tmp_path / "cache"
    data = ("data=tsv", f"data.dir={small}", f"paths.cache_dir={cache}")
    run = succeeded(command("train.py", *data, *QUICK, "logger=none", "trainer.max_epochs=2"))
    evaluate = ("evaluate.py", *data, f"encoder.path={run}", "intervals.resamples=10")
    right = metrics_of(succeeded(command(*evaluate)))["val/mrr"]
    for path in cache.glob("texts-*/rows.offsets.int64"):
        flip(path)
    again = command(*evaluate)
    assert metrics_of(succeeded(again))["val/mrr"] == right
    assert "is damaged (rows.offsets.int64 is not what was written); it is built again" in again.stderr
    flip(run / "checkpoints" / "last.ckpt")
    line = refused(command("train.py", *data, *QUICK, "logger=none", f"ckpt_path={run}"))
    assert "last.ckpt" in line and f"type ckpt_path={run / 'checkpoints' / 'previous.ckpt'}" in line
    flip(run / "encoder" / "table.safetensors")
    assert "table.safetensors is not what was written" in refused(command(*evaluate))


@pytest.mark.slow
def test_a_run_resumed_in_its_folder_goes_on_in_mlflow(command, small, tmp_path):
    words = ("train.py", "data=tsv", f"data.dir={small}", *QUICK, "logger=mlflow", f"hydra.run.dir={tmp_path / 'run'}")
    for epochs in (1, 2):
        succeeded(command(*words, f"trainer.max_epochs={epochs}", "ckpt_path=last"))
    mlflow = pytest.importorskip("mlflow")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'runs' / 'mlflow.db'}")
    (experiment,) = (one for one in client.search_experiments() if one.name == "askagain")
    (only,) = client.search_runs([experiment.experiment_id])
    assert len(client.get_metric_history(only.info.run_id, "train/loss_epoch")) == 2


@pytest.mark.slow
def test_a_pipe_a_device_and_a_loop_of_links_are_refused_at_once(command, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path / "pipe", tmp_path / "loop", "/dev/zero", tmp_path):
        words = ("data=tsv", "data.dir=null", f"data.train_path={path}", f"data.validation_path={path}")
        assert "no such file (a regular file is needed)" in refused(command("train.py", *words))
        assert "preprocessor.stopwords" in refused(command("train.py", f"preprocessor.stopwords={path}"))


@pytest.mark.slow
def test_a_run_resumed_in_its_folder_has_every_epoch_once_in_its_history(command, small, tmp_path):
    words = ("train.py", "data=tsv", f"data.dir={small}", *QUICK, "logger=csv", f"hydra.run.dir={tmp_path / 'run'}")
    whole = succeeded(command(*words[:-1], f"hydra.run.dir={tmp_path / 'whole'}", "trainer.max_epochs=4"))
    for epochs in (2, 4):
        run = succeeded(command(*words, f"trainer.max_epochs={epochs}", "ckpt_path=last", "scheduler.decay=none"))
    assert len(column(run, "train/loss_epoch")) == len(column(whole, "train/loss_epoch")) == 4
    with (run / "metrics.csv").open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file)]
    assert steps == sorted(steps)
    again = succeeded(command(*words, "trainer.max_epochs=4", "ckpt_path=last", "scheduler.decay=none"))
    assert len(column(again, "train/loss_epoch")) == 4  # nothing was left to train
    assert metrics_of(again).keys() >= metrics_of(run).keys()


@pytest.mark.slow
def test_a_file_that_changed_since_the_checkpoint_is_named(command, small, tmp_path):
    folder = tmp_path / "changed"
    shutil.copytree(small, folder)
    words = ("train.py", "data=tsv", f"data.dir={folder}", *QUICK, "logger=none")
    first = succeeded(command(*words))
    lines = (folder / "validation.tsv").read_text().splitlines()
    (folder / "validation.tsv").write_text("\n".join(lines[1:]) + "\n")
    result = command(*words, f"ckpt_path={first}", "trainer.max_epochs=2")
    succeeded(result)
    assert "validation.tsv is not what it was when the checkpoint was written" in result.stderr


@pytest.mark.slow
def test_a_run_started_again_in_its_folder_keeps_the_history(command, small, tmp_path):
    words = ("train.py", "data=tsv", f"data.dir={small}", *QUICK, "logger=csv", f"hydra.run.dir={tmp_path / 'run'}")
    for _ in range(2):
        run = succeeded(command(*words))
    assert len(column(run, "train/loss_epoch")) == 2


@pytest.mark.slow
def test_an_epoch_that_is_not_validated_shows_no_earlier_loss(command, small):
    words = ("train.py", "data=tsv", f"data.dir={small}", *QUICK, "logger=csv", "trainer.max_epochs=4")
    run = succeeded(command(*words, "+trainer.check_val_every_n_epoch=2"))
    assert len(column(run, "val/loss")) == 2
    best = metrics_of(run)["train/best_epoch"]
    assert best in (1, 3)
    assert metrics_of(run)["val/loss"] == column(run, "val/loss")[int(best) // 2]
