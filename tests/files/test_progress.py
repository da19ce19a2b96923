"""Bars are drawn on terminals only, share one display, and leave nothing behind."""

import re
import subprocess
import sys

import pytest

from tests.terminal import on_terminal

COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3\d|4\d|9\d)(?:;\d+)*m")
STAGES = """
import logging, sys, time
logging.basicConfig(format="%(message)s", level=logging.INFO)
from askagain.files.progress import bytes_progress_bar, counted_progress, progress_bar
with progress_bar(delay=0) as outer:
    task = outer.add_task("outer [bold]", total=4)
    for start in counted_progress(range(0, 40, 10), 40, 10, "inner"):
        outer.update(task, advance=1, rate="7 pairs/s", note="hits@10 0.5")
        time.sleep(0.2)
    logging.info("a line of the log")
    time.sleep(0.3)
for _ in counted_progress(range(2), 2, 1, "short"):
    pass
print("printed")
"""


def test_bars_within_each_other_and_log_lines_share_a_display_that_disappears():
    status, output = on_terminal([sys.executable, "-c", STAGES])
    assert status == 0, output
    frames = output.split("\x1b[2K")
    assert any("outer" in frame and "inner" not in frame for frame in frames)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output)
    assert re.search(r"outer \[bold\] .*7 pairs/s.*hits@10 0\.5", plain) and re.search(r"inner .*30/40", plain)
    assert "\ra line of the log\r\n" in plain  # from the start of a line to its end
    assert "short" not in plain  # it would flicker
    assert "━" not in frames[-1] and plain.endswith("printed\r\n")
    assert COLOUR.search(output)


@pytest.mark.parametrize("settings", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_is_drawn_where_none_is_wanted(settings):
    status, output = on_terminal([sys.executable, "-c", STAGES], **settings)
    assert status == 0 and not COLOUR.search(output), output
    assert ("outer" in output) == ("NO_COLOR" in settings)
    if "TERM" in settings:
        assert output == "a line of the log\r\nprinted\r\n"


def test_files_get_no_bars_even_where_colour_is_forced(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    result = subprocess.run([sys.executable, "-c", STAGES], capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("printed\n", "a line of the log\n")
