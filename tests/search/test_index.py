import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from askagain.errors import InputError
from askagain.ranking.fusion import fused
from askagain.ranking.products import products
from askagain.search import index_writer as writer_module
from askagain.search import snapshot as snapshot_module
from askagain.search.index import Index
from askagain.search.index_list import Hybrid
from askagain.search.index_writer import IndexWriter
from askagain.search.lexical_terms import make_ranker
from askagain.search.questions import Question
from tests.search.conftest import small_encoder, some_questions


def ids(hits):
    return [hit.id for hit in hits]


def test_the_best_questions_are_found_with_their_own_ids_and_texts(encoder, tmp_path):
    questions = some_questions(300)
    index = IndexWriter.create(tmp_path / "index", encoder, questions).index
    for query in ("quit vim", "undo the merge", "unheard"):
        (hits,) = index.search([query], k=7)
        scores = np.round(encoder.similarity([query], [question.text for question in questions])[0], 6)
        order = np.argsort(-scores, kind="stable")[:7]
        assert ids(hits) == [questions[place].id for place in order]
        assert [hit.text for hit in hits] == [questions[place].text for place in order]
        np.testing.assert_allclose([hit.score for hit in hits], scores[order], atol=2e-6)


def test_an_index_that_was_added_to_and_removed_from_answers_like_a_new_one(encoder, tmp_path):
    first, second = some_questions(100), some_questions(60, seed=1)
    writer = IndexWriter.create(tmp_path / "index", encoder, first, segment_rows=30)
    writer.add(second)
    gone = [question.id for question in [*first[10:40], *second[::7]]]
    assert writer.remove(gone) == len(gone)
    kept = [question for question in [*first, *second] if question.id not in gone]
    new = IndexWriter.create(tmp_path / "new", encoder, kept).index
    opened = Index(tmp_path / "index")
    assert len(opened) == len(kept) and {one.id for one in opened.questions()} == {one.id for one in kept}
    for query in ("quit vim", "list the usb disk"):
        expected = [(hit.score, hit.text) for hit in new.search([query], 20)[0]]
        assert [(hit.score, hit.text) for hit in opened.search([query], 20)[0]] == expected


def test_ids_are_the_users_and_stand_for_one_question_each(encoder, tmp_path):
    writer = IndexWriter.create(tmp_path / "index", encoder, some_questions(10))
    with pytest.raises(InputError, match="the id q0-3 is in the index already"):
        writer.add([Question("new", "vim", "vim"), Question("q0-3", "nano", "nano")])
    assert len(Index(tmp_path / "index")) == 10
    writer.add([Question("q0-3", "exit nano", "exit nano")], replaces=True)
    assert [one.text for one in writer.index.questions() if one.id == "q0-3"] == ["exit nano"]
    with pytest.raises(InputError, match="the id other is not in the index; nothing was removed"):
        writer.remove(["q0-1", "other"])
    assert len(writer.index) == 10
    assert writer.remove(["q0-1"]) == 1
    with pytest.raises(InputError, match="q0-1 is not in the index"):
        writer.remove(["q0-1"])
    writer.add([Question("q0-1", "vim", "vim")])
    assert len(writer.index) == 10


def test_many_small_segments_are_joined_and_answers_stay_the_same(encoder, tmp_path):
    writer = IndexWriter.create(tmp_path / "index", encoder, some_questions(5), hybrid=Hybrid("bm25", 0.1))
    everything = some_questions(5)
    for seed in range(1, 15):
        more = some_questions(5, seed)
        writer.add(more)
        everything += more
    folders = [path.name for path in (tmp_path / "index").iterdir() if path.name.startswith("segment-")]
    assert sorted(folders) == sorted(writer.index.snapshot.segments) and len(folders) <= 2 * writer_module.MOST_ALIKE
    new = IndexWriter.create(tmp_path / "new", encoder, everything).index
    assert [one.id for one in writer.index.questions()] != [] and len(writer.index) == len(everything)
    for query in ("quit vim", "undo merge"):
        found, expected = (one.search([query], 30)[0] for one in (writer.index, new))
        assert [hit.score for hit in found] == [hit.score for hit in expected]


