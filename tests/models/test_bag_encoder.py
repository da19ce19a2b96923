import doctest
import json
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import askagain
from askagain.errors import InputError
from askagain.files.checksums import write_checksums
from askagain.models import bag_encoder
from askagain.models.bag_encoder import BagEncoder
from askagain.models.checkpoint import checkpoint_entry
from askagain.models.folder import TABLE, save_encoder
from askagain.models.mean_of_vectors import mean_of_vectors
from askagain.text.features import Features
from askagain.text.ngrams import NgramTokenizer
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.vocabulary import WordVocabulary
from askagain.text.word_pairs import WordPairs
from askagain.vectors.sources import vector_file
from askagain.vectors.word_vectors import WordVectors

VECTORS = WordVectors(["disk", "mount", "usb"], np.array([[1, 0], [0, 2], [3, 3]], dtype=np.float32), "three words")
CLEAN = TextPreprocessor("?", stopwords=["how", "to"])


def encoder(**settings) -> BagEncoder:
    features = Features("words_trigrams", WordVocabulary(["disk"]), NgramTokenizer.from_words(["disk", "mount"]))
    table = torch.randn(features.size, 4, generator=torch.Generator().manual_seed(1))
    return BagEncoder(CLEAN, features, table, **settings)


def test_the_mean_of_known_words_vectors_and_zero_where_none_is_known():
    found = mean_of_vectors(CLEAN, VECTORS).encode(["How to mount usb disk?", "usb unheard disk", "unheard", ""])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[4 / 3, 5 / 3], [2, 1.5], [0, 0], [0, 0]], rtol=1e-6)


@pytest.mark.parametrize("clean", [True, False])
def test_words_of_vectors_are_known_in_the_spelling_of_texts_cleaned_or_not(tmp_path, clean):
    (tmp_path / "some.vec").write_text("2 2\ndisk 1 0\ncafe\u0301 0 2\n", encoding="utf-8")
    vectors = vector_file(tmp_path / "some.vec")
    one = mean_of_vectors(TextPreprocessor(clean=clean), vectors)
    assert one.encode(["cafe\u0301 disk", "caf\u00e9"]).tolist() == [[0.5, 1], [0, 2]]
    assert vectors.words == ["disk", "caf\u00e9"] and one.features.size == (2 if clean else 3)


def test_no_text_gives_no_row():
    assert mean_of_vectors(CLEAN, VECTORS).encode([]).shape == (0, 2)


def test_sum_and_mean_point_the_same_way_and_normalized_vectors_have_length_one():
    texts = ["mount the disk", "disk", "xyz"]
    total, mean, unit = (encoder(**s).encode(texts) for s in ({}, {"pooling": "mean"}, {"normalize": True}))
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), [1, 1, 0], atol=1e-6)
    for row in range(2):
        cosine = total[row] @ mean[row] / np.linalg.norm(total[row]) / np.linalg.norm(mean[row])
        assert cosine == pytest.approx(1, abs=1e-6)


def test_a_truncated_encoder_gives_the_first_numbers_scaled_to_length_one_again(tmp_path):
    save_encoder(encoder(normalize=True), tmp_path)
    texts = ["mount the disk", "disk", "xyz"]
    first = askagain.load(tmp_path).encode(texts)[:, :3]
    expected = first / np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-12)
    np.testing.assert_allclose(askagain.load(tmp_path, dim=3).encode(texts), expected, atol=1e-6)
    with pytest.raises(InputError, match=r"^dim=5: must be from 1 to 4"):
        askagain.load(tmp_path, dim=5)


def test_equal_bags_give_bitwise_equal_rows_wherever_they_stand():
    texts = [f"disk {i}" for i in range(500)] + ["mount usb disk", "disk usb mount"]
    first = encoder().encode(texts)
    assert np.array_equal(first[-1], first[-2])
    assert np.array_equal(first[-1], encoder().encode(["disk mount usb"])[0])


def test_a_large_batch_is_embedded_in_blocks_with_the_same_result(monkeypatch):
    texts = [f"disk mount {i}" for i in range(50)]
    whole = encoder().encode(texts)
    monkeypatch.setattr("askagain.models.bag_encoder.TEXTS_A_BLOCK", 7)
    assert np.array_equal(encoder().encode(texts), whole)


