import time

import pytest

from askagain.benchmarks.subprocesses import run_process, seconds_until
from askagain.benchmarks.table import OURS, BenchmarkResult, rows_of
from askagain.errors import InputError

RATES = BenchmarkResult("training", "pairs/s", True, {OURS: [30.0, 10.0, 20.0], "other": [4.0, 6.0, 5.0]})
SECONDS = BenchmarkResult("reading", "s", False, {OURS: [2.0], "other": [9.0]})


def test_ratios_are_of_medians_and_say_how_many_times_better_ours_is():
    assert RATES.median(OURS) == 20 and RATES.ratio("other") == 4
    assert SECONDS.ratio("other") == 4.5


def test_the_table_has_a_row_for_each_contender_and_the_ratio_beside_the_others():
    assert rows_of([RATES]) == [
        ("training", OURS, "20", "10 to 30", "pairs/s", ""),
        ("training", "other", "5", "4 to 6", "pairs/s", "4.0 x"),
    ]
    assert rows_of([RATES, SECONDS])[3] == ("reading", "other", "9", "9 to 9", "s", "4.5 x")


def test_a_process_tells_its_output_and_its_memory_and_a_failure_is_named():
    finished = run_process(["python3", "-c", "print('done', len(bytearray(200 * 2**20)))"])
    assert finished.output.startswith("done") and finished.peak_bytes > 200 * 2**20 and finished.seconds > 0
    held = bytearray(300 * 2**20)  # by this process; what it starts is counted by itself
    assert run_process(["true"]).peak_bytes < 100 * 2**20 < len(held)
    with pytest.raises(InputError, match="status 3: too bad"):
        run_process(["sh", "-c", "echo too bad; exit 3"])


def test_the_time_until_a_line_is_taken_when_it_comes_and_the_command_ended():
    began = time.perf_counter()
    assert 0.2 < seconds_until(["sh", "-c", "sleep 0.3; echo first batch; exec sleep 60"], "first batch") < 5
    assert time.perf_counter() - began < 10
    with pytest.raises(InputError, match="without a line with"):
        seconds_until(["true"], "first batch")
    assert 0 < seconds_until(["sh", "-c", "echo epoch 0; echo epoch 1; exec sleep 60"], lambda line: "1" in line) < 5
    with pytest.raises(InputError, match="status 2, without such a line: epoch 0"):
        seconds_until(["sh", "-c", "echo epoch 0; exit 2"], lambda line: "1" in line)