def test_a_reader_keeps_what_it_has_opened_until_it_is_refreshed(encoder, tmp_path):
    writer = IndexWriter.create(tmp_path / "index", encoder, some_questions(50))
    reader = Index(tmp_path / "index")
    before = reader.search(["quit vim"], 50)
    writer.remove([question.id for question in some_questions(50)[:45]])  # written again without them
    assert len(writer.index) == 5
    assert reader.search(["quit vim"], 50) == before and len(reader) == 50
    reader.refresh()
    assert len(reader) == 5 and len(reader.search(["quit vim"], 50)[0]) == 5


def test_readers_are_served_while_writers_write(encoder, tmp_path):
    IndexWriter.create(tmp_path / "index", encoder, some_questions(40))
    failures, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            try:
                hits = Index(tmp_path / "index").search(["quit vim"], 5)
                assert len(hits[0]) == 5
            except Exception as error:
                failures.append(error)
                return

    reader = threading.Thread(target=read)
    reader.start()
    program = (
        "import sys; from askagain.search.index_writer import IndexWriter\n"
        "from tests.search.conftest import some_questions\n"
        "for seed in range(int(sys.argv[2]), int(sys.argv[2]) + 6):\n"
        "    writer = IndexWriter(sys.argv[1]); new = some_questions(4, seed); writer.add(new)\n"
        "    writer.remove([new[0].id])\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "index"), str(100 * number)])
        for number in (1, 2)
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    time.sleep(0.1)
    stop.set()
    reader.join()
    assert not failures
    assert len(Index(tmp_path / "index")) == 40 + 2 * 6 * 3


@pytest.mark.parametrize("name", ["bm25", "letters"])
def test_hybrid_scores_are_those_of_all_questions_ranked_as_one_row(encoder, tmp_path, name, monkeypatch):
    questions = some_questions(200)
    writer = IndexWriter.create(tmp_path / "index", encoder, questions, hybrid=Hybrid(name, 0.4), segment_rows=70)
    monkeypatch.setattr(snapshot_module, "FUSED", 200)
    texts = [question.text for question in questions]
    ranker = make_ranker(name, encoder.preprocessor)
    ranker.fit(texts)
    for query in ("quit vim", "list the usb disk unheard"):
        hits = Index(tmp_path / "index").search([query], 10, hybrid=True)[0]
        cosines = np.round(encoder.similarity([query], texts)[0].astype(np.float64), 6)
        terms = products(ranker.questions([query]), ranker.candidates(texts))[0]
        expected = fused(cosines, terms, 0.4)
        np.testing.assert_allclose([hit.score for hit in hits], np.sort(expected)[::-1][:10], atol=1e-3)
        assert hits[0].text == texts[int(expected.argmax())]
    writer.add([Question("new", "quit vim wonderfully", "quit vim wonderfully")])
    assert "new" in ids(writer.index.search(["quit vim"], 60, hybrid=True)[0])


def test_hybrid_needs_an_index_that_was_built_for_it(encoder, tmp_path):
    index = IndexWriter.create(tmp_path / "index", encoder, some_questions(10)).index
    with pytest.raises(InputError, match="built without --hybrid; build it again"):
        index.search(["vim"], 3, hybrid=True)
    with pytest.raises(InputError, match="k=0: must be at least 1"):
        index.search(["vim"], 0)


def test_vectors_of_another_encoder_are_refused(encoder, tmp_path):
    one = IndexWriter.create(tmp_path / "one", encoder, some_questions(10))
    IndexWriter.create(tmp_path / "other", small_encoder(1), some_questions(10))
    segment = next((tmp_path / "other").glob("segment-*"))
    own = next((tmp_path / "one").glob("segment-*"))
    for path in own.iterdir():
        path.unlink()
    for path in segment.iterdir():
        path.rename(own / path.name)
    with pytest.raises(InputError, match="the vectors of another encoder"):
        Index(tmp_path / "one")
    assert one.folder == tmp_path / "one"


def flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "index.json").write_text("{"),
        lambda folder: (folder / "index.json").write_text('{"format": 9}'),
        lambda folder: flipped(next(folder.glob("segment-*/vectors.faiss"))),
        lambda folder: next(folder.glob("segment-*/questions.arrow")).unlink(),
        lambda folder: next(folder.glob("segment-*/segment.json")).write_text("[]"),
        lambda folder: flipped(folder / "encoder" / "table.safetensors"),
        lambda folder: (folder / "encoder" / "checksums.json").unlink(),
        lambda folder: next(folder.glob("removed-*.npy")).write_bytes(b"x"),
    ],
)
def test_damage_is_told_in_one_line(encoder, tmp_path, damage):
    writer = IndexWriter.create(tmp_path / "index", encoder, some_questions(30))
    writer.remove(["q0-0"])
    damage(tmp_path / "index")
    with pytest.raises(InputError):
        Index(tmp_path / "index").search(["vim"], 3)


