"""scripts/leaderboard.py as a user types it."""

import json
import shutil
from statistics import fmean

import pytest
from hydra import compose, initialize_config_dir
from lxml import html

from tests.conftest import ROOT
from tests.end_to_end.conftest import QUICK, metrics_of, refused

pytestmark = pytest.mark.slow


def test_rankers_are_compared_on_the_same_rows(command, small, tmp_path):
    words = ("data=tsv", f"data.dir={small}", f"paths.runs_dir={tmp_path}", f"hydra.run.dir={tmp_path / 'board'}")
    trained = " ".join(("train.py experiment=dssm logger=none", *QUICK))
    result = command(
        *("scripts/leaderboard.py", *words, "speed_texts=50"),
        f'rankers=[{{BM25:"ranker=bm25"}},{{nothing:"encoder=random"}},{{again:"ranker=bm25"}},{{mine:"{trained}"}}]',
    )
    assert result.returncode == 0, result.stderr
    board = json.loads((tmp_path / "board" / "leaderboard.json").read_text())
    bm25, nothing, again, mine = board["rankers"]
    assert [row["name"] for row in (bm25, nothing, again, mine)] == ["BM25", "nothing", "again", "mine"]
    assert bm25["versus_first"] is None
    assert nothing["versus_first"]["wins"] < nothing["versus_first"]["losses"] and nothing["versus_first"]["p"] < 0.01
    assert again["versus_first"] == {"wins": 0, "losses": 0, "ties": 40, "difference": 0.0, "p": 1.0}
    assert mine["metrics"]["mrr"] == pytest.approx(metrics_of(tmp_path / "board" / "mine" / "seed-0")["val/mrr"])
    assert all(row["texts_per_second"] > 0 for row in board["rankers"])
    table = (tmp_path / "board" / "leaderboard.md").read_text()
    assert [row["preprocessor"] for row in board["rankers"]] == ["standard", "its own", "standard", "all_words"]
    assert f"| BM25 | standard | {bm25['metrics']['hits@1']:.4f} (" in table and "40 rows" in table
    assert (tmp_path / "board" / "leaderboard.png").read_bytes().startswith(b"\x89PNG")
    page = html.parse(str(tmp_path / "board" / "leaderboard.html"))
    shown = [
        [cell.text_content().strip() for cell in row] for row in page.xpath("//table[@id='table-leaderboard']//tr")
    ]
    written = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"]
    assert shown[1:] == written[2:] and page.xpath("//div[@data-chart='leaderboard']")


BOARD = "lr=0.1, board"  # a folder whose name must be quoted where it is handed on


@pytest.fixture
def two_seeds(small, tmp_path) -> tuple[str, ...]:
    """Compares BM25 with an encoder trained with two seeds; what comes after decides the rankers' words."""
    folders = (f"data.dir={small}", f"paths.runs_dir={tmp_path}", f"hydra.run.dir='{tmp_path}/{BOARD}'")
    return ("scripts/leaderboard.py", "data=tsv", *folders, "speed_texts=50", "plot=false", "seeds=[0,1]")


def rankers(*more):
    trained = " ".join(("train.py experiment=dssm logger=none", *QUICK, *more))
    return f'rankers=[{{BM25:"ranker=bm25"}},{{mine:"{trained}"}}]'


def test_metrics_are_means_over_seeds_and_what_is_trained_already_is_not_trained_again(command, two_seeds, tmp_path):
    result = command(*two_seeds, rankers())
    assert result.returncode == 0, result.stderr
    runs = [tmp_path / BOARD / "mine" / f"seed-{seed}" for seed in (0, 1)]
    found = [metrics_of(run) for run in runs]
    board = json.loads((tmp_path / BOARD / "leaderboard.json").read_text())
    bm25, mine = board["rankers"]
    assert found[0]["val/mrr"] != found[1]["val/mrr"]
    for name in ("mrr", "hits@1", "median_rank"):
        assert mine["metrics"][name] == pytest.approx(fmean(one[f"val/{name}"] for one in found))
    assert mine["over_seeds"] == pytest.approx(sorted(one["val/mrr"] for one in found))
    assert (bm25["seeds"], mine["seeds"]) == ([], [0, 1])
    assert mine["versus_first"]["difference"] == pytest.approx(mine["metrics"]["mrr"] - bm25["metrics"]["mrr"])
    low, high = mine["over_seeds"]
    assert mine["metrics"]["mrr_low"] < mine["metrics"]["mrr"] < mine["metrics"]["mrr_high"]
    assert f"| {low:.4f} to {high:.4f} |" in (tmp_path / BOARD / "leaderboard.md").read_text()
    for number in (1, 2):
        assert f"training {number} of 2: mine, seed {number - 1}" in result.stderr

    weights = [run / "encoder" / "table.safetensors" for run in runs]
    before = [file.stat().st_mtime_ns for file in weights]
    (runs[1] / "metrics.json").unlink()  # as where the second training was killed
    result = command(*two_seeds, rankers())
    assert result.returncode == 0, result.stderr
    after = [file.stat().st_mtime_ns for file in weights]
    assert after[0] == before[0] and after[1] > before[1]
    assert result.stderr.count("already in") == 1
    again = json.loads((tmp_path / BOARD / "leaderboard.json").read_text())["rankers"][1]
    assert {**again, "texts_per_second": 0, "milliseconds": 0, "metrics": without_seconds(again)} == {
        **mine,
        "texts_per_second": 0,
        "milliseconds": 0,
        "metrics": without_seconds(mine),
    }

    result = command(*two_seeds, rankers("loss.temperature=0.3"))
    assert result.returncode == 0 and "already in" not in result.stderr, result.stderr
    assert [metrics_of(run)["val/mrr"] for run in runs] != [one["val/mrr"] for one in found]


