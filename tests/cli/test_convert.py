"""`askagain convert` through the console script: what it writes, prints and refuses."""

import shutil
import subprocess
import sys
import time

import pytest

from tests.cli.conftest import refused
from tests.conftest import REAL_DATA

PAIRS = "".join(f"question {i} about vim,asking {i} of the editor\n" for i in range(40))


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text(f"question1,question2\n{PAIRS}")
    return path


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_is_written_and_the_next_command_is_told(askagain, pairs, tmp_path):
    (tmp_path / "titles.txt").write_text("list ports\nquestion 3 about vim\n")
    answer = askagain("convert", "groups", pairs, "--texts", tmp_path / "titles.txt", "-o", tmp_path / "out")
    assert answer.status == 0 and not answer.err
    assert set(content(tmp_path / "out")) == {"train.tsv", "validation.tsv", "test.tsv", "corpus.txt", "README.md"}
    assert f"next: python train.py experiment=dssm data=tsv data.dir={tmp_path / 'out'}" in answer.out.splitlines()
    assert (tmp_path / "out" / "corpus.txt").read_text() == "list ports\n"
    readme = (tmp_path / "out" / "README.md").read_text()
    assert f"askagain convert groups {pairs} --texts {tmp_path / 'titles.txt'} -o DIR" in readme
    assert "SHA-256" in readme and readme.startswith("# out\n")


def test_the_same_command_writes_the_same_bytes_elsewhere(askagain, pairs, tmp_path):
    for name in ("a", "b"):
        assert askagain("convert", "groups", pairs, "-o", tmp_path / name / "out", "--seed", 5).status == 0
    assert content(tmp_path / "a" / "out") == content(tmp_path / "b" / "out")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["convert", "groups", "nowhere.csv", "-o", "out"], "nowhere.csv does not exist"),
        (["convert", "groups", "pairs.csv"], "Missing option '-o' / '--out'; see askagain convert groups --help"),
        (["convert", "groups", "pairs.csv", "-o", "out", "--columns", "asked,original"], "no column asked"),
        (["convert", "groups", "pairs.csv", "-o", "out", "--validation", "0"], "--validation"),
        (["convert", "groups", "pairs.csv", "-o", "out", "--validation", "900"], "none is left to train on"),
        (["convert", "groups", "pairs.csv", "-o", "out", "--hard", "5", "--hard-by", "nowhere"], "nowhere"),
        (["convert", "groups", "pairs.csv", "-o", "pairs.csv"], "there is a file of this name"),
        (["convert", "stackexchange", "pairs.csv", "-o", "out"], "pairs.csv: its name should have Posts.xml"),
        (["convert", "groups", "pairs.csv", "-o", "pairs.csv/out"], "pairs.csv is no folder"),
        (["convert", "groups", "pairs.csv", "-o", "out", "--guard", "nan"], "nan is no number"),
        (["convert", "groups", "pairs.csv", "-o", "x" * 300], "File name too long"),
        (["convert", "mteb", "pairs.csv", "-o", "out"], "no such folder"),
        (["convert", "gruops", "pairs.csv"], "No such command 'gruops'"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(askagain, pairs, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused(askagain(*words))
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.csv"]


def test_a_folder_that_is_there_is_replaced_only_when_asked(askagain, pairs, tmp_path):
    out = tmp_path / "out"
    assert askagain("convert", "groups", pairs, "-o", out).status == 0
    before = content(out)
    assert "not empty" in refused(askagain("convert", "groups", pairs, "-o", out, "--seed", 1))
    assert content(out) == before
    assert askagain("convert", "groups", pairs, "-o", out, "--seed", 1, "--overwrite").status == 0
    assert content(out) != before


@pytest.mark.parametrize(
    "verb", [(), ("convert",), ("convert", "groups"), ("convert", "stackexchange"), ("convert", "mteb")]
)
def test_help_has_an_example_and_imports_nothing_heavy(verb):
    code = f"""
import sys
sys.argv = ["askagain", *{verb!r}, "--help"]
from askagain.cli.main import main
try:
    main()
finally:
    heavy = {{"torch", "numpy", "polars", "hydra", "lxml", "scipy", "rich", "requests"}} & set(sys.modules)
    assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Example" in done.stdout and f"askagain {' '.join(verb)}".strip() in done.stdout


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"no real data at {REAL_DATA}")
@pytest.mark.slow
@pytest.mark.parametrize("source", ["groups", "pairs", "beer", "ai"])
def test_from_a_site_s_own_files_to_a_trained_and_compared_model_with_two_commands(askagain, command, tmp_path, source):
    out = tmp_path / "out"
    groups = REAL_DATA / "askubuntu" / "train.tsv"
    lines = groups.read_text(encoding="utf-8").splitlines()[:600] if groups.is_file() else []
    if source == "groups":
        (tmp_path / "groups.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        words = ["groups", tmp_path / "groups.tsv"]
    elif source == "pairs":
        pairs = tmp_path / "pairs.csv"
        cells = ['"' + '","'.join(cell.replace('"', '""') for cell in line.split("\t")[:2]) + '"' for line in lines]
        pairs.write_text("\n".join(["asked,original", *cells]) + "\n", encoding="utf-8")
        words = ["groups", pairs, "--columns", "asked,original"]
    else:
        dump = REAL_DATA / "stackexchange_dumps" / source
        words = ["stackexchange", dump / "Posts.xml", dump / "PostLinks.xml"]
    assert askagain("convert", *words, "-o", out).status == 0
    trained = command(
        "train.py", "experiment=dssm", "data=tsv", f"data.dir={out}", "trainer.max_epochs=1", "trainer.accelerator=cpu"
    )
    assert trained.returncode == 0, trained.stderr
    assert "bm25" in trained.stdout


def test_ctrl_c_leaves_nothing_behind(tmp_path):
    """A process of its own, which is interrupted while it reads."""
    large = tmp_path / "large.csv"
    with large.open("w") as file:
        file.write("question1,question2\n")
        file.writelines(f"question {i} about vim,asking {i} of the editor\n" for i in range(1_200_000))
    script = shutil.which("askagain", path=str(tmp_path.__class__(sys.executable).parent))
    process = subprocess.Popen(
        [sys.executable, "-c", "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
         "from askagain.cli.main import main; main()", "convert", "groups", str(large), "-o", str(tmp_path / "out")],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    time.sleep(1.5)
    assert script is not None and process.poll() is None
    process.send_signal(2)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and said.strip() == "interrupted"
    assert {path.name for path in tmp_path.iterdir()} == {"large.csv"}
