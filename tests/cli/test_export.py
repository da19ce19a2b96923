"""`askagain export` through the console script: what it writes, what it says, and what it refuses."""

import json
import re

import numpy as np
import pytest

import askagain as package
from askagain.models.bag_encoder import BagEncoder
from askagain.models.folder import save_named
from askagain.text.features import Features
from askagain.text.ngrams import NgramTokenizer
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.vocabulary import WordVocabulary
from tests.cli.conftest import refused

WORDS = ["mount", "disk", "usb", "install", "driver", "boot"]
ROWS = ["mount disk\tmount the disk\tusb driver\tboot", "usb driver\tinstalling boot\tusb driver now\tdisk"]


@pytest.fixture
def run(tmp_path):
    """A run folder with an encoder of random numbers."""
    features = Features("words_trigrams", WordVocabulary(WORDS), NgramTokenizer.from_words(WORDS))
    table = np.random.default_rng(1).standard_normal((features.size, 16)).astype(np.float32)
    encoder = BagEncoder(TextPreprocessor("?", 2), features, table, normalize=True)
    encoder.save(tmp_path / "run" / "encoder")
    return tmp_path / "run"


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "validation.tsv").write_text("\n".join(ROWS) + "\n")
    (folder / "texts.txt").write_text("mount disk\nusb driver\n")
    return folder


@pytest.mark.parametrize(
    ("name", "out", "kept"),
    [
        ("askagain", "out", True),
        ("onnx", "out", True),
        ("sentence-transformers", "out", None),
        ("word2vec", "out.txt", None),
        ("word2vec-bin", "out.bin", None),
        ("kv", "out.kv", None),
    ],
)
def test_each_format_is_written_measured_and_spoken_of(askagain, run, data, tmp_path, name, out, kept):
    answer = askagain("export", run, "--format", name, "-o", tmp_path / out, "--data", data)
    assert answer.status == 0, answer
    for said in (f"read {run}: ", f"wrote {tmp_path / out}: ", "2 validation rows of 7 texts", "texts a second: "):
        assert said in answer.out, (said, answer)
    mrr, original = map(float, re.search(r"MRR: ([\d.]+), the encoder ([\d.]+); ", answer.out).groups())
    assert 0 < mrr <= 1 and (kept is None or mrr == original)
    same = float(re.search(r"above 0.9999: ([\d.]+)%", answer.out)[1])
    assert same == 100 if kept else 0 < same < 100  # installing is a word that it does not know
    if (tmp_path / out).is_dir():
        assert json.loads((tmp_path / out / "askagain-export.json").read_text())["format"] == name


@pytest.mark.parametrize(("name", "file"), [("faiss", "index.faiss"), ("usearch", "index.usearch")])
def test_indexes_are_written(askagain, run, data, tmp_path, name, file):
    words = ("export", run, "--format", name, "-o", tmp_path / "out")
    assert "--texts FILE" in refused(askagain(*words))
    answer = askagain(*words, "--texts", data / "texts.txt")
    assert answer.status == 0 and "2 indexed texts" in answer.out and "0.9999: 100.0%" in answer.out
    assert (tmp_path / "out" / file).is_file()


