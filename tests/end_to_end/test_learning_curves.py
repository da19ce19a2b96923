"""scripts/learning_curves.py as a user types it."""

import json

import pytest
from lxml import html

from askagain.synthetic.sample import write_sample
from tests.end_to_end.conftest import QUICK, metrics_of, refused

pytestmark = pytest.mark.slow
SCRIPT = "scripts/learning_curves.py"
TRAINED = " ".join(("train.py experiment=dssm logger=none", *QUICK))


def methods(*more: str) -> str:
    """BM25, and rung 3 trained quickly, along groups."""
    given = [
        "{name: BM25, run: 'ranker=bm25', along: groups, with_unlabelled: 10}",
        f"{{name: rung 3, run: '{TRAINED}', along: groups}}",
        *more,
    ]
    return f"methods=[{', '.join(given)}]"


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_methods_are_compared_with_more_and_more_data_and_a_second_start_goes_on(command, tmp_path):
    board = tmp_path / "board"
    words = (SCRIPT, f"hydra.run.dir={board}", methods(), "draws=[0]")
    first = command(*words, "groups=[20]", "plot=false")
    assert first.returncode == 0, first.stderr
    assert "unlabelled: left out, since the corpus has no corpus.txt" in first.stderr
    assert "with_unlabelled: 10 is cut to all 0 lines of corpus.txt" in first.stderr
    assert not (board / "learning_curves.png").exists()

    whole = command(*words, "groups=[60,20]")
    assert whole.returncode == 0, whole.stderr
    assert whole.stderr.count("already in") == 1 and "training 2 of 2: rung 3 on 60 groups, seed 0" in whole.stderr
    details = json.loads((board / "learning_curves.json").read_text())
    points = {(point["method"], point["size"]): point for point in details["points"]}
    assert list(points) == [("BM25", 20), ("rung 3", 20), ("BM25", 60), ("rung 3", 60)]
    for size in (20, 60):
        run = board / f"rung 3 on {size} groups" / "seed-0"
        assert points["rung 3", size]["value"] == pytest.approx(metrics_of(run)["val/mrr"])
        sample = board / "samples" / "draw 0" / f"{size} groups, 0 unlabelled texts"
        assert files(sample) == ["train.tsv"] and len((sample / "train.tsv").read_text().splitlines()) == size
    for point in points.values():
        low, high = point["interval"]
        assert low < point["value"] < high and point["draws"] == [point["value"]]
        assert (point["p"] is None) != (point["method"] == "rung 3") and not (
            point["p"] is None and point["is_clearly_worse"]
        )
    assert (board / "learning_curves.png").read_bytes().startswith(b"\x89PNG")
    page = html.parse(str(board / "learning_curves.html"))
    assert page.xpath("//div[@data-chart='curves-0']") and not page.xpath("//div[@data-chart='curves-1']")
    table = (board / "learning_curves.md").read_text().splitlines()
    assert table[0] == "| data | BM25 | rung 3 | best, and not clearly worse |"
    assert table[2].startswith(f"| 20 groups | {points['BM25', 20]['value']:.4f} (") and "| BM25" in table[2][-20:]
    assert not (board / ".rows").exists()


def test_sizes_are_cut_to_the_corpus_and_points_are_means_over_draws(command, tmp_path):
    data, board = tmp_path / "data", tmp_path / "board"
    write_sample(data, seed=3, groups=30, rows=40, negatives=60)
    (data / "corpus.txt").write_text("".join(f"how to mount disk {i}\n" for i in range(12)))
    words = (SCRIPT, "data=tsv", f"data.dir={data}", f"hydra.run.dir={board}", "plot=false", "draws=[0,1]")
    given = "methods=[{name: BM25, run: 'ranker=bm25', along: %s}, {name: same, run: 'ranker=bm25', along: %s}]"
    done = command(*words, given % ("groups", "unlabelled"), "groups=[5,4000,9000]", "unlabelled=[12]")
    assert done.returncode == 0, done.stderr
    assert "groups: 9,000 is cut to all 30 lines of train.tsv" in done.stderr
    points = json.loads((board / "learning_curves.json").read_text())["points"]
    assert [(point["along"], point["size"]) for point in points] == [("groups", 5), ("groups", 30), ("unlabelled", 12)]
    few, every, unlabelled = points
    assert few["draws"][0] != few["draws"][1] and few["value"] == pytest.approx(sum(few["draws"]) / 2)
    assert every["draws"][0] == every["draws"][1] and unlabelled["p"] is None
    ends = f", {min(few['draws']):.4f} to {max(few['draws']):.4f} |  | BM25 |"
    assert ends in (board / "learning_curves.md").read_text()


def test_a_mistake_is_named_in_a_line_before_anything_is_trained(command, small, tmp_path):
    words = (SCRIPT, "data=tsv", f"data.dir={small}", f"hydra.run.dir={tmp_path / 'board'}", "plot=false")
    assert "groups=[0]: each must be at least 1" in refused(command(*words, "groups=[0]"))
    typo = "{name: typo, run: 'train.py model.tempersture=1', along: groups}"
    assert "typo along groups: " in refused(command(*words, methods(typo)))
    assert "along=texts: must be groups or unlabelled" in refused(
        command(*words, methods("{name: a, run: 'ranker=tfidf', along: texts}"))
    )
    assert "with_groups: no such key; along groups there is with_unlabelled" in refused(
        command(*words, methods("{name: a, run: 'ranker=tfidf', along: groups, with_groups: 3}"))
    )
    assert "two are called BM25 along groups" in refused(
        command(*words, methods("{name: BM25, run: 'ranker=tfidf', along: groups}"))
    )
    assert "candidate_set: leave it out" in refused(command(*words, methods(), "candidate_set=all"))
    assert "methods: there is none left" in refused(command(*words, methods(), "groups=[]"))
    assert not list((tmp_path / "board").rglob("metrics.json"))
