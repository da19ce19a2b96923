"""A random part of a corpus as a corpus folder of its own; a larger part holds the smaller ones of the same seed."""

from pathlib import Path

import numpy as np

from askagain.corpus.corpus import Corpus
from askagain.corpus.files import NAMES
from askagain.files.writing import write_text
from askagain.text.fields import title_of


def write_subset(corpus: Corpus, folder: Path, sizes: dict[str, int], seed: int) -> None:
    """Writes lines of `train` and `corpus` that are drawn at random, in the order that they have in the corpus.

    A file that all lines are drawn of has the same content with every seed.

    Args:
        corpus: that the lines are drawn from.
        folder: for the files.
        sizes: how many lines of `train` and of `corpus`; a file without lines is not written.
        seed: of the draws.
    """
    for name, size in sizes.items():
        if size:
            store = corpus.store(name)
            bags = store.rows.take(drawn(len(store.rows), size, seed))
            lines = ("\t".join(title_of(store.texts[text]) for text in bags.bag(line)) for line in range(len(bags)))
            write_text(folder / NAMES[name], (f"{line}\n" for line in lines))


def drawn(count: int, size: int, seed: int) -> np.ndarray:
    """`size` numbers from 0 up to `count`, ascending; they are among the numbers of a larger size."""
    return np.sort(np.random.default_rng(seed).permutation(count)[:size])
