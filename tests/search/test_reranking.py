import numpy as np
import pytest

from askagain.errors import InputError
from askagain.search.index_writer import IndexWriter
from askagain.search.questions import Question
from askagain.search.reranking import rerank
from tests.search.conftest import some_questions


class KnowsBodies:
    """A model that likes texts with a certain word."""

    def scores(self, question, candidates):
        return np.array([float("hangs" in text) for text in candidates])


def test_a_model_reads_what_the_encoder_read_and_its_score_comes_first(encoder, tmp_path):
    questions = [Question("a", "quit vim", "quit vim"), Question("b", "leave vim", "leave vim it hangs")]
    index = IndexWriter.create(tmp_path / "index", encoder, questions).index
    (hits,) = rerank(index, KnowsBodies(), ["quit vim"], 2, hybrid=False)
    assert [hit.id for hit in hits] == ["b", "a"] and hits[0].score > 1
    (alone,) = rerank(index, KnowsBodies(), ["quit vim"], 1, hybrid=False)
    assert [hit.id for hit in alone] == ["b"]


def test_an_index_replaces_another_one_but_no_folder_of_the_users(encoder, tmp_path):
    folder = tmp_path / "index"
    IndexWriter.create(folder, encoder, some_questions(5))
    writer = IndexWriter.create(folder, encoder, some_questions(6, seed=1))
    writer.add(some_questions(2, seed=2))  # whoever replaced it does not keep the lock
    assert len(writer.index) == 8
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something else than an index; name another folder"):
        IndexWriter.create(folder, encoder, some_questions(5))
    assert (folder / "notes.txt").read_text() == "mine"
