"""Does to files, processes and disks what should never happen, and counts what survives it.

`python scripts/torture.py --minutes 60 --seed 1` prints a table of tried, survived and lost; status 1 if any was lost.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from askagain.torture.trials import (
    Bench,
    Outcome,
    damaged_file,
    full_disk,
    killed_training,
    killed_worker,
    odd_place,
    started_together,
)

ROOT = Path(__file__).resolve().parent.parent
# Of each kind the number of trials in a round; commands take seconds, files a tenth of one.
ROUND = {damaged_file: 60, killed_worker: 3, odd_place: 1, started_together: 1, killed_training: 1, full_disk: 1}


def main() -> None:
    """Tries everything in turn until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0, help="how long to go on")
    parser.add_argument("--seed", type=int, default=0, help="of what is done; when is a matter of the machine")
    parser.add_argument("--only", choices=[trial.__name__ for trial in ROUND], help="trials of one kind")
    given = parser.parse_args()
    rng = random.Random(given.seed)
    end = time.monotonic() + 60 * given.minutes
    tried: Counter[str] = Counter()
    lost: list[tuple[str, Outcome]] = []
    trials = [trial for trial, count in ROUND.items() for _ in range(count) if given.only in (None, trial.__name__)]
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(ROOT, Path(name))
        left_out = None
        while time.monotonic() < end:
            rng.shuffle(trials)
            for trial in trials:
                if time.monotonic() >= end:
                    break
                scratch = Path(name) / "scratch"
                try:
                    outcome = trial(bench, scratch, rng)
                except PermissionError as error:
                    left_out = f"no disk could be made to fill up: {error}"
                    continue
                except Exception as error:  # a reader of ours, or this script
                    traceback.print_exc()
                    outcome = Outcome(trial.__name__, repr(error))
                finally:
                    shutil.rmtree(scratch, ignore_errors=True)
                kind = outcome.done.partition(":")[0] if trial is not odd_place else "odd places"
                tried[f"{trial.__name__.replace('_', ' ')}, {kind}"] += 1
                if outcome.lost is not None:
                    lost.append((f"{trial.__name__.replace('_', ' ')}, {kind}", outcome))
                    print(f"lost: {outcome.done}: {outcome.lost}", file=sys.stderr)
    losses = Counter(kind for kind, _ in lost)
    table = Table("what was done", "tried", "survived", "lost", title=f"seed {given.seed}, {given.minutes:g} minutes")
    for kind in sorted(tried):
        table.add_row(kind, *(f"{count:,}" for count in (tried[kind], tried[kind] - losses[kind], losses[kind])))
    table.add_section()
    table.add_row("all", *(f"{count:,}" for count in (tried.total(), tried.total() - len(lost), len(lost))))
    Console().print(table)
    if left_out:
        print(left_out)
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
