from pathlib import Path

import numpy as np
import pytest

from askagain.corpus.cache import Cache
from askagain.corpus.token_store import TokenStore
from askagain.evaluation.evaluate import evaluate_full_corpus, evaluate_ranking
from askagain.evaluation.full_corpus import full_ranking
from askagain.evaluation.worst_ranked import as_table, worst_ranked

VECTORS = {
    "question": [1, 0],
    "duplicate": [1, 1],
    "first": [5, 0],  # cosine 1
    "second": [3, 1],
    "third": [2, 1],
    "below": [0, 1],
    "same": [2, 2],  # points where the duplicate points
    "nothing": [0, 0],
}
ROWS = [
    ["question", "first", "second", "below"],  # nothing above
    ["question", "second", "first", "below"],
    ["question", "duplicate", "second", "below", "third", "first", "same"],
    ["nothing", "duplicate", "first", "second", "below"],  # all tied
    ["question", "duplicate", "third", "second", "below"],
]


class HandMade:
    """The encoder whose vectors are written above; notes the texts that it embeds."""

    dim = 2

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def encode(self, texts) -> np.ndarray:
        self.asked.append(list(texts))
        return np.array([VECTORS[text] for text in texts], dtype=np.float32)


@pytest.fixture
def ranking(tmp_path: Path) -> TokenStore:
    path = tmp_path / "validation.tsv"
    path.write_text("".join("\t".join(row) + "\n" for row in ROWS))
    return TokenStore(path, 3, "error", Cache(tmp_path / "cache"))


def find(ranking: TokenStore, rows: int = 10, candidates: int = 2):
    encoder = HandMade()
    return worst_ranked(
        encoder, ranking, evaluate_ranking(encoder, ranking, [1], "expected")[1], rows, candidates
    ), encoder


def test_the_worst_come_first_with_the_best_of_what_is_above_the_duplicate(ranking):
    found, _ = find(ranking)
    assert [(row.question, row.duplicate.text) for row in found] == [
        ("question", "duplicate"),
        ("question", "duplicate"),
        ("nothing", "duplicate"),
        ("question", "second"),
    ]
    assert [row.rank for row in found] == [4.5, 3.0, 2.5, 2.0]  # above + tied / 2 + 1
    assert [row.tied for row in found] == [1, 0, 3, 0]
    assert [[above.text for above in row.above] for row in found] == [
        ["first", "second"],
        ["second", "third"],
        [],
        ["first"],
    ]
    assert found[0].duplicate.score == pytest.approx(2**-0.5)
    assert [above.score for above in found[0].above] == pytest.approx([1, 3 / 10**0.5])
    assert found[2].duplicate.score == 0


def test_a_candidate_that_is_tied_is_never_among_those_above(ranking):
    found, _ = find(ranking, candidates=9)
    assert [above.text for above in found[0].above] == ["first", "second", "third"]


def test_only_the_texts_of_the_rows_that_are_shown_are_embedded_again(ranking):
    found, encoder = find(ranking, rows=1)
    assert len(found) == 1
    assert sorted(encoder.asked[-1]) == sorted(ROWS[2]) and len(encoder.asked) == 2


def test_where_every_duplicate_is_first_nothing_is_given(tmp_path):
    path = tmp_path / "validation.tsv"
    path.write_text("\t".join(ROWS[0]) + "\n")
    assert find(TokenStore(path, 3, "error", Cache(tmp_path / "cache")))[0] == []


@pytest.mark.parametrize("texts_per_block", [100, 2])
def test_among_all_texts_the_best_above_the_best_duplicate_are_given(tmp_path, texts_per_block):
    path = tmp_path / "validation.tsv"
    path.write_text("question\tduplicate\tsecond\tthird\nquestion\tbelow\tfirst\tsame\n")
    everything = full_ranking([], TokenStore(path, 3, "error", Cache(tmp_path / "cache")), pairs=True)
    ranks = evaluate_full_corpus(HandMade(), everything, [1], "expected")[1]
    (found,) = worst_ranked(HandMade(), everything, ranks, 10, 2, texts_per_block)
    assert (found.question, found.duplicate.text, found.rank, found.tied) == ("question", "duplicate", 4.5, 1)
    assert [above.text for above in found.above] == ["first", "second"]
    assert found.duplicate.score == pytest.approx(2**-0.5)
    assert [above.score for above in found.above] == pytest.approx([1, 3 / 10**0.5])


def test_a_table_has_columns_for_the_widest_row(ranking):
    columns, rows = as_table(find(ranking)[0])
    assert columns == ["question", "duplicate", "cosine", "rank", "tied", "above 1", "cosine 1", "above 2", "cosine 2"]
    assert rows[2] == ["nothing", "duplicate", 0.0, 2.5, 3, None, None, None, None]
    assert rows[3][5:] == ["first", pytest.approx(1), None, None]
    assert as_table([])[1] == []
