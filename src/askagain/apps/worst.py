"""Writes worst.tsv: the questions whose duplicate is ranked worst, the candidates above it, and why."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from askagain.evaluation.evaluate import Ranker
from askagain.evaluation.explanation import score_parts
from askagain.evaluation.worst_ranked import WorstRanked
from askagain.files.writing import write_text
from askagain.text.fields import title_of

COLUMNS = ("question", "rank", "tied", "what", "text", "score", "carried by")


def write_worst(path: Path, worst: Sequence[WorstRanked], ranker: Ranker, features: int) -> None:
    """Writes a line for each duplicate and for each candidate above it, worst question first.

    The column `carried by` has the `features` pairs of features that add most to the score, and what they add; it is
    empty for an encoder without a table of features.
    """
    write_text(path, ("\t".join(cells) + "\n" for cells in (COLUMNS, *_lines(worst, ranker, features))))
    print(f"worst: {path}")


def _lines(worst: Sequence[WorstRanked], ranker: Ranker, features: int) -> Iterator[list[str]]:
    for row in worst:
        for place, shown in enumerate((row.duplicate, *row.above)):
            what = f"above {place}" if place else "duplicate"
            texts = title_of(row.question), title_of(shown.text)
            cells = [texts[0], f"{row.rank:g}", str(row.tied), what, texts[1], f"{shown.score:.4f}"]
            yield [
                " ".join(cell.split("\t")) for cell in (*cells, _carried_by(ranker, row.question, shown.text, features))
            ]


def _carried_by(ranker: Ranker, question: str, text: str, features: int) -> str:
    parts = [part for part in score_parts(ranker, question, text) or [] if part.score > 0]
    return ", ".join(
        f"{one} {score:.3f}" if one == other else f"{one} ~ {other} {score:.3f}"
        for one, other, score in parts[:features]
    )
