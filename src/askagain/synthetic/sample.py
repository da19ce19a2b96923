"""Writes the built-in sample: a small synthetic corpus to try everything without data.

The questions are generated from a grammar; results on them say nothing about a real corpus.
"""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from askagain.files.writing import write_text
from askagain.synthetic.questions import Draws, question_groups


def write_sample(folder: Path, seed: int = 0, groups: int = 4_000, rows: int = 300, negatives: int = 1_000) -> None:
    """Writes synthetic `train.tsv`, `validation.tsv` and `test.tsv`, each whole or not at all.

    The same arguments give the same bytes on every machine.

    Args:
        folder: of the files; it is made if it is missing.
        seed: of the generator.
        groups: lines of `train.tsv`, each a group of 2 to 5 questions that mean the same.
        rows: lines of `validation.tsv` and of `test.tsv`: a question, a duplicate, then the negatives. No group has
            questions in two files.
        negatives: of a row, drawn without replacement from the other groups of the same file.
    """
    source = question_groups(Draws(3 * seed))
    held_out = rows + negatives // 2 + 1  # groups have 2 questions or more: enough negatives for any row
    write_text(folder / "train.tsv", map(_line, islice(source, groups)))
    for number, name in enumerate(("validation.tsv", "test.tsv"), start=1):
        ranked = list(islice(source, held_out))
        draws = Draws(3 * seed + number)
        write_text(folder / name, map(_line, _ranking_rows(ranked, rows, negatives, draws)))


def _line(cells: Sequence[str]) -> str:
    return "\t".join(cells) + "\n"


def generator_digest() -> str:
    """A digest of the generator's source and grammar, for the key of a cached sample."""
    sources = sorted(path for path in Path(__file__).parent.iterdir() if path.suffix in (".py", ".yaml"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def _ranking_rows(groups: Sequence[list[str]], rows: int, negatives: int, draws: Draws) -> Iterator[list[str]]:
    """Yields a question, its duplicate and negatives of other groups, for each of the first `rows` groups."""
    candidates = [(question, number) for number, group in enumerate(groups) for question in group]
    for number, group in enumerate(groups[:rows]):
        others = (question for question, owner in _shuffled(candidates, draws) if owner != number)
        yield [*group[:2], *islice(others, negatives)]


def _shuffled(items: list[tuple[str, int]], draws: Draws) -> Iterator[tuple[str, int]]:
    """Yields the items in random order, shuffling the list only as far as needed."""
    for position in range(len(items)):
        other = position + draws.below(len(items) - position)
        items[position], items[other] = items[other], items[position]
        yield items[position]
