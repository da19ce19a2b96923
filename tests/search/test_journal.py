import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from askagain.errors import InputError
from askagain.search import index_writer as writer_module
from askagain.search.index import Index
from askagain.search.index_list import Hybrid, read_list
from askagain.search.index_writer import IdMissingError, IdTakenError, IndexWriter
from askagain.search.journal import Change, append_changes, create_journal, read_changes
from askagain.search.questions import Question
from tests.search.conftest import some_questions


def one(question_id, text="undo the merge"):
    return Question(question_id, text, text)


def answers(index, hybrid=False):
    return [
        [(hit.score, hit.text) for hit in hits]
        for hits in index.search(["quit vim", "undo the merge", "list the usb disk"], 20, hybrid)
    ]


@pytest.mark.parametrize("hybrid", [None, Hybrid("bm25", 0.3)])
def test_an_index_answers_from_its_journal_as_from_segments(encoder, tmp_path, hybrid):
    first, second, third = some_questions(50), some_questions(20, seed=1), some_questions(20, seed=2)
    by_journal = IndexWriter.create(tmp_path / "journal", encoder, first, hybrid=hybrid)
    by_segment = IndexWriter.create(tmp_path / "segment", encoder, first, hybrid=hybrid)
    gone = [first[3].id, second[4].id]
    replaced = [Question(first[5].id, "quit vim", "quit vim"), Question(second[6].id, "vim", "vim")]
    assert by_journal.append([Change(second), Change(third), Change(remove=gone)]) == [None, None, None]
    assert by_journal.append([Change(replaced, replaces=True)]) == [None]
    by_segment.add([*second, *third])
    by_segment.remove(gone)
    by_segment.add(replaced, replaces=True)
    opened = Index(tmp_path / "journal")
    assert len(opened) == len(by_segment.index) == 88 and opened.info()["in the journal"] == 42
    assert {one.id: one.text for one in opened.questions()} == {
        one.id: one.text for one in by_segment.index.questions()
    }
    assert answers(opened) == answers(by_journal.index) == answers(by_segment.index)
    if hybrid is not None:
        np.testing.assert_allclose(
            [[score for score, _ in hits] for hits in answers(opened, hybrid=True)],
            [[score for score, _ in hits] for hits in answers(by_segment.index, hybrid=True)],
            atol=0.2,  # the moments also count what was removed
        )


def test_readers_see_what_was_appended_when_they_refresh(encoder, tmp_path):
    writer = IndexWriter.create(tmp_path / "index", encoder, some_questions(10))
    reader = Index(tmp_path / "index")
    assert not reader.refresh()
    for number in range(5):
        writer.append([Change([one(f"new-{number}")])])
        before = reader.snapshot
        assert reader.refresh() and len(reader) == 11 + number and len(before) == 10 + number
    assert not reader.refresh()


def test_a_change_is_refused_by_itself_and_the_others_take_place(encoder, tmp_path):
    writer = IndexWriter.create(tmp_path / "index", encoder, some_questions(5))
    errors = writer.append(
        [
            Change([one("a"), one("b")]),
            Change([one("c"), one("a")]),
            Change(remove=["a"]),
            Change([one("a", "again")]),
            Change(remove=["q0-0", "other"]),
            Change([one("d"), one("d")]),
            Change([one("q0-1", "new")], replaces=True),
        ]
    )
    kinds = [type(error) for error in errors]
    nothing = type(None)
    assert kinds == [nothing, IdTakenError, nothing, nothing, IdMissingError, InputError, nothing]
    texts = {question.id: question.text for question in Index(tmp_path / "index").questions()}
    assert set(texts) == {"q0-0", "q0-1", "q0-2", "q0-3", "q0-4", "a", "b"}
    assert texts["a"] == "again" and texts["q0-1"] == "new"


