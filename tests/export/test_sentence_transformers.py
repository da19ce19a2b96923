"""Folders for sentence-transformers load there and in model2vec, and say what the encoder says of known words."""

from pathlib import Path

import numpy as np
import pytest

from askagain.errors import InputError
from askagain.export.fidelity import compare, trial_of
from askagain.export.formats import FORMATS, export
from askagain.export.request import Request
from tests.export.conftest import LONG, ODD, titles

package = pytest.importorskip("sentence_transformers")
KNOWN = titles(200)


def loaded(encoder, path, trusted=False, **options):
    """A function that encodes with sentence-transformers."""
    export("sentence-transformers", Request(Path("run"), encoder, **options), path)
    model = package.SentenceTransformer(str(path), device="cpu", trust_remote_code=trusted)
    return lambda texts: model.encode(texts, show_progress_bar=False)


def cosines(one, other):
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return (one * other).sum(axis=1) / np.maximum(lengths, 1e-9)


@pytest.mark.parametrize("tokenizer", ["words", "pieces"])
@pytest.mark.parametrize("kind", ["words_trigrams", "words_else_trigrams"])
@pytest.mark.parametrize("pooling", ["sum", "mean"])
def test_texts_of_known_words_get_the_direction_that_the_encoder_gives(make, tmp_path, tokenizer, kind, pooling):
    encoder = make(kind, pooling)
    encode = loaded(encoder, tmp_path / "out", tokenizer=tokenizer)
    assert np.abs(cosines(encode(KNOWN), encoder.encode(KNOWN)) - 1).max() < 1e-5


@pytest.mark.parametrize("tokenizer", ["words", "pieces"])
def test_stop_words_empty_texts_and_odd_ones_do_as_in_the_encoder(make, tmp_path, tokenizer):
    encoder = make()
    encode = loaded(encoder, tmp_path / "out", tokenizer=tokenizer)
    assert not encode(["", "   ", "the to How", "x", "?!"]).any()
    texts = ["C++ and r and c", "r", "the boot!", "wi\xadfi driver\twifi\n\nGRUB", "MOUNT,disk"]
    known = [text.replace(" and", "") for text in texts]
    assert np.abs(cosines(encode(known), encoder.encode(known)) - 1).max() < 1e-5
    assert np.isfinite(encode([*ODD, *LONG])).all()
    assert cosines(encode(LONG[:1]), encoder.encode(LONG[:1]))[0] > 0.9999


def test_pieces_give_unknown_words_vectors_near_the_encoders(make, tmp_path):
    encoder = make()
    unknown = ["mounting", "installer", "updates", "drives", "reinstall", "kernels", "reboot", "driverupdate"]
    near = cosines(loaded(encoder, tmp_path / "pieces", tokenizer="pieces")(unknown), encoder.encode(unknown))
    print(near.round(2))
    assert near.mean() > 0.6 and near.min() > 0.2
    assert not loaded(encoder, tmp_path / "words", tokenizer="words")(unknown).any()


def test_hashed_ngrams_of_several_sizes_have_pieces_too(make, tmp_path):
    from askagain.models.bag_encoder import BagEncoder
    from askagain.text.features import Features
    from askagain.text.ngrams import NgramTokenizer

    plain = make()
    features = Features("words_trigrams", plain.features.vocabulary, NgramTokenizer(sizes=(3, 4), buckets=5000))
    table = np.random.default_rng(4).standard_normal((features.size, 24)).astype(np.float32)
    encoder = BagEncoder(plain.preprocessor, features, table, normalize=True)
    encode = loaded(encoder, tmp_path / "out")
    unknown = ["mounting", "installer", "updates", "drives", "kernels"]
    assert cosines(encode(KNOWN), encoder.encode(KNOWN)).min() > 0.9999
    assert cosines(encode(unknown), encoder.encode(unknown)).min() > 0.2