def test_an_encoder_is_packed_by_its_name_and_the_next_command_is_said(askagain, run, tmp_path, monkeypatch):
    monkeypatch.setenv("ASKAGAIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    save_named(package.load(run), "mine")
    words = ("export", "mine", "--format", "wheel", "--name", "ours", "--dtype", "int8")
    answer = askagain(*words, "-o", tmp_path / "out")
    wheel = tmp_path / "out" / "askagain_encoder_ours-1.0.0-py3-none-any.whl"
    assert answer.status == 0 and wheel.is_file()
    assert (
        f"read {tmp_path / 'home' / 'encoders' / 'mine'}: " in answer.out and "rows of 16, int8, 0.0 MB" in answer.out
    )
    assert f'next: pip install --no-deps {wheel}, then askagain.load("ours")' in answer.out and not answer.err
    monkeypatch.setattr("askagain.export.wheel.LARGE", 100)
    assert "features.min_count" in askagain(*words, "-o", tmp_path / "large").err
    assert "--dtype int8" in askagain(*words[:-2], "-o", tmp_path / "larger").err
    assert "--name NAME" in refused(askagain(*words[:4], "-o", tmp_path / "unnamed"))


def test_without_data_texts_are_made_and_no_mrr_is_claimed(askagain, run, tmp_path):
    answer = askagain("export", run / "encoder", "--format", "askagain", "--dtype", "int8", "-o", tmp_path / "out")
    assert "texts made of 6 known words each, seed 0" in answer.out and "MRR: not measured; --data DIR" in answer.out
    assert package.load(tmp_path / "out").table.dtype == "int8"


def test_an_existing_export_is_replaced_only_when_told_so(askagain, run, tmp_path):
    words = ("export", run, "--format", "onnx", "-o", tmp_path / "out")
    assert askagain(*words).status == 0
    assert "--overwrite" in refused(askagain(*words))
    assert askagain(*words, "--overwrite").status == 0
    assert "type --overwrite" in refused(askagain("export", run, "--format", "askagain", "-o", tmp_path / "out"))


@pytest.mark.parametrize("content", [None, "not json", "[]"])
def test_a_folder_that_is_no_export_is_never_replaced(askagain, run, tmp_path, content):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    if content is not None:
        (tmp_path / "mine" / "askagain-export.json").write_text(content)
    line = refused(askagain("export", run, "--format", "onnx", "-o", tmp_path / "mine", "--overwrite"))
    assert "is not an export of askagain" in line and (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_neither_the_run_nor_a_source_is_replaced(askagain, run, data, tmp_path):
    (tmp_path / "askagain-export.json").write_text('{"format": "onnx"}')
    for folder in (run, tmp_path):
        refused(askagain("export", run, "--format", "onnx", "-o", folder, "--overwrite"))
    words = ("export", run, "--format", "word2vec", "--words", data / "texts.txt", "-o", data / "texts.txt")
    assert "reads from there" in refused(askagain(*words, "--overwrite"))
    assert package.load(run).dim == 16 and (data / "texts.txt").read_text().startswith("mount disk")


def test_a_link_is_never_replaced(askagain, run, tmp_path):
    (tmp_path / "link.kv").symlink_to(tmp_path / "elsewhere")
    assert "is no file" in refused(askagain("export", run, "--format", "kv", "-o", tmp_path / "link.kv", "--overwrite"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--format", "kv", "-o", "OUT/w.txt"), "ends in .kv"),
        (
            ("--format", "onnx", "--dtype", "int8", "-o", "OUT/x"),
            "--dtype: is of --format askagain or wheel, not of onnx",
        ),
        (("--format", "askagain", "--exact", "-o", "OUT/x"), "--exact: is of --format sentence-transformers"),
        (
            ("--format", "sentence-transformers", "--exact", "--tokenizer", "words", "-o", "OUT/x"),
            "leave --tokenizer and --words out",
        ),
        (("--format", "kv", "--words", "OUT/none", "-o", "OUT/w.kv"), "no such file"),
        (("--format", "faiss", "--texts", "OUT/latin", "-o", "OUT/x"), "byte 4 is not UTF-8"),
        (("--format", "faiss", "--texts", "OUT/empty", "-o", "OUT/x"), "empty"),
        (("--format", "onnx", "--data", "OUT/none", "-o", "OUT/x"), "no such folder"),
        (("--format", "onnx", "-o", "OUT/latin/x"), "is no folder"),
        (("--format", "onnyx", "-o", "OUT/x"), "is not one of"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(askagain, run, tmp_path, words, message):
    (tmp_path / "latin").write_bytes("caf\xe9\n".encode("latin-1"))
    (tmp_path / "empty").touch()
    before = sorted(tmp_path.rglob("*"))
    line = refused(askagain("export", run, *(word.replace("OUT", str(tmp_path)) for word in words)))
    assert message in line, line
    assert sorted(tmp_path.rglob("*")) == before


def test_no_encoder_is_one_line(askagain, tmp_path):
    assert "no encoder here" in refused(askagain("export", tmp_path, "--format", "onnx", "-o", tmp_path / "out"))


def test_help_shows_every_format(askagain):
    from askagain.cli.export import FORMATS
    from askagain.export.formats import FORMATS as KINDS

    answer = askagain("export", "--help")
    assert answer.status == 0 and tuple(KINDS) == FORMATS and all(name in answer.out for name in FORMATS)
