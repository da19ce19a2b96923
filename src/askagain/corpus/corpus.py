"""One corpus: its files, how its texts are cleaned, and the cache that keeps what was made of them."""

from functools import cached_property
from pathlib import Path

from askagain.corpus.cache import Cache
from askagain.corpus.files import CorpusFiles
from askagain.corpus.token_store import TokenStore
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.vocabulary import WordVocabulary

GROUP_COLUMNS = 2  # two duplicates or more
RANKING_COLUMNS = 3  # question, duplicate, one negative or more


class Corpus:
    """The token stores of a corpus, opened when they are first asked for.

    Raises InputError, at that moment, for a file that is missing or cannot be read.
    """

    def __init__(self, files: CorpusFiles, preprocessor: TextPreprocessor, cache: Cache, on_bad_row: str) -> None:
        self.files = files
        self.preprocessor = preprocessor
        self._cache = cache
        self._on_bad_row = on_bad_row
        self._ranking: dict[str, TokenStore] = {}

    @cached_property
    def groups(self) -> TokenStore:
        """Groups of duplicates: each row of the store is a group."""
        return self._open(self.files.groups(), GROUP_COLUMNS)

    @cached_property
    def unlabelled(self) -> TokenStore | None:
        """Texts without labels, one a row; None where the corpus has none."""
        return None if self.files.corpus is None else self._open(self.files.corpus, 1, separator=None)

    def ranking(self, split: str) -> TokenStore:
        """The ranking set `validation` or `test`: each row is a question, its duplicate, and the negatives."""
        if split not in self._ranking:
            self._ranking[split] = self._open(self.files.ranking(split), RANKING_COLUMNS)
        return self._ranking[split]

    def ranking_counts(self, known: WordVocabulary) -> dict[str, float]:
        """What is in the validation ranking set: rows, distinct texts and words, and the share of its words (each as
        often as it occurs) that are among the known ones.
        """
        ranking = self.ranking("validation")
        words = ranking.words(self.preprocessor)
        return {
            "validation_rows": len(ranking.rows),
            "validation_texts": len(ranking.texts),
            "validation_words": len(words.words),
            "validation_known_share": words.known_share(known),
        }

    def _open(self, path: Path, min_columns: int, separator: str | None = "\t") -> TokenStore:
        return TokenStore(path, min_columns, self._on_bad_row, self._cache, separator)
