from pathlib import Path

import pytest

from askagain.corpus.cache import Cache
from askagain.corpus.token_store import TokenStore
from askagain.evaluation.full_corpus import full_ranking


@pytest.fixture
def store(tmp_path: Path):
    def write(name: str, *rows: str) -> TokenStore:
        path = tmp_path / name
        path.write_text("".join("\t".join(row.split()) + "\n" for row in rows))
        return TokenStore(path, 2, "error", Cache(tmp_path / "cache"))

    return write


def duplicates_of(found) -> dict[str, set[str]]:
    return {
        found.texts[question]: {found.texts[text] for text in found.duplicates.bag(i)}
        for i, question in enumerate(found.questions)
    }


def test_questions_of_rows_are_asked_once_and_rows_that_share_a_text_are_one_group(store):
    rows = store("validation.tsv", "q1 d1 n1 n2", "q2 d2 n1 q1", "q1 d3 n2", "q3 d2 n3", "q4 q4 n1")
    found = full_ranking([store("train.tsv", "t1 t2", "t2 n1")], rows, pairs=True)
    assert duplicates_of(found) == {"q1": {"d1", "d3"}, "q2": {"d2", "q3"}, "q3": {"d2", "q2"}}
    assert sorted(found.texts) == ["d1", "d2", "d3", "n1", "n2", "n3", "q1", "q2", "q3", "q4", "t1", "t2"]


def test_every_member_of_a_group_is_a_question_and_all_others_its_duplicates(store):
    found = full_ranking([store("more.tsv", "x y")], store("groups.tsv", "a b c", "d e", "e f", "g g"), pairs=False)
    assert duplicates_of(found) == {
        **{"a": {"b", "c"}, "b": {"a", "c"}, "c": {"a", "b"}},
        **{"d": {"e", "f"}, "e": {"d", "f"}, "f": {"d", "e"}},
    }
    assert sorted(found.texts) == list("abcdefgxy")
