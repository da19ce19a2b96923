import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer, TfidfVectorizer

from askagain.errors import InputError
from askagain.files.writing import write_text
from askagain.synthetic.questions import Draws, draw_meaning, gerund, question_groups, vary_meaning
from askagain.synthetic.sample import write_sample
from askagain.synthetic.scaled import JOINERS, OPENINGS, invented_words
from askagain.synthetic.scaled import write_scaled as write_scaled_corpus
from askagain.text.stop_words import stop_words

ROOT = Path(__file__).parents[2]
FILES = ("train.tsv", "validation.tsv", "test.tsv")
FUNCTION_WORDS = {word for phrase in (*OPENINGS, *JOINERS) for word in phrase.split()}


def write_scaled(folder: Path, **settings: int) -> None:
    """A scaled corpus that is small where nothing else is asked for."""
    defaults = {"rows": 100, "validation_rows": 5, "candidates": 11, "pool": 1000, "seed": 0, "vocabulary": 132_000}
    write_scaled_corpus(folder, **defaults | settings)


def cells(path: Path) -> list[list[str]]:
    text = path.read_bytes().decode("utf-8")
    assert text.endswith("\n") and "\r" not in text
    return [line.split("\t") for line in text.removesuffix("\n").split("\n")]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[list[str]]]:
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder)
    return {name: cells(folder / name) for name in FILES}


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[list[str]]]:
    folder = tmp_path_factory.mktemp("scaled")
    write_scaled(folder, rows=20_000, validation_rows=50, candidates=101)
    return {name: cells(folder / name) for name in FILES}


def content_words(question: str) -> list[str]:
    return [word for word in question.split(" ") if word not in FUNCTION_WORDS]


def mean_reciprocal_rank(rows: list[list[str]], vectors: dict[str, np.ndarray]) -> float:
    """Ties count as half above: near enough for a band."""
    reciprocal = []
    for question, *candidates in rows:
        scores = np.stack([vectors[text] for text in candidates]) @ vectors[question]
        reciprocal.append(1 / (1 + (scores[1:] > scores[0]).sum() + 0.5 * (scores[1:] == scores[0]).sum()))
    return float(np.mean(reciprocal))


# The built-in sample.


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("once", "again"):
        write_sample(tmp_path / name, seed=3, groups=200, rows=10, negatives=50)
    assert contents(tmp_path / "once") == contents(tmp_path / "again")


def test_another_seed_gives_other_bytes(tmp_path: Path) -> None:
    for seed in (3, 4):
        write_sample(tmp_path / str(seed), seed=seed, groups=200, rows=10, negatives=50)
    one, other = contents(tmp_path / "3"), contents(tmp_path / "4")
    assert sorted(one) == sorted(other) == sorted(FILES)
    assert all(one[name] != other[name] for name in FILES)


def test_the_draws_are_those_of_every_machine() -> None:
    draws = Draws(0)
    assert [draws.below(1_000) for _ in range(5)] == [844, 757, 420, 258, 511]


def test_train_has_thousands_of_groups_of_two_to_five_questions(sample: dict[str, list[list[str]]]) -> None:
    sizes = Counter(len(group) for group in sample["train.tsv"])
    assert sum(sizes.values()) == 4_000
    assert sorted(sizes) == [2, 3, 4, 5]


@pytest.mark.parametrize("name", ["validation.tsv", "test.tsv"])
def test_a_ranking_row_is_a_question_a_duplicate_and_a_thousand_negatives(
    sample: dict[str, list[list[str]]], name: str
) -> None:
    assert [len(row) for row in sample[name]] == [1_002] * 300
    assert all(len(set(row)) == 1_002 for row in sample[name])


@pytest.mark.parametrize("name", FILES)
def test_every_cell_is_a_clean_text(sample: dict[str, list[list[str]]], name: str) -> None:
    texts = [text for row in sample[name] for text in row]
    assert all(text.isascii() and text.isprintable() for text in texts)
    assert all(text == " ".join(text.split()) and len(text.split()) >= 2 for text in texts)
    assert not any(character in text for text in texts for character in "{}~|")


def test_no_question_is_in_two_files_or_in_two_groups(sample: dict[str, list[list[str]]]) -> None:
    distinct = {name: {text.casefold() for row in sample[name] for text in row} for name in FILES}
    assert len(distinct["train.tsv"]) == sum(len(group) for group in sample["train.tsv"])
    assert not distinct["train.tsv"] & distinct["validation.tsv"]
    assert not distinct["train.tsv"] & distinct["test.tsv"]
    assert not distinct["validation.tsv"] & distinct["test.tsv"]


def test_negatives_are_never_of_the_group_of_the_question(sample: dict[str, list[list[str]]]) -> None:
    groups = islice(question_groups(Draws(0)), 4_000 + 2 * 801)  # the same draws as seed 0
    owner = {question: number for number, group in enumerate(groups) for question in group}
    for row in sample["validation.tsv"] + sample["test.tsv"]:
        question, duplicate, *negatives = (owner[text] for text in row)
        assert duplicate == question
        assert question not in negatives


