"""Writes the built-in sample: a small synthetic corpus in the format of the real one, to try everything without data.

The questions are generated from a grammar and say nothing about any real corpus.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from askagain.files.writing import atomic_write
from askagain.synthetic.questions import Draws, question_groups


def write_sample(folder: Path, seed: int = 0, groups: int = 4_000, rows: int = 300, negatives: int = 1_000) -> None:
    """Writes `train.tsv`, `validation.tsv` and `test.tsv`, all synthetic, into `folder`; makes the folder if need be.

    The same arguments give the same bytes on every machine. Each file appears only when it is whole.

    Args:
        folder: where the files go.
        seed: of the generator.
        groups: lines of `train.tsv`, each a group of 2 to 5 questions that mean the same.
        rows: lines of `validation.tsv` and of `test.tsv`: a question, a duplicate of it, then the negatives. No group
            has questions in two files.
        negatives: candidates a row that mean something else, drawn without replacement from the other groups of the
            same file.
    """
    source = question_groups(Draws(3 * seed))
    held_out = rows + negatives // 2 + 1  # a group has 2 questions or more: enough negatives, whatever the row
    write_lines(folder / "train.tsv", islice(source, groups))
    for number, name in enumerate(("validation.tsv", "test.tsv"), start=1):
        ranked = list(islice(source, held_out))
        draws = Draws(3 * seed + number)
        write_lines(folder / name, _ranking_rows(ranked, rows, negatives, draws))


def generator_digest() -> str:
    """A digest of the generator's source; it tells whether a sample in a cache is the one that is written today."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def _ranking_rows(groups: Sequence[list[str]], rows: int, negatives: int, draws: Draws) -> Iterator[list[str]]:
    """Yields, for each of the first `rows` groups, a question, its duplicate and `negatives` of the other groups."""
    candidates = [(question, number) for number, group in enumerate(groups) for question in group]
    for number, group in enumerate(groups[:rows]):
        others = (question for question, owner in _shuffled(candidates, draws) if owner != number)
        yield [*group[:2], *islice(others, negatives)]


def _shuffled(items: list[tuple[str, int]], draws: Draws) -> Iterator[tuple[str, int]]:
    """Yields the items in random order, shuffling the list only as far as it is read."""
    for position in range(len(items)):
        other = position + draws.below(len(items) - position)
        items[position], items[other] = items[other], items[position]
        yield items[position]


def write_lines(path: Path, lines: Iterable[Sequence[str]]) -> None:
    """Writes cells as tab-separated lines; the file appears only when the last line is written."""
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines("\t".join(line) + "\n" for line in lines)
