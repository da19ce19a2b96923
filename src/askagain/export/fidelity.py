"""How much of an encoder an export keeps: its vectors beside the encoder's, and the ranking that both give."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from askagain.corpus.files import CorpusFiles
from askagain.errors import InputError
from askagain.export.packages import needed
from askagain.export.request import Encode
from askagain.export.word_table import known_words
from askagain.models.bag_encoder import BagEncoder, unit_vectors
from askagain.text.bags import Bags, offsets_of

SAME = 0.9999  # cosines above it are those of vectors that are as good as equal
MADE_TEXTS, WORDS_A_TEXT, SEED = 10_000, 6, 0
FEWEST_TEXTS = 2_000  # timed; fewer ones are repeated
COLUMNS = 3  # of a row: question, duplicate, and at least one other text


@dataclass(frozen=True, eq=False)
class Trial:
    """Texts to compare encoders on, with the rows of a ranking set where there are any.

    `texts`: distinct. `rows`: one bag of text indices for each row, as `rank_duplicates` takes them; None for texts
    that were made up. `said`: where the texts come from, in words.
    """

    texts: Sequence[str]
    rows: Bags | None
    said: str


@dataclass(frozen=True)
class Fidelity:
    """What an export keeps.

    `mrr`: of the encoder and of the export, with ties averaged; None without rows. `same`: the share of texts whose two
    vectors have a cosine above `SAME`, or are both zero. `speed`: texts a second of the encoder and of the export.
    """

    same: float
    speed: tuple[float, float]
    mrr: tuple[float, float] | None

    @property
    def kept(self) -> float | None:
        """The share of the MRR that the export keeps."""
        return None if self.mrr is None else self.mrr[1] / self.mrr[0]


def trial_of(encoder: BagEncoder, data: Path | None) -> Trial:
    """The validation rows of a corpus folder, or texts made of words that the encoder knows.

    Raises InputError where the folder has no validation.tsv, or one with bad rows, and where a package is missing that
    reads or ranks them.
    """
    if data is None:
        words = known_words(encoder) or [ngram.strip("#") for ngram in encoder.features.tokenizer.ngrams]
        if not words:
            raise InputError("the encoder has no words to make texts of; measure it on a corpus folder with --data DIR")
        rng = random.Random(SEED)
        texts = dict.fromkeys(" ".join(rng.choices(words, k=WORDS_A_TEXT)) for _ in range(MADE_TEXTS))
        return Trial(list(texts), None, f"{len(texts):,} texts made of {WORDS_A_TEXT} known words each, seed {SEED}")
    path = CorpusFiles.locate(str(data)).file("validation")
    needed("polars", "data")
    needed("torch", "train")
    from askagain.corpus.tsv import header, read_rows

    places: dict[str, int] = {}
    ids: list[int] = []
    lengths: list[int] = []
    for rows in read_rows(path, COLUMNS, first_line=1 if header(path) is None else 2):
        ids += [places.setdefault(text, len(places)) for text in rows.cells.to_list()]
        lengths += rows.lengths.tolist()
    bags = Bags(np.array(ids, dtype=np.int64), offsets_of(np.array(lengths, dtype=np.int64)))
    return Trial(list(places), bags, f"{len(lengths):,} validation rows of {len(places):,} texts")


def compare(encoder: BagEncoder, export: Encode, trial: Trial) -> Fidelity:
    """Encodes the texts of a trial with both, and ranks its rows."""
    original, original_speed = _timed(encoder.encode, trial.texts)
    exported, export_speed = _timed(export, trial.texts)
    mrr = None
    if trial.rows is not None:
        mrr = (_mrr(original, trial.rows), _mrr(exported, trial.rows))
    return Fidelity(share_of_same(original, exported), (original_speed, export_speed), mrr)


def share_of_same(one: np.ndarray, other: np.ndarray) -> float:
    """The share of rows, [n, dim] each, with a cosine above `SAME`; two zero rows are the same."""
    units, others = unit_vectors(one), unit_vectors(other)
    both_zero = ~(units.any(axis=1) | others.any(axis=1))
    return float(np.mean((np.einsum("ij,ij->i", units, others) > SAME) | both_zero))


def _timed(encode: Encode, texts: Sequence[str]) -> tuple[np.ndarray, float]:
    """The vectors, and texts a second, without what only the first call does."""
    encode(texts[:10])
    rounds = -(-FEWEST_TEXTS // len(texts))
    began = time.perf_counter()
    for _ in range(rounds):
        vectors = encode(texts)
    return np.asarray(vectors, dtype=np.float32), rounds * len(texts) / (time.perf_counter() - began)


def _mrr(vectors: np.ndarray, rows: Bags) -> float:
    from askagain.ranking.metrics import mean_reciprocal_rank
    from askagain.ranking.ranks import rank_duplicates

    return mean_reciprocal_rank(rank_duplicates(vectors, rows.ids, rows.offsets))