def test_the_names_that_cleaning_must_survive_occur(sample: dict[str, list[list[str]]]) -> None:
    texts = "\n".join(text for group in sample["train.tsv"] for text in group)
    for name in ("C++", "C#", "F#", ".NET", "Node.js", "NullPointerException", "IndexOutOfBoundsException"):
        assert name in texts
    for name in ("`ArrayList`", "database", "regex", "regular expression", "JavaScript"):
        assert name in texts
    assert re.search(r"\bdb\b", texts) and re.search(r"\bjs\b", texts)


def test_synonyms_of_the_held_out_rows_can_be_learned_from_train(sample: dict[str, list[list[str]]]) -> None:
    words = CountVectorizer().fit([text for group in sample["train.tsv"] for text in group]).vocabulary_
    held_out = Counter(w for row in sample["test.tsv"] for w in re.findall(r"\b\w\w+\b", " ".join(row[:2]).lower()))
    known = sum(count for word, count in held_out.items() if word in words)
    assert 0.95 < known / held_out.total() < 1


def test_tfidf_ranks_better_than_random_vectors_and_leaves_room(sample: dict[str, list[list[str]]]) -> None:
    train = [text for group in sample["train.tsv"] for text in group]
    rows = sample["validation.tsv"]
    texts = sorted({text for row in rows for text in row})
    tfidf = TfidfVectorizer().fit(train)
    tfidf_vectors = tfidf.transform(texts).toarray()
    counts = CountVectorizer(vocabulary=tfidf.vocabulary_, stop_words=list(ENGLISH_STOP_WORDS)).transform(texts)
    random_vectors = counts @ np.random.Generator(np.random.PCG64(0)).standard_normal((counts.shape[1], 300))
    random_vectors /= np.maximum(np.linalg.norm(random_vectors, axis=1, keepdims=True), 1e-12)
    random_mrr = mean_reciprocal_rank(rows, dict(zip(texts, random_vectors, strict=True)))
    tfidf_mrr = mean_reciprocal_rank(rows, dict(zip(texts, tfidf_vectors, strict=True)))
    assert 0.2 < random_mrr < tfidf_mrr - 0.1
    assert tfidf_mrr < 0.6


def test_a_meaning_holds_only_what_its_questions_say() -> None:
    """Otherwise two groups could ask the same."""
    draws = Draws(0)
    meanings = [draw_meaning(draws) for _ in range(2_000)]
    meanings += [vary_meaning(meaning, draws) for meaning in meanings]
    comparisons = [meaning for meaning in meanings if meaning.task is None]
    assert len(comparisons) > 20
    assert all(meaning.circumstance is None and meaning.error is None for meaning in comparisons)
    assert all(len(set(meaning.things)) == (2 if meaning.task is None else 1) for meaning in meanings)
    assert not any(meaning.circumstance and meaning.error for meaning in meanings)


@pytest.mark.parametrize(
    ("verb", "expected"),
    [("sort", "sorting"), ("merge", "merging"), ("split", "splitting"), ("read", "reading"), ("format", "formatting")],
)
def test_a_verb_takes_ing(verb: str, expected: str) -> None:
    assert gerund(verb) == expected


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    path.write_text("as before\n")

    def broken_off() -> Iterator[str]:
        yield "half\tof it\n"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_text(path, broken_off())
    assert contents(tmp_path) == {"train.tsv": b"as before\n"}


# The scaled corpus.


def test_scaled_has_the_formats_of_the_real_corpus(scaled: dict[str, list[list[str]]]) -> None:
    sizes = Counter(len(row) for row in scaled["train.tsv"])
    assert sum(sizes.values()) == 20_000
    assert sorted(sizes) == [2, 3, 4, 5]
    assert min(sizes.values()) > 4_500
    for name in ("validation.tsv", "test.tsv"):
        assert [len(row) for row in scaled[name]] == [102] * 50


def test_scaled_questions_have_five_or_six_content_words(scaled: dict[str, list[list[str]]]) -> None:
    for name in FILES:
        lengths = [len(content_words(question)) for row in scaled[name] for question in row]
        assert set(lengths) == {5, 6}
        assert 5.4 < np.mean(lengths) < 5.6


def test_the_words_around_them_are_stop_words() -> None:
    assert stop_words("english") >= FUNCTION_WORDS


