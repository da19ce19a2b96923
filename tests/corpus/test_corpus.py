"""A corpus says what makes training on it, or ranking it, mean something else than it seems to."""

import logging

import pytest

from askagain.corpus.cache import Cache
from askagain.corpus.corpus import Corpus
from askagain.corpus.files import CorpusFiles
from askagain.errors import InputError
from askagain.text.preprocessor import TextPreprocessor

QUORA = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
PAIRS = [f"how to quit {i}\tleaving {i}" for i in range(12)]


@pytest.fixture
def corpus(tmp_path):
    """Makes a corpus of the lines of its files."""

    def make(**files):
        for name, lines in files.items():
            (tmp_path / f"{name}.tsv").write_text("\n".join(lines) + "\n")
        return Corpus(CorpusFiles.locate(str(tmp_path)), TextPreprocessor(), Cache(tmp_path / "cache"), "error")

    return make


def warnings_of(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_a_table_with_columns_of_ids_is_no_file_of_groups(corpus, tmp_path):
    made = corpus(train=[QUORA + f"0\t1\t2\t{PAIRS[0]}\t1"])
    with pytest.raises(
        InputError, match=r"line 1: id, qid1, qid2, is_duplicate are no columns of texts; .* askagain convert groups"
    ):
        _ = made.groups


def test_a_group_of_most_lines_is_named_with_the_text_that_joins_them(corpus, caplog):
    labelled = [f"{pair}\t{i % 3 > 0:d}" for i, pair in enumerate(PAIRS)]
    assert len(corpus(train=labelled).group_rows) == 2
    (said,) = warnings_of(caplog)
    assert "train.tsv: 8 of its 12 lines are one group, as most of them have '1'" in said


def test_a_usual_training_set_is_nothing_to_warn_of(corpus, caplog):
    made = corpus(train=PAIRS, validation=["quit vim\texit vim\tlist ports\topen ports"])
    assert len(made.group_rows) == len(PAIRS) and made.ranking("validation") and not warnings_of(caplog)


def test_rows_of_a_ranking_set_are_no_groups(corpus, caplog):
    _ = corpus(train=["\t".join(f"how to quit {line} {i}" for i in range(60)) for line in range(3)]).groups
    assert "half of its lines have 60 texts or more, as rows of a ranking set have" in warnings_of(caplog)[0]


def test_rows_that_hold_their_question_twice_are_told_once_where_they_are_ranked(corpus, caplog):
    made = corpus(test=["quit vim\texit vim\tquit vim\topen ports\tusb disk", "a b\ta c\te f\tg h\tlist ports"])
    assert made.ranking("test") is made.ranking("test")
    (said,) = warnings_of(caplog)
    assert "test.tsv: 1 of 2 rows hold their question or duplicate twice" in said


def test_texts_of_other_sites_stand_behind_the_own_ones_without_their_labels(tmp_path):
    (tmp_path / "train.tsv").write_text("quit vim\texit vim\n")
    (tmp_path / "validation.tsv").write_text("a\tb\tc\n")
    groups, lines = tmp_path / "other.tsv", tmp_path / "lines.txt"
    groups.write_text("open ports\texit vim\tlist ports\n")
    lines.write_text("what is a monad\topen ports\nopen ports\n")
    files, cache = CorpusFiles.locate(str(tmp_path)), Cache(tmp_path / "cache")
    corpus = Corpus(files, TextPreprocessor(), cache, "error", further_texts=[groups, lines])
    assert corpus.own_texts.texts(0, 9) == ["quit vim", "exit vim"]
    further = ["open ports", "list ports", "what is a monad\topen ports"]
    assert corpus.all_texts.texts(0, 9) == ["quit vim", "exit vim", *further]
    assert len(corpus.group_rows) == 1
    alone = Corpus(files, TextPreprocessor(), cache, "error")
    assert alone.all_texts is alone.own_texts
