"""A split keeps what is held out apart from what is trained on, and gives the same bytes for the same seed."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askagain.convert.folder import Origin, write_split
from askagain.convert.questions import QuestionsBuilder
from askagain.convert.split import SplitSettings, split
from askagain.corpus.candidates import CandidateSampler
from askagain.errors import InputError
from askagain.text.terms import alike_key, are_near, terms

ORIGIN = Origin("askagain convert groups FILE -o DIR", [], "a group a line")

# Few words, so that groups share texts and texts are close to each other.
words = st.sampled_from(["how", "to", "quit", "vim", "Vim", "merge", "git", "list", "ports", "?", "Wie", "を", "終了"])
text = st.lists(words, min_size=1, max_size=5).map(" ".join)
group_lists = st.lists(st.lists(text, min_size=1, max_size=4), min_size=4, max_size=40)


def questions_of(groups, others=()):
    builder = QuestionsBuilder()
    for group in groups:
        builder.add_group(group)
    for other in others:
        builder.add(other, unlabelled=True)
    return builder.join()


def lines_of(path):
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def written(folder, questions, chosen):
    write_split(folder, questions, split(questions, chosen), ORIGIN)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@settings(max_examples=150, deadline=None)
@given(groups=group_lists, others=st.lists(text, max_size=30), seed=st.integers(0, 9), hard=st.sampled_from([0, 2]))
def test_no_text_of_a_held_out_group_is_trained_on(tmp_path_factory, groups, others, seed, hard):
    questions = questions_of(groups, others)
    chosen = SplitSettings(seed=seed, candidates=5, hard=hard, closest=lambda q, t, n: np.zeros((len(q), n), int))
    if len(questions.groups) < 3:
        return
    folder = tmp_path_factory.mktemp("split") / "out"
    try:
        written(folder, questions, chosen)
    except InputError as error:
        assert "all texts are too close" in str(error)
        return
    # Groups as a reader of the input would join them: texts of one line, and texts that look alike.
    joined: dict[str, set[str]] = {}
    for group in groups:
        keys = {alike_key(member) for member in group}
        merged = keys.union(*(joined[key] for key in keys if key in joined))
        joined |= dict.fromkeys(merged, merged)
    rows = [*lines_of(folder / "train.tsv"), *lines_of(folder / "corpus.txt")]
    trained = {alike_key(cell) for row in rows for cell in row}
    held_out = [row for name in ("validation.tsv", "test.tsv") for row in lines_of(folder / name)]
    assert held_out
    for question, duplicate, *candidates in held_out:
        members = joined[alike_key(question)]
        assert alike_key(duplicate) in members and alike_key(duplicate) != alike_key(question)
        assert not members & trained
        assert not members & set(map(alike_key, candidates))
        assert len(set(candidates)) == len(candidates)
        assert not any(are_near(terms(member), terms(other), 0.8) for member in members for other in candidates)
    # Nothing is lost: each text is trained on, or a member of a held-out group.
    everything = {alike_key(member) for group in [*groups, others] for member in group}
    assert everything == trained.union(*(joined[alike_key(row[0])] for row in held_out))


def test_the_same_seed_gives_the_same_bytes_and_another_one_another_split(tmp_path):
    groups = [[f"question {i} a", f"question {i} b", f"asked {i} c"] for i in range(60)]
    first, second, other = (
        written(tmp_path / name / "out", questions_of(groups, ["x y", "y z"]), SplitSettings(seed=seed, candidates=9))
        for name, seed in (("a", 4), ("b", 4), ("c", 5))
    )
    assert first == second
    assert first["validation.tsv"] != other["validation.tsv"] and first.keys() == other.keys()


def test_by_time_the_newest_question_is_asked_for_its_older_duplicate(tmp_path):
    builder = QuestionsBuilder()
    for year in range(30):
        builder.add_group([f"old way {year}"], year * 100)
        builder.add_group([f"new question {year}"], year * 100 + 7)
        builder.add_group([f"old way {year}", f"new question {year}"])
    written(tmp_path / "out", builder.join(), SplitSettings(validation=2, test=3, candidates=4, by_time=True))
    asked = {name: {row[0] for row in lines_of(tmp_path / "out" / f"{name}.tsv")} for name in ("validation", "test")}
    assert asked == {
        "test": {"new question 27", "new question 28", "new question 29"},
        "validation": {"new question 25", "new question 26"},
    }


def test_texts_close_to_a_duplicate_are_no_candidates():
    members = ["how to quit the vim editor", "leave vim"]
    near, far = "how to quit the vim editor now", "how to list ports"
    questions = questions_of([members, *([f"a {i}", f"b {i}"] for i in range(9))], [near, far])
    parts = split(questions, SplitSettings(validation=8, test=1, candidates=50))
    for row in [*parts.rankings["validation"], *parts.rankings["test"]]:
        texts = [questions.texts[number] for number in row.tolist()]
        if texts[0] in members:
            assert near not in texts and far in texts
            assert parts.counts["candidates left out as too close to a duplicate"] == 1
            break
    else:
        pytest.fail("the group is not held out")


def test_a_group_without_candidates_is_trained_on_and_counted(tmp_path):
    close = [["how to quit vim", "quit vim how to"], ["to quit vim how", "vim quit how to"], ["vim how to quit", "a b"]]
    questions = questions_of(close)
    with pytest.raises(InputError, match="all texts are too close to the held-out questions"):
        split(questions_of([*close[:2], ["how vim to quit", "quit how to vim"]]), SplitSettings())
    parts = split(questions, SplitSettings(validation=2, test=0))
    assert all(len(row) > 2 for row in parts.rankings["validation"])
    lost = parts.counts["groups trained on, as all texts are too close to them"]
    assert lost == 2 - len(parts.rankings["validation"]) and len(parts.train) == 1 + lost


def test_hard_negatives_come_before_drawn_ones():
    from askagain.convert.hard_negatives import closest_by_bm25

    groups = [[f"quit editor {i}", f"leave program {i}"] for i in range(20)]
    others = [*(f"nothing of the kind {i}" for i in range(300)), "editor fonts", "editor colors"]
    questions = questions_of(groups, others)
    parts = split(questions, SplitSettings(candidates=10, hard=6, closest=closest_by_bm25))
    for row in parts.rankings["validation"]:
        question, *texts = (questions.texts[number] for number in row.tolist())
        if question.startswith("quit"):
            assert sum("editor" in text for text in texts[1:]) >= 6


def test_only_as_many_of_the_closest_texts_are_taken_as_are_asked_for():
    texts = ["quit vim", "leave vim", *(f"close {i}" for i in range(50)), *(f"drawn {i}" for i in range(50))]
    sampler = CandidateSampler(texts, np.arange(52, 102), count=20, guard=0.8, seed=0)
    drawn = [texts[place] for place in sampler.draw(0, [0, 1], closest=[1, *range(2, 52)], hard=3).texts]
    assert sorted(text for text in drawn if text.startswith("close")) == ["close 0", "close 1", "close 2"]
    assert len(drawn) == len(set(drawn)) == 20


@pytest.mark.parametrize(
    ("groups", "chosen", "message"),
    [
        ([], SplitSettings(), "no two texts are duplicates"),
        ([["a", "b"], ["c", "d"]], SplitSettings(), "2 groups of duplicates are too few"),
        ([["a", "b"], ["c", "d"], ["e", "f"]], SplitSettings(validation=2, test=1), "none is left to train on"),
        ([["a", "b"], ["c", "d"], ["e", "f"]], SplitSettings(by_time=True), "the texts have no dates"),
    ],
)
def test_what_cannot_be_split_is_one_line(groups, chosen, message):
    with pytest.raises(InputError, match=message):
        split(questions_of(groups), chosen)


def test_a_folder_with_other_files_is_never_replaced(tmp_path):
    from askagain.convert.folder import check_new

    (tmp_path / "train.tsv").write_text("a\tb\n")
    with pytest.raises(InputError, match="not empty"):
        check_new(tmp_path, overwrite=False)
    with pytest.raises(InputError, match="does not say that askagain made it"):
        check_new(tmp_path, overwrite=True)
    (tmp_path / "README.md").write_text("Made by askagain 0.1.0 with")
    check_new(tmp_path, overwrite=True)
    with pytest.raises(InputError, match=r"such as train\.tsv, which --overwrite would remove"):
        check_new(tmp_path, overwrite=True, sources=[tmp_path / "train.tsv"])
    (tmp_path / "thesis.doc").write_text("")
    with pytest.raises(InputError, match=r"thesis\.doc"):
        check_new(Path(tmp_path), overwrite=True)