def test_scaled_words_have_zipf_frequencies(scaled: dict[str, list[list[str]]]) -> None:
    counts = Counter(word for row in scaled["train.tsv"] for question in row for word in content_words(question))
    frequencies = np.array(sorted(counts.values(), reverse=True))
    assert 30_000 < len(frequencies) <= 132_000
    assert frequencies[0] < 0.02 * frequencies.sum()
    assert frequencies[: len(frequencies) // 100].sum() > 0.3 * frequencies.sum()
    ranks = np.arange(100, 5_000)
    slope = np.polyfit(np.log(ranks), np.log(frequencies[ranks - 1]), 1)[0]
    assert -1.15 < slope < -0.85


def test_scaled_duplicates_share_words_and_replace_words(scaled: dict[str, list[list[str]]]) -> None:
    shared, chance = [], []
    for question, duplicate, *negatives in scaled["validation.tsv"]:
        words = set(content_words(question))
        shared.append(len(words & set(content_words(duplicate))))
        chance.append(len(words & set(content_words(negatives[0]))))
    assert 1.5 < np.mean(shared) < 3.5
    assert np.mean(chance) < 0.3


def test_scaled_synonyms_recur_between_groups(scaled: dict[str, list[list[str]]]) -> None:
    """The word that replaces the most frequent one is the same in most groups: that is what can be learned."""
    word = Counter(w for row in scaled["train.tsv"] for q in row for w in content_words(q)).most_common(1)[0][0]
    beside: Counter[str] = Counter()
    for row in scaled["train.tsv"]:
        questions = [set(content_words(question)) for question in row]
        if any(word in words for words in questions):
            beside.update(set.union(*(words for words in questions if word not in words), set()))
    (first, most), (_, next_most) = beside.most_common(2)
    assert first != word
    assert most > 3 * next_most


def test_scaled_files_are_the_same_for_the_same_seed_whatever_the_size_of_the_others(tmp_path: Path) -> None:
    write_scaled(tmp_path / "once", rows=300, validation_rows=5, candidates=11, seed=1)
    write_scaled(tmp_path / "again", rows=300, validation_rows=5, candidates=11, seed=1)
    write_scaled(tmp_path / "more", rows=400, validation_rows=5, candidates=11, seed=1)
    write_scaled(tmp_path / "other", rows=300, validation_rows=5, candidates=11, seed=2)
    once, more, other = (contents(tmp_path / name) for name in ("once", "more", "other"))
    assert sorted(once) == sorted(FILES)
    assert once == contents(tmp_path / "again")
    assert once["validation.tsv"] == more["validation.tsv"] != once["test.tsv"] == more["test.tsv"]
    assert all(once[name] != other[name] for name in FILES)


def test_negatives_come_from_a_pool_and_stand_in_a_row_once(tmp_path: Path) -> None:
    write_scaled(tmp_path, rows=10, validation_rows=40, candidates=31, pool=60)
    rows = cells(tmp_path / "validation.tsv")
    assert all(len(set(row)) == len(row) for row in rows)
    negatives = [text for row in rows for text in row[2:]]
    assert len(negatives) == 1200 and len(set(negatives)) == 60
    with pytest.raises(InputError, match="pool=20"):
        write_scaled(tmp_path, candidates=31, pool=20)


def test_rows_that_need_several_chunks_all_come(tmp_path: Path) -> None:
    write_scaled(tmp_path, rows=107, validation_rows=5, candidates=30, vocabulary=500, chunk_questions=70)
    assert len(cells(tmp_path / "train.tsv")) == 107
    assert [len(row) for row in cells(tmp_path / "validation.tsv")] == [31] * 5


def test_invented_words_are_distinct_pronounceable_and_no_stop_words() -> None:
    words = invented_words(132_000, np.random.Generator(np.random.PCG64(0)))
    assert len(words) == len(set(words)) == 132_000
    assert all(re.fullmatch("([b-z][aeiou]){2,3}[b-z]?", word) for word in words)
    assert not set(words) & (stop_words("english") | ENGLISH_STOP_WORDS)
    assert np.mean([len(word) for word in words[:1_000]]) < np.mean([len(word) for word in words[-1_000:]])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"vocabulary": 1}, "vocabulary=1"),
        ({"vocabulary": 100_000_000}, "vocabulary=100000000"),
    ],
)
def test_numbers_that_cannot_be_are_refused_before_anything_is_written(
    tmp_path: Path, wrong: dict[str, int], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        write_scaled(tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()


# The script.


def make_sample(*overrides: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "make_sample.py"), *overrides]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_the_script_writes_the_scaled_corpus_and_nothing_else(tmp_path: Path) -> None:
    done = make_sample("out=made", "rows=1000", "validation_rows=20", "candidates=51", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    assert len(cells(tmp_path / "made" / "train.tsv")) == 1_000
    assert [len(row) for row in cells(tmp_path / "made" / "test.tsv")] == [52] * 20
    assert "synthetic" in done.stdout and str(tmp_path / "made") in done.stdout


def test_the_script_writes_the_built_in_sample(tmp_path: Path, sample: dict[str, list[list[str]]]) -> None:
    done = make_sample("out=made", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    assert cells(tmp_path / "made" / "train.tsv") == sample["train.tsv"]
    assert "synthetic" in done.stdout


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "out"),
        (["out=made", "rows=0"], "rows=0: must be at least 1"),
        (["out=made", "rows=many"], "rows=many: must be a whole number"),
        (["out=file"], "out=file: this is a file"),
    ],
)
def test_the_script_answers_a_mistake_with_one_line_and_status_2(
    tmp_path: Path, overrides: list[str], message: str
) -> None:
    (tmp_path / "file").touch()
    done = make_sample(*overrides, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ") and message in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
