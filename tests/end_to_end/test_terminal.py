"""What a person sees of a training: one bar while it runs, few lines at its end, commands that can be typed."""

import re
import shlex
import sys

import pytest

from askagain.apps.next_steps import REPORT
from tests.end_to_end.conftest import QUICK, succeeded
from tests.terminal import on_terminal

SETS = ("validation", "test")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.mark.slow
def test_a_terminal_has_one_bar_with_rate_and_metrics_and_no_colour_where_none_is_wanted(small, cache_folder, tmp_path):
    words = (*QUICK, "trainer.max_epochs=6", "data=tsv", f"data.dir={small}", f"hydra.run.dir={tmp_path / 'run'}")
    command = [sys.executable, "train.py", *words, "logger=none"]
    status, output = on_terminal(command, NO_COLOR="1", ASKAGAIN_CACHE=str(cache_folder))
    assert status == 0, output
    assert not re.search(r"\x1b\[(?:\d+;)*(?:3\d|4\d|9\d)", output)
    lines = [ESCAPE.sub("", line) for line in re.split(r"[\r\n]+|\x1b\[2K", output)]
    frames = [line for line in lines if re.match(r"epoch \d+ of 5 .*\d+/\d+", line)]
    assert any(re.search(r"[\d,]+ pairs/s +hits@10 0\.\d{4} +mrr 0\.\d{4}", line) for line in frames), frames
    (total,) = {re.search(r"\d+/(\d+)", line)[1] for line in frames}
    assert int(total) % 6 == 0  # of all epochs, not of one
    assert len([line for line in lines if re.search(r"\d epoch \d+: loss", line)]) == 6
    assert "━" not in output[output.rindex("dssm on ") :]


def test_a_training_ends_with_its_figures_beside_bm25_a_verdict_and_commands_that_run(command, small, tmp_path):
    run = tmp_path / "a run's"
    run.mkdir()
    folder = str(run).replace("'", r"\'")
    result = command(
        "train.py", *QUICK, "report=true", "data=tsv", f"data.dir={small}", f"hydra.run.dir='{folder}'", "logger=none"
    )
    assert succeeded(result) == run
    assert "\x1b" not in result.stdout + result.stderr and "\r" not in result.stdout + result.stderr
    assert re.search(r"epoch 0: loss", result.stderr)

    end = result.stdout[result.stdout.index("dssm on ") :].splitlines()
    assert len(end) <= 35 and all(line.strip() for line in end), end
    tables = [place for place, line in enumerate(end) if line.startswith("dssm on ")]
    assert [end[place].endswith(f": 40 {split} rows") for place, split in zip(tables, SETS, strict=True)] == [True] * 2
    for place in tables:
        assert tuple(end[place + 1].split("  ")[-1:]) == ("ties",) and "95 % interval" in end[place + 1]
        named = [line.split("  ")[0] for line in end[place + 3 :]]
        kept = next(place for place, name in enumerate(named) if name == "best epoch (0)")
        assert list(dict.fromkeys(named[:kept])) == ["bm25", "tfidf_letters", "the start"], end
    (verdict,) = [line for line in end if re.match(r"mrr on 40 \w+ rows: ", line)]
    assert verdict.startswith("mrr on 40 test rows: ")  # the headline
    places = [f"encoder: {run / 'encoder'}", f"report: {run / REPORT}", "next:"]
    assert end[-6:-3] == places and end[-1] == f"metrics: {run / 'metrics.json'}"

    assert shlex.split(end[-3]) == ["askagain", "serve", str(run), "--corpus", str(small)]
    typed = shlex.split(end[-2])
    assert typed[:2] == ["python", "evaluate.py"] and "data.split=test" in typed
    evaluated = command("evaluate.py", *typed[2:])
    assert succeeded(evaluated) and "test.tsv, 40 rows" in evaluated.stdout