def test_a_line_that_was_cut_off_is_not_there_and_the_next_one_takes_its_place(tmp_path):
    path = tmp_path / "journal"
    create_journal(path)
    append_changes(path, [Change([one("a")])])
    whole = path.read_bytes()
    append_changes(path, [Change([one("b", "x" * 9000)])])
    second = path.read_bytes()
    for end in range(len(whole), len(second) - 1, 997):
        path.write_bytes(second[:end])
        changes, read = read_changes(path)
        assert [change.add[0].id for change in changes] == ["a"] and read == len(whole)
        append_changes(path, [Change([one("c")], ["a"])])
        changes, _ = read_changes(path)
        assert changes == [Change([one("a")], [], True), Change([one("c")], ["a"], True)]


def test_a_damaged_line_is_one_error(encoder, tmp_path):
    writer = IndexWriter.create(tmp_path / "index", encoder, some_questions(5))
    writer.append([Change([one("a")])])
    journal = tmp_path / "index" / read_list(tmp_path / "index").journal
    content = bytearray(journal.read_bytes())
    content[20] ^= 1
    journal.write_bytes(content)
    with pytest.raises(InputError, match=r"journal-.*a line is damaged .*take it out, or build the index again"):
        Index(tmp_path / "index")
    journal.unlink()
    with pytest.raises(InputError, match="damaged"):
        Index(tmp_path / "index")


def test_the_journal_becomes_a_segment_and_segments_are_joined_while_others_write(encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(writer_module, "FOLD_ROWS", 8)
    IndexWriter.create(tmp_path / "index", encoder, some_questions(40))
    stop, failures = threading.Event(), []

    def keep_up():
        writer = IndexWriter(tmp_path / "index")
        while not stop.is_set():
            try:
                writer.upkeep()
            except Exception as error:
                failures.append(error)
                return

    thread = threading.Thread(target=keep_up)
    thread.start()
    writer = IndexWriter(tmp_path / "index")
    expected = {question.id: question.text for question in some_questions(40)}
    for seed in range(1, 60):
        new = some_questions(3, seed)
        assert writer.append([Change(new), Change(remove=[new[0].id])]) == [None, None]
        expected |= {question.id: question.text for question in new[1:]}
    stop.set()
    thread.join()
    writer.upkeep()
    opened = Index(tmp_path / "index")
    assert not failures
    assert {question.id: question.text for question in opened.questions()} == expected
    assert opened.info()["in the journal"] < 8 and opened.info()["segments"] <= 2 * writer_module.MOST_ALIKE
    new = IndexWriter.create(
        tmp_path / "new", encoder, [Question(key, text, text) for key, text in expected.items()]
    ).index
    assert [[score for score, _ in hits] for hits in answers(opened)] == [
        [score for score, _ in hits] for hits in answers(new)
    ]
    left = {path.name for path in (tmp_path / "index").iterdir()} - {"index.json", "encoder", ".lock", ".joining.lock"}
    listed = read_list(tmp_path / "index")
    assert left == {*listed.segments, listed.removed, listed.journal} - {None}


def test_what_was_acknowledged_survives_a_kill_at_any_moment(encoder, tmp_path):
    IndexWriter.create(tmp_path / "index", encoder, some_questions(10))
    program = (
        "import sys; from askagain.search import index_writer as module\n"
        "from askagain.search.journal import Change\n"
        "from tests.search.conftest import some_questions\n"
        "module.FOLD_ROWS = 6; writer = module.IndexWriter(sys.argv[1])\n"
        "for seed in range(int(sys.argv[2]), 1000):\n"
        "    new = some_questions(2, seed); writer.append([Change(new)])\n"
        "    print(new[0].id, new[1].id, flush=True)\n"
        "    if writer.needs_upkeep: writer.upkeep()\n"
    )
    expected = {question.id for question in some_questions(10)}
    for round_number in range(4):
        arguments = [sys.executable, "-c", program, str(tmp_path / "index"), str(100 * round_number + 1)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as writer:
            for _ in range(7 + 3 * round_number):
                expected.update(writer.stdout.readline().split())
            os.kill(writer.pid, signal.SIGKILL)
            lines = [line for line in writer.stdout.read().split("\n") if line]
            expected.update(one for line in lines for one in line.split())
        present = {question.id for question in Index(tmp_path / "index").questions()}
        assert expected <= present and len(present - expected) <= 2, "one change may be written and not yet said"
        expected = present
