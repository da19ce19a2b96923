"""A short process to be killed: `python -m askagain.torture.worker JOB CORPUS CACHE` prints a digest of what it made.

JOB is `prepare`, which reads a corpus into the cache, or `teach`, which embeds its texts with a made-up teacher.
"""

import hashlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from askagain.corpus.cache import Cache, finish_checks
from askagain.corpus.corpus import Corpus
from askagain.corpus.files import CorpusFiles
from askagain.corpus.text_union import TextUnion
from askagain.corpus.token_store import TokenStore
from askagain.text.features import FeatureSettings
from askagain.text.preprocessor import TextPreprocessor

SETTINGS = FeatureSettings("words_trigrams_pairs")
SECONDS_A_WRITE = 0.02  # so that a kill meets an unfinished array


def prepared(corpus: Path, cache: Path) -> str:
    """A digest of everything that training reads of a corpus: texts, groups, features, weights."""
    opened = Corpus(
        CorpusFiles.locate(str(corpus)),
        TextPreprocessor("?", stopwords="english"),
        Cache(cache, settled_seconds=0),
        "error",
    )
    digest = hashlib.sha256()
    features = opened.groups.count_features(opened.preprocessor, SETTINGS)
    digest.update(features.fingerprint.encode())
    for store in (opened.groups, opened.ranking("validation")):
        bags = store.features(opened.preprocessor, features)
        arrays = (store.rows.ids, store.rows.offsets, store.hashes, bags.ids, bags.offsets)
        for array in (*arrays, opened.group_of_text, opened.groups.idf(opened.preprocessor, features)):
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update("\n".join(store.texts).encode())
    finish_checks()
    return digest.hexdigest()


class MadeUpTeacher:
    """Gives each text numbers that depend on its letters."""

    fingerprint = "made up"

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        time.sleep(SECONDS_A_WRITE)
        rows = [np.frombuffer(hashlib.sha256(text.encode()).digest(), dtype=np.uint8) for text in texts]
        return np.array(rows, dtype=np.float32)


def taught(corpus: Path, cache: Path) -> str:
    """A digest of the teacher's vectors of the texts of a corpus."""
    from askagain.training.data.teacher import teacher_vectors

    store = TokenStore(corpus / "train.tsv", 2, "error", Cache(cache, settled_seconds=0))
    vectors = teacher_vectors(MadeUpTeacher(), TextUnion([store]), "float16", texts_per_write=16)
    return hashlib.sha256(np.ascontiguousarray(vectors).tobytes()).hexdigest()


if __name__ == "__main__":
    print({"prepare": prepared, "teach": taught}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3])))