@pytest.mark.parametrize("where", ["", "encoder"])
def test_a_saved_encoder_loads_from_its_folder_and_from_the_run_and_encodes_the_same(tmp_path, where):
    one = encoder(pooling="mean", normalize=True)
    save_encoder(one, tmp_path / "run" / "encoder")
    other = askagain.load(tmp_path / "run" / where)
    texts = ["How to mount?", "disk", ""]
    assert np.array_equal(other.encode(texts), one.encode(texts))
    assert other.dim == 4 and other.normalize


def test_what_is_saved_is_json_and_safetensors_and_nothing_pickled(tmp_path):
    save_encoder(encoder(), tmp_path / "encoder")
    names = sorted(path.name for path in (tmp_path / "encoder").iterdir())
    assert names == [
        "checksums.json", "encoder.json", "lookup.safetensors", "ngrams.json", "table.safetensors", "words.json",
    ]  # fmt: skip
    assert json.loads((tmp_path / "encoder" / "words.json").read_text()) == ["disk"]
    assert [path.name for path in tmp_path.iterdir()] == ["encoder"]  # no temporary folder is left behind


def with_pairs() -> BagEncoder:
    pairs = WordPairs(np.array([0 << 32 | 1, 1 << 32 | 0]))
    features = Features("words_pairs", WordVocabulary(["disk", "usb"]), NgramTokenizer(), pairs)
    return BagEncoder(CLEAN, features, torch.eye(4))


def test_an_encoder_with_word_pairs_knows_the_order_of_words_also_when_it_is_read_back(tmp_path):
    save_encoder(with_pairs(), tmp_path / "encoder")
    texts = ["usb disk", "disk usb?", "disk how usb disk", "disk"]
    expected = [[1, 1, 0, 1], [1, 1, 1, 0], [2, 1, 1, 1], [1, 0, 0, 0]]
    for one in (with_pairs(), askagain.load(tmp_path), pickle.loads(pickle.dumps(with_pairs()))):
        assert one.encode(texts).tolist() == expected


@pytest.mark.parametrize(
    "tokenizer",
    [NgramTokenizer.from_words(["disk", "mount"], sizes=(2, 4)), NgramTokenizer(sizes=(3, 5), buckets=20)],
    ids=["sizes", "buckets"],
)
def test_an_encoder_with_other_ngrams_than_known_trigrams_is_written_and_read(tmp_path, tokenizer):
    features = Features("words_trigrams", WordVocabulary(["disk"]), tokenizer)
    one = BagEncoder(CLEAN, features, torch.randn(features.size, 4))
    save_encoder(one, tmp_path / "encoder")
    texts = ["mounted disks", "unheard", "disk"]
    assert np.array_equal(askagain.load(tmp_path).encode(texts), one.encode(texts))
    (tmp_path / "encoder" / "ngrams.json").write_text("{}")
    with pytest.raises(InputError, match="damaged encoder folder"):
        askagain.load(tmp_path)


def test_lost_pairs_are_named(tmp_path):
    save_encoder(with_pairs(), tmp_path / "encoder")
    (tmp_path / "encoder" / "pairs.safetensors").unlink()
    with pytest.raises(InputError, match="damaged encoder folder"):
        askagain.load(tmp_path)


def test_saving_again_replaces_the_folder(tmp_path):
    save_encoder(encoder(), tmp_path / "encoder")
    save_encoder(mean_of_vectors(CLEAN, VECTORS), tmp_path / "encoder")
    assert askagain.load(tmp_path / "encoder").dim == 2


def widen_table(folder):
    save_file({"table": torch.zeros(encoder().features.size, 8)}, folder / "table.safetensors")


def halve_precision(folder):
    save_file({"table": torch.zeros(encoder().features.size, 4).half()}, folder / "table.safetensors")


def repeat_a_word(folder):
    (folder / "words.json").write_text('["disk", "disk"]')


def setting(name, value):
    def change(folder):
        settings = json.loads((folder / "encoder.json").read_text())
        settings[name] = value
        (folder / "encoder.json").write_text(json.dumps(settings))

    return change


def read_stop_words_elsewhere(folder):
    settings = json.loads((folder / "encoder.json").read_text())
    settings["preprocessor"]["stopwords"] = "/etc/hostname"
    (folder / "encoder.json").write_text(json.dumps(settings))