def test_nothing_is_left_of_an_index_whose_building_failed(encoder, tmp_path):
    def broken():
        yield from some_questions(10)
        raise InputError("line 11 is damaged")

    for hybrid in (None, Hybrid("bm25", 0.1)):
        with pytest.raises(InputError, match="line 11"):
            IndexWriter.create(tmp_path / "index", encoder, broken(), hybrid=hybrid)
    assert not list(tmp_path.iterdir())


def test_what_is_in_an_index_is_told(encoder, tmp_path):
    writer = IndexWriter.create(tmp_path / "index", encoder, some_questions(30), hybrid=Hybrid("bm25", 0.25))
    writer.remove(["q0-3"])
    info = Index(tmp_path / "index").info()
    assert (info["questions"], info["removed"], info["kind"], info["dim"]) == (29, 1, "flat", 12)
    assert info["hybrid"] == "bm25, weight 0.25" and json.dumps(info)


def test_an_index_that_takes_the_place_of_another_is_read_when_refreshed(encoder, tmp_path):
    IndexWriter.create(tmp_path / "index", encoder, some_questions(20))
    reader = Index(tmp_path / "index")
    before = reader.search(["quit vim"], 3)
    other = small_encoder(1)
    IndexWriter.create(tmp_path / "index", other, some_questions(30, seed=5))
    assert reader.search(["quit vim"], 3) == before
    reader.refresh()
    assert len(reader) == 30 and reader.search(["quit vim"], 3) == Index(tmp_path / "index").search(["quit vim"], 3)
    IndexWriter.create(tmp_path / "index", other, some_questions(40, seed=6))
    reader.refresh()
    assert {one.id for one in reader.questions()} == {one.id for one in some_questions(40, seed=6)}


def test_words_of_questions_that_were_asked_are_not_kept(encoder, tmp_path):
    index = IndexWriter.create(tmp_path / "index", encoder, some_questions(20), hybrid=Hybrid("bm25", 0.1)).index
    for number in range(5):
        index.search([f"vim unheard{number} never{number}"], 3, hybrid=True)
    assert len(index.snapshot.lexical()._columns) == index.snapshot.lexical().fitted_terms > 5


def test_an_index_is_not_lost_where_it_is_replaced_while_a_writer_waits(encoder, tmp_path):
    IndexWriter.create(tmp_path / "index", encoder, some_questions(20))
    writer, begun = IndexWriter(tmp_path / "index"), threading.Event()

    def slow_questions():
        yield from some_questions(10, seed=3)
        begun.set()
        time.sleep(0.5)
        yield from some_questions(10, seed=4)

    replaced = threading.Thread(
        target=IndexWriter.create, args=(tmp_path / "index", small_encoder(1), slow_questions()), daemon=True
    )
    replaced.start()
    begun.wait()
    writer.add(some_questions(5, seed=7))  # into the old one, which is replaced as a whole
    replaced.join()
    writer.add(some_questions(5, seed=8))
    index = Index(tmp_path / "index")
    assert {one.id[:2] for one in index.questions()} == {"q3", "q4", "q8"} and len(index) == 25
    assert len(index.search(["vim"], 25)[0]) == 25


