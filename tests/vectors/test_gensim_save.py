"""What gensim saved is read, its table inside or beside the file, and nothing that a pickle names is run."""

import gzip
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from askagain.errors import InputError
from askagain.vectors.sources import vector_file


class Command:
    """Unpickled in the usual way it makes a file."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.made}",)


@pytest.mark.parametrize("how", [{"sep_limit": 1}, {"separately": ["vectors"]}, {}])
def test_the_table_is_read_wherever_gensim_put_it(keyed_vectors: Any, tmp_path: Path, how: dict[str, Any]) -> None:
    path = tmp_path / "some.kv"
    keyed_vectors.fill_norms()
    keyed_vectors.save(str(path), **how)
    assert (tmp_path / "some.kv.vectors.npy").exists() == bool(how)
    vectors = vector_file(path)
    assert vectors.words == keyed_vectors.index_to_key
    np.testing.assert_array_equal(vectors.table, keyed_vectors.vectors)


def test_trained_vectors_are_read(tmp_path: Path) -> None:
    from gensim.models import Word2Vec

    trained = Word2Vec([["a", "b"], ["b", "c"]], min_count=1, vector_size=4, workers=1, seed=1).wv
    trained.save(str(tmp_path / "trained.kv"))
    vectors = vector_file(tmp_path / "trained.kv")
    assert vectors.words == trained.index_to_key
    np.testing.assert_array_equal(vectors.table, trained.vectors)


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_other_float_widths_become_float32(tmp_path: Path, kind: type) -> None:
    from gensim.models import KeyedVectors

    saved = KeyedVectors(2, dtype=kind)
    saved.add_vectors(["a", "b"], np.asfortranarray([[1.5, 2], [3, 4]], dtype=kind))
    saved.vectors = np.asfortranarray(saved.vectors)
    saved.save(str(tmp_path / "wide.kv"))
    vectors = vector_file(tmp_path / "wide.kv")
    assert vectors.table.dtype == np.float32
    assert vectors.table.tolist() == [[1.5, 2], [3, 4]]


def test_a_pickle_that_runs_a_command_is_refused_and_not_run(tmp_path: Path) -> None:
    made = tmp_path / "made"
    path = tmp_path / "evil.kv"
    path.write_bytes(pickle.dumps(Command(made), protocol=4))
    with pytest.raises(InputError, match=r"evil\.kv .* names posix\.system: .*save_word2vec_format"):
        vector_file(path)
    assert not made.exists()
    pickle.loads(path.read_bytes())
    assert made.exists(), "the pickle must be one that would have run"


def test_a_command_hidden_in_a_real_save_is_refused_and_not_run(keyed_vectors: Any, tmp_path: Path) -> None:
    made = tmp_path / "made"
    keyed_vectors.extra = Command(made)
    keyed_vectors.save(str(tmp_path / "evil.kv"))
    with pytest.raises(InputError, match=r"names posix\.system"):
        vector_file(tmp_path / "evil.kv")
    assert not made.exists()


def test_a_pickled_array_beside_the_file_is_not_unpickled(keyed_vectors: Any, tmp_path: Path) -> None:
    keyed_vectors.save(str(tmp_path / "some.kv"), sep_limit=1)
    made = tmp_path / "made"
    side = tmp_path / "some.kv.vectors.npy"
    np.save(side, np.array([Command(made)], dtype=object), allow_pickle=True)
    for content in (side.read_bytes(), pickle.dumps(Command(made))):
        side.write_bytes(content)
        with pytest.raises(InputError, match=r"some\.kv\.vectors\.npy is not a readable array"):
            vector_file(tmp_path / "some.kv")
        assert not made.exists()


def test_a_save_of_another_class_names_it(tmp_path: Path) -> None:
    from gensim.models import Word2Vec

    Word2Vec([["a", "b"]], min_count=1, vector_size=4, workers=1).save(str(tmp_path / "whole.model"))
    with pytest.raises(InputError, match=r"names gensim\.models\.word2vec\.Word2Vec: .*save_word2vec_format"):
        vector_file(tmp_path / "whole.model")


def test_a_missing_table_beside_the_file_is_named(keyed_vectors: Any, tmp_path: Path) -> None:
    keyed_vectors.save(str(tmp_path / "some.kv"), sep_limit=1)
    (tmp_path / "some.kv.vectors.npy").unlink()
    with pytest.raises(InputError, match=r"some\.kv\.vectors\.npy, which is missing"):
        vector_file(tmp_path / "some.kv")


def test_every_truncation_is_one_line(keyed_vectors: Any, tmp_path: Path) -> None:
    path = tmp_path / "some.kv"
    keyed_vectors.save(str(path))
    whole = path.read_bytes()
    for kept in range(3, len(whole), 7):
        path.write_bytes(whole[:kept])
        with pytest.raises(InputError, match="not a readable gensim save"):
            vector_file(path)


def test_damaged_bytes_give_vectors_or_one_line_but_never_another_error(keyed_vectors: Any, tmp_path: Path) -> None:
    path = tmp_path / "some.kv"
    keyed_vectors.save(str(path))
    whole = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    seed = 11
    print(f"seed {seed}")
    random = np.random.default_rng(seed)
    refused = 0
    for _ in range(300):
        damaged = whole.copy()
        damaged[random.integers(2, len(whole), size=2)] = random.integers(0, 256, size=2)
        path.write_bytes(damaged.tobytes())
        try:
            assert np.isfinite(vector_file(path, format="gensim").table).all()
        except InputError:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("content", [{"index_to_key": ["a"]}, ["a"], 7])
def test_a_pickle_of_something_else_is_refused(tmp_path: Path, content: object) -> None:
    (tmp_path / "other.kv").write_bytes(pickle.dumps(content, protocol=4))
    with pytest.raises(InputError, match="no save of KeyedVectors"):
        vector_file(tmp_path / "other.kv")


def test_words_and_rows_that_do_not_match_and_words_that_are_none_are_refused(
    keyed_vectors: Any, tmp_path: Path
) -> None:
    path = tmp_path / "some.kv"
    keyed_vectors.index_to_key = keyed_vectors.index_to_key[:-1]
    keyed_vectors.save(str(path))
    with pytest.raises(InputError, match="5 words and 6 vectors"):
        vector_file(path)
    keyed_vectors.index_to_key = [1, 2]
    keyed_vectors.save(str(path))
    with pytest.raises(InputError, match="no list of words"):
        vector_file(path)


def test_not_finite_numbers_name_the_word(keyed_vectors: Any, tmp_path: Path) -> None:
    keyed_vectors.vectors[3, 2] = np.nan
    keyed_vectors.save(str(tmp_path / "some.kv"))
    with pytest.raises(InputError, match=r"some\.kv, word 4: the vector of 'cat' holds NaN"):
        vector_file(tmp_path / "some.kv")


def test_a_compressed_save_says_to_unpack_it(keyed_vectors: Any, tmp_path: Path) -> None:
    keyed_vectors.save(str(tmp_path / "some.kv"))
    (tmp_path / "some.kv.gz").write_bytes(gzip.compress((tmp_path / "some.kv").read_bytes()))
    with pytest.raises(InputError, match="gunzip"):
        vector_file(tmp_path / "some.kv.gz")