DAMAGES = {
    "words.json is no JSON": lambda folder: (folder / "words.json").write_text("["),
    "the table is no safetensors": lambda folder: (folder / "table.safetensors").write_bytes(b"x" * 100),
    "the table is short": lambda folder: save_file({"table": torch.zeros(2, 4)}, folder / "table.safetensors"),
    "the table is wide": widen_table,
    "the table is of half precision": halve_precision,
    "words.json is lost": lambda folder: (folder / "words.json").unlink(),
    "a word stands twice": repeat_a_word,
    "another format": setting("format", 99),
    "another dim": setting("dim", 5),
    "normalize is no boolean": setting("normalize", "no"),
    "unknown features": setting("features", "letters"),
    "stop words from elsewhere": read_stop_words_elsewhere,
    "a word that is half a character": lambda folder: (folder / "words.json").write_text('["\\ud800", "b", "c"]'),
    "settings nested too deeply": lambda folder: (folder / "encoder.json").write_text("[" * 100_000),
    "settings that are a list": lambda folder: (folder / "encoder.json").write_text("[]"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_folder_is_named(tmp_path, damage):
    save_encoder(encoder(), tmp_path / "encoder")
    damage(tmp_path / "encoder")
    with pytest.raises(InputError, match="damaged encoder folder"):
        askagain.load(tmp_path)
    write_checksums(tmp_path / "encoder")  # as somebody could who means it
    with pytest.raises(InputError, match=r"/encoder: "):
        askagain.load(tmp_path)


def test_an_encoder_without_checksums_is_refused_unless_an_earlier_version_has_saved_it(tmp_path, caplog):
    save_encoder(encoder(), tmp_path / "encoder")
    (tmp_path / "encoder" / "checksums.json").unlink()
    with pytest.raises(InputError, match=r"checksums\.json is missing"):
        askagain.load(tmp_path)
    setting("format", 1)(tmp_path / "encoder")
    assert askagain.load(tmp_path).dim == 4 and "without checksums" in caplog.text


def test_an_encoder_of_before_texts_were_cleaned_still_knows_its_words(tmp_path):
    features = Features("words", WordVocabulary(["cafe\u0301"]), NgramTokenizer())
    one = BagEncoder(TextPreprocessor(clean=False), features, torch.ones(1, 2))
    save_encoder(one, tmp_path / "encoder")
    path = tmp_path / "encoder" / "encoder.json"
    settings = json.loads(path.read_text())
    del settings["preprocessor"]["clean"]
    path.write_text(json.dumps(settings | {"format": 1}))
    (tmp_path / "encoder" / "checksums.json").unlink()
    entry = checkpoint_entry(one, "weights", None)
    entry["files"]["encoder.json"] = torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)
    torch.save({"state_dict": {"weights": torch.ones(1, 2)}, "encoder": entry}, tmp_path / "old.ckpt")
    for saved in (tmp_path / "encoder", tmp_path / "old.ckpt"):
        assert askagain.load(saved).encode(["cafe\u0301"]).tolist() == [[1, 1]]


@pytest.mark.parametrize("name", ["os.system", "posix.system", "tests.no_module.Splitter"])
def test_no_class_that_an_encoder_names_is_made(tmp_path, name):
    save_encoder(encoder(), tmp_path / "encoder")
    settings = json.loads((tmp_path / "encoder" / "encoder.json").read_text())
    settings["preprocessor"]["split"] = {"_target_": name, "command": f"touch {tmp_path}/made"}
    settings["_target_"] = name
    (tmp_path / "encoder" / "encoder.json").write_text(json.dumps(settings))
    write_checksums(tmp_path / "encoder")
    with pytest.raises(InputError, match=f"words are split by {name}, which was not imported"):
        askagain.load(tmp_path)
    assert not (tmp_path / "made").exists()


def test_a_path_without_encoder_is_named(tmp_path):
    with pytest.raises(InputError, match="no encoder here"):
        askagain.load(tmp_path)
    with pytest.raises(InputError, match="no such checkpoint"):
        askagain.load(tmp_path / "last.ckpt")


def test_one_string_is_not_taken_for_a_list_of_texts():
    with pytest.raises(TypeError, match="give a list of texts"):
        encoder().encode("mount disk")


def write_checkpoint(path, table, row_weights=None, **changes):
    """What a training checkpoint holds of `encoder()`."""
    state = {"bag.weight": table} | ({} if row_weights is None else {"weights": row_weights})
    entry = checkpoint_entry(encoder(), "bag.weight", None if row_weights is None else "weights")
    torch.save({"state_dict": state, "encoder": entry | changes}, path)


def test_a_checkpoint_alone_is_an_encoder_with_its_own_weights(tmp_path):
    table = torch.randn(encoder().features.size, 4)
    write_checkpoint(tmp_path / "moved.ckpt", table)
    expected = BagEncoder(CLEAN, encoder().features, table, normalize=encoder().normalize)
    texts = ["mount the disk", "disk?", "xyz"]
    assert np.array_equal(askagain.load(tmp_path / "moved.ckpt").encode(texts), expected.encode(texts))


def test_weights_of_features_in_a_checkpoint_scale_its_rows(tmp_path):
    rows = encoder().features.size
    write_checkpoint(tmp_path / "last.ckpt", torch.ones(rows, 4), torch.arange(rows).float())
    table = askagain.load(tmp_path / "last.ckpt").table.rows
    assert np.array_equal(table, np.arange(rows)[:, None].repeat(4, axis=1))


def test_a_checkpoint_with_weights_of_another_shape_or_damaged_files_is_refused(tmp_path):
    path = tmp_path / "last.ckpt"
    rows = encoder().features.size
    for shape in ((3, 4), (rows, 1)):
        write_checkpoint(path, torch.zeros(shape))
        with pytest.raises(InputError, match="not a checkpoint"):
            askagain.load(path)
    write_checkpoint(path, torch.zeros(rows, 4), files={"encoder.json": torch.zeros(3, dtype=torch.uint8)})
    with pytest.raises(InputError, match="not a checkpoint"):
        askagain.load(path)
    torch.save({"state_dict": {"bag.weight": torch.zeros(rows, 4)}}, path)
    with pytest.raises(InputError, match="not a checkpoint"):
        askagain.load(path)


def test_a_file_in_a_checkpoint_cannot_be_written_elsewhere(tmp_path):
    path = tmp_path / "last.ckpt"
    entry = checkpoint_entry(encoder(), "bag.weight", None)
    entry["files"][str(tmp_path / "stray.json")] = torch.zeros(3, dtype=torch.uint8)
    write_checkpoint(path, torch.zeros(encoder().features.size, 4), files=entry["files"])
    askagain.load(path)
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


class Malicious:
    def __reduce__(self):
        return (exec, ("raise SystemExit('unpickled')",))


def test_a_checkpoint_is_never_unpickled(tmp_path):
    path = tmp_path / "last.ckpt"
    path.write_bytes(pickle.dumps({"state_dict": Malicious()}))
    with pytest.raises(InputError, match="not a checkpoint"):
        askagain.load(path)


def test_another_pooling_and_a_table_that_does_not_fit_are_refused():
    with pytest.raises(InputError, match="sum, mean"):
        encoder(pooling="max")
    with pytest.raises(InputError, match="the features need"):
        BagEncoder(CLEAN, encoder().features, torch.zeros(1, 4))


def test_encode_takes_batches_lengths_and_dims_without_changing_the_numbers():
    one = encoder()
    texts = ["mount the disk", "disk", "xyz", ""] * 5
    vectors = one.encode(texts)
    assert np.array_equal(one.encode(texts, batch_size=3, show_progress=True), vectors)
    assert np.array_equal(one.encode(texts, dim=2), vectors[:, :2])
    unit = one.encode(texts, normalize=True, dim=3)
    expected = vectors[:, :3] / np.maximum(np.linalg.norm(vectors[:, :3], axis=1, keepdims=True), 1e-12)
    np.testing.assert_allclose(unit, expected, atol=1e-6)
    assert np.array_equal(encoder(normalize=True).encode(texts, normalize=False), vectors)
    for wrong, said in (({"batch_size": 0}, "batch_size=0: must be at least 1"), ({"dim": 5}, "dim=5: must be from 1")):
        with pytest.raises(InputError, match=said):
            one.encode(texts, **wrong)


def test_similarity_is_the_cosine_of_texts_or_of_their_vectors():
    one = encoder()
    a, b = ["mount disk", "xyz"], ["disk", "mount", "mount disk"]
    vectors = one.encode(a)
    cosines = one.similarity(a, b)
    assert np.array_equal(one.similarity(vectors, one.encode(b)), cosines)
    assert np.array_equal(vectors, one.encode(a))  # what is given is left as it is
    assert cosines.shape == (2, 3) and cosines[0, 2] == pytest.approx(1) and not cosines[1].any()
    with pytest.raises(InputError, match=r"vectors have the shape \(2, 3\); \[texts, 4\] is needed"):
        one.similarity(vectors[:, :3], b)


def test_candidates_are_ranked_best_first_and_tied_ones_keep_their_order():
    order, scores = encoder().rank("mount disk", ["xyz", "disk mount", "unheard", "mount disk"])
    assert order.tolist()[:2] == [1, 3] and scores.tolist()[:2] == pytest.approx([1, 1])
    assert [place for place in order.tolist() if place in (0, 2)] == [0, 2]


@pytest.mark.parametrize("memory_map", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_an_encoder_saved_with_small_numbers_gives_nearly_the_same_vectors(tmp_path, dtype, memory_map):
    one = encoder(normalize=True)
    one.save(tmp_path / "encoder", dtype=dtype)
    other = askagain.load(tmp_path / "encoder", memory_map=memory_map)
    texts = ["mount the disk", "disk", "xyz"]
    assert other.table.dtype == dtype
    np.testing.assert_allclose(other.encode(texts), one.encode(texts), atol={"float32": 0}.get(dtype, 0.01))
    other.save(tmp_path / "again")
    assert np.array_equal(askagain.load(tmp_path / "again").encode(texts), other.encode(texts))
    assert askagain.load(tmp_path / "again", dim=2).encode(texts).shape == (3, 2)


def test_damage_that_a_mapped_table_is_not_checked_for_is_no_crash(tmp_path):
    save_encoder(encoder(), tmp_path / "encoder")
    for content in (b"", b"\xff" * 8, b"\x02" + b"\0" * 7 + b"{}", (tmp_path / "encoder" / TABLE).read_bytes()[:-3]):
        (tmp_path / "encoder" / TABLE).write_bytes(content)
        write_checksums(tmp_path / "encoder")
        with pytest.raises(InputError, match="damaged encoder folder"):
            askagain.load(tmp_path, memory_map=True)


def test_the_examples_of_the_class_run():
    assert doctest.testmod(bag_encoder).failed == 0
    assert doctest.testmod(bag_encoder).attempted > 5


@pytest.mark.parametrize("kind", ["words_trigrams", "words_trigrams_pairs"])
def test_a_folded_encoder_gives_the_same_vectors_and_unfolds_again(kind):
    encoder = spelled(kind)
    folded = encoder.folded()
    texts = ["mount a disk", "mounting disks", "disk disk", "unheard of", "", "mount"]
    assert folded.features.kind == kind.replace("words_trigrams", "words_else_trigrams")
    np.testing.assert_allclose(folded.encode(texts), encoder.encode(texts), atol=1e-6)
    assert len(folded.tokenize(["mount a disk"]).ids) < len(encoder.tokenize(["mount a disk"]).ids) / 2
    again = folded.unfolded()
    assert again.features.kind == kind
    np.testing.assert_allclose(again.table.rows, encoder.table.rows, atol=1e-5)
    assert encoder.unfolded() is encoder and folded.folded() is folded


def test_only_sums_of_words_and_their_n_grams_are_folded():
    encoder = spelled("words_trigrams")
    mean = BagEncoder(encoder.preprocessor, encoder.features, encoder.table, "mean", normalize=True)
    regressor = BagEncoder(encoder.preprocessor, encoder.features.of_kind("words_else_trigrams"), encoder.table)
    assert mean.folded() is mean and regressor.unfolded() is regressor


def spelled(kind):
    preprocessor = TextPreprocessor()
    words = ["mount", "a", "disk", "mounting"]
    pairs = WordPairs(np.array([(0 << 32) | 1, (2 << 32) | 2])) if kind.endswith("pairs") else None
    features = Features(kind, WordVocabulary(words), NgramTokenizer.from_words(words), pairs)
    table = np.random.default_rng(0).standard_normal((features.size, 8)).astype(np.float32)
    return BagEncoder(preprocessor, features, table, normalize=True)
