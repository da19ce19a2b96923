"""Each format is read back by its own library, and gives the vectors that the encoder gives."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

import askagain
from askagain.errors import InputError
from askagain.export.encoder_folder import CARD
from askagain.export.fidelity import SAME, compare, share_of_same, trial_of
from askagain.export.formats import FORMATS, check_options, export
from askagain.export.onnx_model import OPSET, OnnxEncoder
from askagain.export.request import Request
from askagain.export.word_table import word_rows
from askagain.files.sha256sums import SHA256SUMS
from tests.export.conftest import ODD, WORDS, titles

KINDS = ["words", "trigrams", "words_trigrams", "words_else_trigrams", "words_trigrams_pairs"]
TEXTS = [*titles(200), *ODD]


def exported(name, encoder, path, **options):
    """Exports an encoder, and gives what encodes with it as its library does."""
    request = Request(Path("run"), encoder, **options)
    check_options(name, request)
    export(name, request, path)
    return FORMATS[name].read(request, path)


@pytest.mark.parametrize(("dtype", "closest"), [(None, 1e-7), ("float16", 2e-3), ("int8", 2e-2)])
def test_an_encoder_folder_gives_the_same_vectors_in_each_type(make, tmp_path, dtype, closest):
    encoder = make("words_trigrams_pairs")
    vectors = exported("askagain", encoder, tmp_path / "out", dtype=dtype)(TEXTS)
    assert np.abs(vectors - encoder.encode(TEXTS)).max() < closest
    assert askagain.load(tmp_path / "out").table.dtype == (dtype or "float32")


def test_sha256sum_itself_finds_the_files_of_a_folder_in_order(make, tmp_path):
    exported("askagain", make(), tmp_path / "out")
    checked = subprocess.run(["sha256sum", "-c", SHA256SUMS], cwd=tmp_path / "out", capture_output=True, text=True)
    files = {path.name for path in (tmp_path / "out").iterdir()} - {SHA256SUMS}
    assert checked.returncode == 0 and {line.split(":")[0] for line in checked.stdout.splitlines()} == files
    assert {CARD, "table.safetensors"} <= files


@pytest.mark.parametrize("name", [CARD, "askagain-export.json"])
@pytest.mark.parametrize("harm", ["changed", "missing"])
def test_a_folder_with_a_damaged_or_missing_listed_file_is_refused(make, tmp_path, name, harm):
    exported("askagain", make(), tmp_path / "out")
    if harm == "changed":
        (tmp_path / "out" / name).write_text("something else")
    else:
        (tmp_path / "out" / name).unlink()
    with pytest.raises(InputError, match=rf"damaged encoder folder \({name} is "):
        askagain.load(tmp_path / "out")


def test_a_damaged_list_of_checksums_is_refused_and_files_elsewhere_are_not_opened(make, tmp_path):
    exported("askagain", make(), tmp_path / "out")
    for line in ("nonsense\n", f"{'0' * 64}  ../secret\n", f"{'0' * 64}  ..\n"):
        (tmp_path / "out" / SHA256SUMS).write_text(line)
        with pytest.raises(InputError, match="SHA256SUMS is damaged"):
            askagain.load(tmp_path / "out")


@pytest.mark.parametrize("given", [".", "encoder", "checkpoints/best.ckpt"])
def test_a_card_states_figures_intervals_command_and_licence(make, tmp_path, given):
    run, data = tmp_path / "run", tmp_path / "data"
    (run / ".hydra").mkdir(parents=True)
    data.mkdir()
    (data / "README.md").write_text("# data\n\nLicence: CC BY-SA 4.0.\n")
    (run / ".hydra" / "config.yaml").write_text(f"data:\n  dir: {data}\n")
    (run / ".hydra" / "overrides.yaml").write_text(f"- experiment=dssm\n- data.dir={data}\n")
    metrics = {"val/mrr": 0.5, "val/mrr_low": 0.4, "val/mrr_high": 0.6, "val/hits@1": 0.25, "data/validation_rows": 480}
    (run / "metrics.json").write_text(json.dumps(metrics))
    (run / given).parent.mkdir(parents=True, exist_ok=True)
    export("askagain", Request(run / given, make()), tmp_path / "out")
    card = (tmp_path / "out" / CARD).read_text()
    for said in (
        "# run\n",
        "| validation mrr | 0.5000 | 0.4000 to 0.6000 |",
        "| validation hits@1 | 0.2500 | not stated |",
        "python train.py experiment=dssm data.dir=data\n",
        "Licence of the data: CC BY-SA 4.0.",
        "480 rows",
    ):
        assert said in card, said
    assert str(tmp_path) not in card


def test_a_card_says_what_is_not_stated(make, tmp_path):
    export("askagain", Request(tmp_path / "nowhere", make()), tmp_path / "out")
    card = (tmp_path / "out" / CARD).read_text()
    assert "Data: not stated. Licence of the data: not stated." in card and "None are stated." in card


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("pooling", "normalize"), [("sum", True), ("mean", True), ("mean", False), ("sum", False)])
def test_onnx_gives_the_same_vectors(make, tmp_path, kind, pooling, normalize):
    encoder = make(kind, pooling, normalize)
    export("onnx", Request(Path("run"), encoder), tmp_path / "out")
    vectors = OnnxEncoder(tmp_path / "out").encode(TEXTS)
    expected = encoder.encode(TEXTS)
    assert vectors.dtype == np.float32 and np.abs(vectors - expected).max() < 1e-5 * max(1, np.abs(expected).max())
    assert not OnnxEncoder(tmp_path / "out").encode(["", "the"]).any()
    assert OnnxEncoder(tmp_path / "out").encode([]).shape == (0, encoder.dim)


def test_onnx_states_its_opset_and_takes_tables_of_other_types(make, tmp_path):
    import onnx

    encoder = make()
    encoder = encoder.with_table(encoder.table.as_type("int8"))
    encode = exported("onnx", encoder, tmp_path / "out")
    model = onnx.load(tmp_path / "out" / "model.onnx")
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", OPSET)]
    assert np.abs(encode(TEXTS) - encoder.encode(TEXTS)).max() < 1e-5


def test_a_large_onnx_table_goes_to_a_file_of_its_own(make, tmp_path, monkeypatch):
    monkeypatch.setattr("askagain.export.onnx_model.LARGEST_FILE", 100)
    encoder = make()
    assert np.abs(exported("onnx", encoder, tmp_path / "out")(TEXTS) - encoder.encode(TEXTS)).max() < 1e-5
    assert (tmp_path / "out" / "model.onnx.data").is_file()


def test_a_damaged_onnx_folder_is_one_line(make, tmp_path):
    export("onnx", Request(Path("run"), make()), tmp_path / "out")
    (tmp_path / "out" / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(InputError, match="no exported ONNX model"):
        OnnxEncoder(tmp_path / "out")


@pytest.mark.parametrize(("name", "file"), [("word2vec", "w.txt"), ("word2vec-bin", "w.bin"), ("kv", "w.kv")])
@pytest.mark.parametrize("kind", ["words", "words_trigrams", "words_else_trigrams"])
def test_gensim_reads_a_row_a_word_with_its_letter_ngrams(make, tmp_path, name, file, kind):
    from gensim.models import KeyedVectors

    encoder = make(kind)
    (tmp_path / "further.txt").write_text("mounting\ninstaller\nthe\nqqq\nmount\n")
    export(name, Request(Path("run"), encoder, words=tmp_path / "further.txt"), tmp_path / file)
    read = KeyedVectors.load if name == "kv" else KeyedVectors.load_word2vec_format
    vectors = read(str(tmp_path / file), **({} if name == "kv" else {"binary": name == "word2vec-bin"}))
    further = [] if kind == "words" else ["mounting", "installer"]  # nothing is known of qqq, and the is a stop word
    assert vectors.index_to_key == [*WORDS, *further]
    assert np.abs(vectors[vectors.index_to_key] - word_rows(encoder, vectors.index_to_key)).max() < 1e-5
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("w")] == [file]


def test_word_files_leave_terms_with_a_space_out(make, tmp_path, caplog):
    encoder = make("words", protected_terms=["hard disk"])
    encoder.features.vocabulary.words[0] = "hard disk"
    encode = exported("word2vec", encoder, tmp_path / "w.txt")
    assert encode(["disk"]).any() and "1 terms with a space" in caplog.text


def test_an_encoder_without_words_needs_a_list_of_them(make, tmp_path):
    with pytest.raises(InputError, match="--words FILE"):
        export("kv", Request(Path("run"), make("trigrams")), tmp_path / "w.kv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["faiss", "usearch"])
def test_an_index_finds_each_text_at_its_line_number(make, tmp_path, name):
    encoder = make()
    lines = ["mount disk", "", "usb drive", "install driver kernel", "boot grub"]
    (tmp_path / "texts.txt").write_text("\n".join(lines) + "\n")
    vectors = exported(name, encoder, tmp_path / "out", texts=tmp_path / "texts.txt")(lines)
    assert np.abs(vectors - encoder.encode(lines)).max() < 1e-5
    question = encoder.encode(["the boot and grub"])
    if name == "faiss":
        import faiss

        scores, ids = faiss.read_index(str(tmp_path / "out" / "index.faiss")).search(question, 1)
        assert scores[0, 0] == pytest.approx(
            float(encoder.similarity(["the boot and grub"], ["boot grub"])[0, 0]), abs=1e-5
        )
    else:
        from usearch.index import Index

        ids = Index.restore(str(tmp_path / "out" / "index.usearch")).search(question, 1).keys
    assert np.ravel(ids).tolist() == [4]
    assert (tmp_path / "out" / "texts.txt").read_text().splitlines() == lines


def test_a_failed_export_leaves_nothing_and_keeps_the_earlier_one(make, tmp_path, monkeypatch):
    export("onnx", Request(Path("run"), make()), tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    monkeypatch.setattr("onnx.checker.check_model", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export("onnx", Request(Path("run"), make("words")), tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_missing_package_is_one_line_with_what_to_install(make, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(InputError, match=r"onnx is not installed; .*type pip install -e '\.\[export\]'"):
        export("onnx", Request(Path("run"), make()), tmp_path / "out")


def test_fidelity_counts_equal_vectors_and_the_mrr_of_both(make, tmp_path):
    encoder = make()
    rows = ["mount disk\tmount the disk\tusb drive\tboot", "wifi driver\tboot grub\twifi driver now\tkernel"]
    (tmp_path / "validation.tsv").write_text("\n".join(rows) + "\n")
    trial = trial_of(encoder, tmp_path)
    assert len(trial.texts) == 8 and trial.rows is not None
    same = compare(encoder, encoder.encode, trial)
    assert same.kept == 1 and same.same == 1
    worse = compare(encoder, lambda texts: np.zeros((len(texts), 24), dtype=np.float32), trial)
    assert worse.mrr == pytest.approx((0.75, 11 / 18)) and worse.same == 0  # all orders of three that tie


def test_two_zero_vectors_are_the_same_and_one_is_not():
    one = np.array([[1, 0], [0, 0], [0, 0], [1, 0]], dtype=np.float32)
    other = np.array([[2, 0], [0, 0], [1, 0], [1, 0.1]], dtype=np.float32)
    assert share_of_same(one, other) == 0.5 and 1 / np.hypot(1, 0.1) < SAME


def test_texts_are_made_up_alike_each_time(make):
    one, other = trial_of(make(), None), trial_of(make(), None)
    assert one.texts == other.texts and 5000 < len(one.texts) <= 10_000