def without_seconds(entry):
    return {name: value for name, value in entry["metrics"].items() if name != "seconds"}


def test_words_that_cannot_be_composed_are_said_before_anything_is_trained(command, two_seeds, tmp_path):
    last = '{first:"train.py experiment=dssm"},{typo:"train.py experiment=dssm name=дубль model.tempersture=1"}'
    said = refused(command(*two_seeds, f"rankers=[{last}]"))
    assert "typo: " in said and "model.tempersture" in said
    assert "typo: " in refused(command(*two_seeds, 'rankers=["encoder=random",{typo:"ranker=bm52"}]'))
    assert not list((tmp_path / BOARD).rglob("metrics.json"))
    assert not (tmp_path / BOARD / "first").exists()
    assert "leave seed= out" in refused(command(*two_seeds, rankers("seed=3")))
    assert "seeds=[1, 1]: must be different" in refused(command(*two_seeds, "seeds=[1,1]", rankers()))


@pytest.mark.parametrize("board", sorted(path.stem for path in (ROOT / "configs" / "board").glob("*.yaml")))
def test_every_word_of_a_ready_board_composes_and_no_two_rankers_are_trained_alike(board):
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        given = compose("leaderboard", [f"board={board}"]).rankers
        words = [word.split() for ranker in given for word in ranker.values()]
        made = [compose("train", one[1:]) for one in words if one[0] == "train.py"]
        made += [compose("leaderboard", one) for one in words if one[0] != "train.py"]
    assert len(made) > 1 and all(made[i] != made[j] for i in range(len(made)) for j in range(i))
    names = [name for ranker in given for name in ranker]
    assert len(set(names)) == len(names)


def test_an_unfinished_leaderboard_shows_its_rows_and_goes_on_from_there(command, small, tmp_path):
    folders = (f"data.dir={small}", f"paths.runs_dir={tmp_path}", f"hydra.run.dir={tmp_path / 'board'}")
    words = ("scripts/leaderboard.py", "data=tsv", *folders, "speed_texts=50", "plot=false")
    broken = tmp_path / "encoder"
    failed = command(*words, f'rankers=[{{BM25:"ranker=bm25"}},{{later:"encoder.path={broken}"}}]')
    assert failed.returncode == 2
    broken.mkdir()
    failed = command(*words, f'rankers=[{{BM25:"ranker=bm25"}},{{later:"encoder.path={broken}"}}]')
    assert failed.returncode == 2 and "no encoder here" in failed.stderr
    (first,) = json.loads((tmp_path / "board" / "leaderboard.json").read_text())["rankers"]
    assert f"BM25: mrr {first['metrics']['mrr']:.4f} (" in failed.stderr
    whole = command(*words, 'rankers=[{BM25:"ranker=bm25"},{later:"encoder=random"}]')
    assert whole.returncode == 0, whole.stderr
    again, _ = json.loads((tmp_path / "board" / "leaderboard.json").read_text())["rankers"]
    assert again == first  # with its speed, which no second measurement would give
    assert not (tmp_path / "board" / ".rows").exists()


def test_only_files_that_a_ranker_needs_are_read(command, small, tmp_path):
    corpus = tmp_path / "corpus"
    shutil.copytree(small, corpus)
    (corpus / "test.tsv").write_text("a question without a duplicate\n")
    words = ("data=tsv", f"data.dir={corpus}", f"hydra.run.dir={tmp_path / 'board'}", "speed_texts=50", "plot=false")
    done = command("scripts/leaderboard.py", *words, 'rankers=["encoder=random"]')
    assert done.returncode == 0, done.stderr


def test_a_mistake_in_what_to_compare_is_named(command, small, tmp_path):
    words = ("scripts/leaderboard.py", "data=tsv", f"data.dir={small}", f"paths.runs_dir={tmp_path}")
    assert "rankers: two are called a; give" in refused(
        command(*words, "rankers=[{a:'ranker=bm25'},{a:'ranker=tfidf'}]")
    )
    assert "rankers=[]: must have 1 or more entries" in refused(command(*words, "rankers=[]"))
    assert "hits@7: no such metric" in refused(command(*words, 'rankers=["encoder=random"]', "columns=[hits@7]"))
