"""Does to files, processes and disks what should never happen, and counts what survives it.

`python scripts/torture.py --minutes 60 --seed 1` prints a table of tried, survived and lost; status 1 if any was lost,
or nothing could be tried. Damage that changed nothing, and kills of what had ended, count as without effect.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from askagain.torture.trials import (
    Bench,
    NoSmallDiskError,
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


Trial = Callable[[Bench, Path, random.Random], Outcome]


@dataclass
class Count:
    """How often each kind of trial was tried, lost and without effect; `left_out`: why no disk was filled, if so."""

    tried: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    without_effect: Counter[str] = field(default_factory=Counter)
    left_out: str | None = None

    def add(self, trial: Trial, outcome: Outcome) -> None:
        what = outcome.done.partition(":")[0] if trial is not odd_place else "odd places"
        kind = f"{trial.__name__.replace('_', ' ')}, {what}"
        if outcome.lost is not None:
            self.lost[kind] += 1
            print(f"lost: {outcome.done}: {outcome.lost}", file=sys.stderr)
        if outcome.was_tried or outcome.lost is not None:
            self.tried[kind] += 1
        else:
            self.without_effect[kind] += 1


def main() -> None:
    """Tries everything in turn until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0, help="how long to go on")
    parser.add_argument("--seed", type=int, default=0, help="of what is done; when is a matter of the machine")
    parser.add_argument("--only", choices=[trial.__name__ for trial in ROUND], help="trials of one kind")
    given = parser.parse_args()
    trials = [trial for trial, count in ROUND.items() for _ in range(count) if given.only in (None, trial.__name__)]
    count = try_all(trials, random.Random(given.seed), given.minutes)
    Console().print(table_of(count, f"seed {given.seed}, {given.minutes:g} minutes"))
    if count.left_out:
        print(count.left_out)
    if not count.tried:
        print("nothing was tried", file=sys.stderr)
    sys.exit(1 if count.lost or not count.tried else 0)


def try_all(round_: Sequence[Trial], rng: random.Random, minutes: float) -> Count:
    """Tries all in random order, again and again until the time is over or none can be tried here."""
    trials, count, end = list(round_), Count(), time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(ROOT, Path(name))
        while trials and time.monotonic() < end:
            rng.shuffle(trials)
            for trial in list(trials):
                if time.monotonic() >= end:
                    break
                try:
                    count.add(trial, outcome_of(trial, bench, Path(name) / "scratch", rng))
                except NoSmallDiskError as error:
                    count.left_out = f"no disk could be made to fill up: {error}"
                    trials = [other for other in trials if other is not trial]
    return count


def outcome_of(trial: Trial, bench: Bench, scratch: Path, rng: random.Random) -> Outcome:
    """What comes of a trial in a folder that is removed afterwards."""
    try:
        return trial(bench, scratch, rng)
    except NoSmallDiskError:
        raise
    except Exception as error:  # a reader of ours, or this script
        traceback.print_exc()
        return Outcome(trial.__name__, repr(error))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def table_of(count: Count, title: str) -> Table:
    """A row for each kind of trial, and one for all."""
    table = Table("what was done", "tried", "survived", "lost", "without effect", title=title)
    for kind in sorted(count.tried | count.without_effect):
        tried, lost, without_effect = count.tried[kind], count.lost[kind], count.without_effect[kind]
        table.add_row(kind, *(f"{number:,}" for number in (tried, tried - lost, lost, without_effect)))
    table.add_section()
    tried, lost, without_effect = (each.total() for each in (count.tried, count.lost, count.without_effect))
    table.add_row("all", *(f"{number:,}" for number in (tried, tried - lost, lost, without_effect)))
    return table


if __name__ == "__main__":
    main()