def test_listed_words_get_their_own_vectors(make, tmp_path):
    encoder = make()
    (tmp_path / "words.txt").write_text("mounting\ninstaller\n")
    for tokenizer in ("words", "pieces"):
        encode = loaded(encoder, tmp_path / tokenizer, tokenizer=tokenizer, words=tmp_path / "words.txt")
        text = ["mounting the installer disk"]
        assert cosines(encode(text), encoder.encode(text))[0] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("kind", ["trigrams", "words"])
def test_kinds_without_words_or_without_letters_are_exported(make, tmp_path, kind):
    encoder = make(kind)
    encode = loaded(encoder, tmp_path / "out")
    assert cosines(encode(KNOWN), encoder.encode(KNOWN)).mean() > (0.5 if kind == "trigrams" else 0.9999)
    other = "words" if kind == "trigrams" else "pieces"
    with pytest.raises(InputError, match="--tokenizer"):
        loaded(encoder, tmp_path / "other", tokenizer=other)


@pytest.mark.parametrize("tokenizer", ["words", "pieces"])
def test_model2vec_reads_the_same_folder(make, tmp_path, tokenizer):
    model2vec = pytest.importorskip("model2vec")
    encoder = make()
    encode = loaded(encoder, tmp_path / "out", tokenizer=tokenizer)
    texts = [*KNOWN, *ODD]
    texts += LONG
    model = model2vec.StaticModel.from_pretrained(tmp_path / "out")
    assert np.abs(model.encode(texts) - encode(texts)).max() < 1e-5


def test_an_exact_folder_gives_the_encoders_own_vectors_to_those_who_trust_its_code(make, tmp_path):
    encoder = make("words_trigrams_pairs")
    encode = loaded(encoder, tmp_path / "out", trusted=True, exact=True)
    texts = [*KNOWN, *ODD]
    assert np.abs(encode(texts) - encoder.encode(texts)).max() < 1e-6
    with pytest.raises(ValueError, match="trust_remote_code"):
        package.SentenceTransformer(str(tmp_path / "out"), device="cpu")


def test_an_exact_model_is_saved_and_loaded_again(make, tmp_path):
    encoder = make()
    loaded(encoder, tmp_path / "out", trusted=True, exact=True)
    model = package.SentenceTransformer(str(tmp_path / "out"), device="cpu", trust_remote_code=True)
    model.save(str(tmp_path / "saved"), create_model_card=False)
    again = package.SentenceTransformer(str(tmp_path / "saved"), device="cpu", trust_remote_code=True)
    assert np.array_equal(again.encode(KNOWN), model.encode(KNOWN)) and again.get_embedding_dimension() == encoder.dim


def test_words_that_are_not_split_at_spaces_need_an_exact_folder(make, tmp_path):
    encoder = make(split="regex", pattern=r"\w+")
    with pytest.raises(InputError, match="--exact"):
        loaded(encoder, tmp_path / "plain")
    assert loaded(encoder, tmp_path / "out", trusted=True, exact=True)(["mount"]).any()


@pytest.mark.slow
def test_real_titles_keep_their_vectors_and_their_ranking(askubuntu, tmp_path):
    from tests.export.real import encoder_of_titles

    encoder = encoder_of_titles(askubuntu)
    trial = trial_of(encoder, askubuntu)
    texts = [*trial.texts[:10_000], *ODD]
    for name, options, path in (
        ("sentence-transformers", {"exact": True}, tmp_path / "exact"),
        ("onnx", {}, tmp_path / "onnx"),
        ("askagain", {}, tmp_path / "folder"),
    ):
        request = Request(Path("run"), encoder, **options)
        export(name, request, path)
        assert np.abs(FORMATS[name].read(request, path)(texts) - encoder.encode(texts)).max() < 1e-5, name
    kept = {}
    for tokenizer in ("words", "pieces"):
        request = Request(Path("run"), encoder, tokenizer=tokenizer)
        export("sentence-transformers", request, tmp_path / tokenizer)
        fidelity = compare(encoder, FORMATS["sentence-transformers"].read(request, tmp_path / tokenizer), trial)
        kept[tokenizer] = fidelity.kept
    print(kept)
    assert min(kept.values()) > 0.93
