"""Tunes how much a ranker that counts terms weighs beside an encoder."""

from pathlib import Path

import numpy as np

from askagain.corpus.files import CorpusFiles
from askagain.corpus.tsv import read_cells
from askagain.models.bag_encoder import BagEncoder
from askagain.ranking.fusion import ROUNDED, best_weight
from askagain.ranking.products import SparseScores
from askagain.search.lexical_terms import make_ranker

DEFAULT_WEIGHT = 0.1  # the best of those tried on AskUbuntu's validation rows, for both rankers


def tune(name: str, data: Path, encoder: BagEncoder) -> tuple[float, dict[float, float]]:
    """The weight with the highest MRR on the validation rows of a corpus folder, and the MRR of each.

    Raises InputError where the folder has no validation rows or no texts to count terms in.
    """
    files = CorpusFiles.locate(str(data))
    rows = list(read_cells(files.file("validation"), min_columns=3))
    texts = list(dict.fromkeys(text for row in rows for text in row))
    places = {text: place for place, text in enumerate(texts)}
    ranker = make_ranker(name, encoder.preprocessor)
    sources = ((files.train, "\t"), (files.corpus, None))
    cells = (row for path, separator in sources if path is not None for row in read_cells(path, separator=separator))
    ranker.fit(dict.fromkeys(text for row in cells for text in row))
    vectors = encoder.encode(texts, normalize=True)
    asked, candidates = ranker.questions(texts), ranker.candidates(texts)
    of_terms, cosines, scores = SparseScores(asked, candidates), [], []
    for row in rows:
        question, *others = (places[text] for text in row)
        cosines.append(np.round(vectors[others] @ vectors[question], ROUNDED))
        scores.append(of_terms(question, np.array(others)))
    return best_weight(cosines, scores)
