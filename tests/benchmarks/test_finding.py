"""What the benchmarks of search, duplicates and loading measure, and that every contender has the same vectors."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from askagain.benchmarks.finding import Finding, Peers, f1, load_benchmark, recall_at
from askagain.benchmarks.labelled_texts import LabelledTexts
from askagain.benchmarks.table import OURS
from askagain.corpus.files import CorpusFiles
from askagain.models.bag_encoder import BagEncoder
from askagain.text.features import Features
from askagain.text.ngrams import NgramTokenizer
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.vocabulary import WordVocabulary

PYTHON = os.environ.get("PEER_PYTHON", sys.executable)
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "benchmark_peers.py"
NEEDED = ["sentence_transformers", "model2vec", "semhash", "tokenizers"]
WORDS = [f"word{number}" for number in range(40)]
SEED = 3


@pytest.fixture
def peers():
    missing = f"import importlib.util, sys; print(*(n for n in {NEEDED} if importlib.util.find_spec(n) is None))"
    if lacking := subprocess.run([PYTHON, "-c", missing], capture_output=True, text=True, check=True).stdout.strip():
        pytest.skip(f"{PYTHON} lacks {lacking}; PEER_PYTHON names another one")
    return Peers(Path(PYTHON), SCRIPT)


@pytest.fixture
def labelled():
    """20 pairs of the same words in two orders, whose vectors are equal, and 20 other texts."""
    random = np.random.default_rng(SEED)
    drawn = [list(random.choice(WORDS, 4, replace=False)) for _ in range(40)]
    texts = [" ".join(words) for words in drawn] + [" ".join(reversed(words)) for words in drawn[:20]]
    groups = np.concatenate([np.arange(40), np.arange(20)])
    return LabelledTexts(texts, groups, [" ".join(words).upper() for words in drawn[:12]])


@pytest.fixture
def encoder():
    table = np.random.default_rng(SEED).standard_normal((len(WORDS), 16)).astype(np.float32)
    features = Features("words", WordVocabulary(WORDS), NgramTokenizer())
    return BagEncoder(TextPreprocessor(lowercase=True), features, table, normalize=True)


def measured(benchmark):
    """The values of each contender by key of the measure, from one round."""
    results = benchmark.compare(1, lambda line: None)
    return {key: result.values for key, result in zip(benchmark.measures, results, strict=True)}


def test_texts_are_distinct_and_the_last_of_each_of_the_first_groups_is_a_question(tmp_path):
    (tmp_path / "train.tsv").write_text("a\tb\tc\nd\te\nf\tg\nh\tf\n")
    (tmp_path / "corpus.txt").write_text("x\na\ny\n")
    files = CorpusFiles.locate(str(tmp_path))
    labelled = LabelledTexts.read(files, questions=2)
    assert labelled.questions == ["c", "e"]
    assert labelled.texts == ["a", "b", "d", "f", "g", "h", "x", "y"]
    a, b, d, f, g, h, x, y = labelled.groups.tolist()
    assert a == b and f == g == h  # two lines share f
    assert len({a, d, f, x, y}) == 5
    assert (labelled.duplicate_pairs, labelled.redundant_texts) == (4, 3)
    assert LabelledTexts.read(files, questions=0, texts=5).texts == ["a", "b", "c", "d", "e"]


def test_precision_and_recall_count_pairs_of_one_group():
    labelled = LabelledTexts(list("abcde"), np.array([0, 0, 0, 1, 1]), [])
    right_and_wrong = np.array([[0, 1], [4, 3], [2, 3]])
    assert labelled.quality(right_and_wrong, labelled.duplicate_pairs) == {"precision": 2 / 3, "recall": 2 / 4}
    assert labelled.quality(right_and_wrong, labelled.redundant_texts) == {"precision": 2 / 3, "recall": 2 / 3}
    nothing = labelled.quality(np.zeros((0, 2), dtype=np.int32), labelled.duplicate_pairs)
    assert nothing == {"precision": 0, "recall": 0} and f1(nothing) == 0
    assert f1({"precision": 0.5, "recall": 1.0}) == pytest.approx(2 / 3)


def test_recall_takes_any_of_equally_near_texts():
    texts = np.array([[1, 0], [1, 0], [0.8, 0.6], [0, 1]], dtype=np.float32)
    questions = np.array([[1, 0], [0, 1]], dtype=np.float32)
    assert recall_at(np.array([[0], [3]]), questions, texts) == 1
    assert recall_at(np.array([[1], [3]]), questions, texts) == 1
    assert recall_at(np.array([[1, 2], [3, 0]]), questions, texts) == 0.5 * (0.5 + 0.5)


def test_our_search_and_duplicates_are_measured_without_peers(tmp_path, labelled, encoder):
    finding = Finding(labelled, encoder, tmp_path, None)
    search = measured(finding.search())
    assert set(search) == {"end_to_end", "rate", "latency", "recall"}
    assert all(set(values) == {OURS} and values[OURS][0] > 0 for values in search.values())
    assert search["recall"][OURS] == [1]
    duplicates = measured(finding.duplicates())
    for kind in ("pairs", "groups"):
        assert duplicates[f"{kind}_seconds"][OURS][0] > 0
        assert [duplicates[f"{kind}_{name}"][OURS] for name in ("precision", "recall", "F1")] == [[1]] * 3


def test_a_first_vector_is_timed_with_the_table_read_and_mapped(tmp_path):
    values = measured(load_benchmark(200, 8, tmp_path, None))
    assert set(values) == {"read", "mapped"}
    assert all(0 < seconds[OURS][0] < 60 for seconds in values.values())


@pytest.mark.slow
def test_peers_answer_as_exactly_from_the_same_vectors(tmp_path, labelled, encoder, peers):
    search = measured(Finding(labelled, encoder, tmp_path, peers).search())
    for values in search.values():
        assert set(values) == {OURS, "sentence-transformers"}
        assert min(value for (value,) in values.values()) > 0
    assert search["recall"] == {OURS: [1], "sentence-transformers": [1]}


@pytest.mark.slow
def test_peers_find_the_pairs_and_groups_of_equal_vectors(tmp_path, labelled, encoder, peers):
    duplicates = measured(Finding(labelled, encoder, tmp_path, peers).duplicates())
    for kind, peer in (("pairs", "sentence-transformers"), ("groups", "SemHash")):
        for name in ("precision", "recall", "F1"):
            assert duplicates[f"{kind}_{name}"] == {OURS: [1], peer: [1]}
        assert min(seconds for (seconds,) in duplicates[f"{kind}_seconds"].values()) > 0


@pytest.mark.slow
def test_loading_is_measured_beside_model2vec(tmp_path, peers):
    for values in measured(load_benchmark(200, 8, tmp_path, peers)).values():
        assert set(values) == {OURS, "model2vec"}
        assert all(0 < seconds < 60 for (seconds,) in values.values())