def test_an_index_that_was_emptied_answers_nothing_and_is_filled_again(encoder, tmp_path):
    questions = some_questions(30)
    writer = IndexWriter.create(tmp_path / "index", encoder, questions, hybrid=Hybrid("bm25", 0.1))
    writer.remove([question.id for question in questions])
    for hybrid in (False, True):
        assert Index(tmp_path / "index").search(["vim"], 3, hybrid) == [[]]
    writer.add(questions[:3])
    assert len(Index(tmp_path / "index").search(["vim"], 5, hybrid=True)[0]) == 3


@pytest.mark.parametrize("kind", ["pq", "ivf", "hnsw"])
def test_few_questions_are_indexed_added_and_removed_whatever_the_kind(encoder, tmp_path, kind):
    random = np.random.default_rng(0)
    questions = some_questions(14)
    writer = IndexWriter.create(tmp_path / "index", encoder, questions, kind=kind)
    writer.add([Question(f"n{place}", "quit vim", "quit vim") for place in range(20)])
    writer.remove([questions[place].id for place in random.permutation(14)[:9].tolist()])
    assert len(Index(tmp_path / "index").search(["vim"], 50)[0]) == 25


def test_a_reader_keeps_its_terms_and_moments_when_segments_are_joined(encoder, tmp_path):
    questions = some_questions(60)
    writer = IndexWriter.create(tmp_path / "index", encoder, questions, hybrid=Hybrid("bm25", 0.3))
    reader = Index(tmp_path / "index")
    expected = Index(tmp_path / "index").search(["quit vim"], 5, hybrid=True)
    writer.remove([question.id for question in questions[:40]])
    assert reader.search(["quit vim"], 5, hybrid=True) == expected


def test_the_same_id_twice_is_refused_and_a_single_string_is_no_list(encoder, tmp_path):
    twice = [Question("5", "vim", "vim"), Question("5", "nano", "nano")]
    with pytest.raises(InputError, match="two questions have the id 5"):
        IndexWriter.create(tmp_path / "index", encoder, twice)
    writer = IndexWriter.create(tmp_path / "index", encoder, twice[:1])
    with pytest.raises(InputError, match="two questions have the id 5"):
        writer.add(twice)
    with pytest.raises(TypeError, match="give a list of questions"):
        writer.index.search("vim")


def test_damage_to_what_was_removed_and_to_terms_is_seen(encoder, tmp_path):
    for name in ("removed", "terms.json", "texts_with.npy", "index.json"):
        folder = tmp_path / name
        writer = IndexWriter.create(folder, encoder, some_questions(60), hybrid=Hybrid("bm25", 0.3))
        writer.remove(["q0-0"])
        (path,) = list(folder.rglob(f"{name}*"))
        flipped(path)
        with pytest.raises(InputError):
            Index(folder).search(["vim"], 3, hybrid=True)


def test_an_index_is_not_replaced_while_a_writer_is_in_the_middle_of_adding(encoder, tmp_path, monkeypatch):
    IndexWriter.create(tmp_path / "index", encoder, some_questions(20))
    writer, begun = IndexWriter(tmp_path / "index"), threading.Event()
    write = writer_module.write_segment

    def slow_in_place(folder, *rest):
        if folder.parent == tmp_path / "index":
            begun.set()
            time.sleep(1)
        write(folder, *rest)

    monkeypatch.setattr(writer_module, "write_segment", slow_in_place)
    adding = threading.Thread(target=writer.add, args=(some_questions(5, seed=7),))
    adding.start()
    begun.wait()
    IndexWriter.create(tmp_path / "index", small_encoder(1), some_questions(30, seed=3))
    adding.join()
    assert {one.id[:2] for one in Index(tmp_path / "index").questions()} == {"q3"}
    assert len(Index(tmp_path / "index").search(["vim"], 50)[0]) == 30
