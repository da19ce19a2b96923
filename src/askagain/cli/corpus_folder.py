"""What the verbs that write a corpus folder share: their settings, the origin of the texts, and what is printed."""

import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from askagain.convert.folder import Origin
    from askagain.convert.split import SplitSettings


def split_settings(hard_by: str, **settings: Any) -> "SplitSettings":
    """The settings of a split from the options of a verb; `hard_by`: `bm25`, or the path of an encoder."""
    from askagain.convert.hard_negatives import closest_by_bm25, closest_by_encoder
    from askagain.convert.split import SplitSettings

    closest = closest_by_bm25 if hard_by == "bm25" else partial(closest_by_encoder, hard_by)
    return SplitSettings(**settings, closest=closest)


def origin_of(
    folder: Path, sources: Sequence[Path], read_as: str, settings: "SplitSettings | None", licence: str | None
) -> "Origin":
    """Where the texts of a folder come from; `settings`: how its rows were drawn, None where they were not."""
    from askagain.convert.folder import Origin

    # Where it was written is left out, so that the same command gives the same bytes anywhere.
    words = ["DIR" if word == str(folder) else word for word in sys.argv[1:]]
    if settings is None:
        return Origin(shlex.join(["askagain", *words]), sources, read_as, licence)
    remark = (
        f"Candidates are drawn with seed {settings.seed}, {settings.candidates} a row or as many as there are, never "
        f"from the question's own group, and without texts that share {settings.guard:.0%} or more of their words with "
        "a member of it."
    )
    return Origin(shlex.join(["askagain", *words]), sources, read_as, licence, [remark])


def report(folder: Path, counts: dict[str, int], trains: bool = True) -> None:
    """Prints what was written, what was left out, and what to type next."""
    from rich.console import Console
    from rich.table import Table

    from askagain.files.opened import count_lines

    console = Console(soft_wrap=True, highlight=False)
    table = Table("file", "lines", box=None)
    table.columns[1].justify = "right"
    lines = {
        path.name: count_lines(path) for path in sorted(folder.iterdir()) if path.suffix in (".tsv", ".txt", ".jsonl")
    }
    for name, count in lines.items():
        table.add_row(name, f"{count:,}")
    console.print(f"wrote {folder}, with README.md", markup=False)
    console.print(table)
    for name, count in counts.items():
        if count:
            console.print(f"{name}: {count:,}", markup=False)
    where = f"data=tsv data.dir={shlex.quote(str(folder))}"
    if not trains:
        split = "validation" if "validation.tsv" in lines else "test"
        console.print(f"next: python evaluate.py encoder.path=RUN {where} data.split={split}", markup=False)
        return
    console.print(f"next: python train.py experiment=dssm {where}", markup=False)
    if "corpus.txt" in lines:
        console.print(f"or, with a teacher: python train.py experiment=distill {where}", markup=False)
