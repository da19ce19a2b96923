"""Random parts of a corpus, written as corpora of their own."""

import gzip

import pytest

from askagain.corpus.cache import Cache
from askagain.corpus.corpus import Corpus
from askagain.corpus.files import CorpusFiles
from askagain.corpus.subset import write_subset
from askagain.text.preprocessor import TextPreprocessor

GROUPS = [f"quit vim {i}\tleave vim {i}\texit  vim {i % 3}" for i in range(40)]
TEXTS = [f"mount disk {i}" for i in range(30)]


@pytest.fixture
def corpus(tmp_path):
    (tmp_path / "train.tsv").write_text("question\tduplicate\n" + "\n".join(GROUPS) + "\n")
    (tmp_path / "corpus.txt.gz").write_bytes(gzip.compress("\r\n".join(TEXTS).encode()))
    return Corpus(CorpusFiles.locate(str(tmp_path)), TextPreprocessor(), Cache(tmp_path / "cache"), "error")


@pytest.fixture
def lines(corpus, tmp_path):
    """The lines of a file of a subset."""

    def write(name, size, seed):
        write_subset(corpus, tmp_path / "subset", {name: size}, seed)
        (file,) = (tmp_path / "subset").iterdir()
        written = file.read_text().splitlines()
        file.unlink()
        return written

    return write


@pytest.mark.parametrize(("name", "whole"), [("train", GROUPS), ("corpus", TEXTS)])
def test_a_larger_sample_holds_the_smaller_ones_of_its_seed_and_all_lines_are_the_file(lines, name, whole):
    small, large = lines(name, 5, seed=1), lines(name, 20, seed=1)
    assert len(set(small)) == 5 and len(set(large)) == 20
    assert set(small) < set(large) < set(whole)
    assert large == [line for line in whole if line in large]  # in the order of the file
    assert lines(name, 5, seed=2) != small == lines(name, 5, seed=1)
    assert lines(name, len(whole), seed=1) == lines(name, len(whole), seed=2) == whole


def test_a_file_without_lines_is_not_written(corpus, tmp_path):
    write_subset(corpus, tmp_path / "subset", {"train": 0, "corpus": 3}, seed=0)
    assert [path.name for path in (tmp_path / "subset").iterdir()] == ["corpus.txt"]
