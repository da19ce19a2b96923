"""One corpus: its files, how its texts are cleaned, and the cache that keeps what was made of them."""

from functools import cached_property
from pathlib import Path

from askagain.corpus.cache import Cache
from askagain.corpus.files import CorpusFiles
from askagain.corpus.token_store import TokenStore
from askagain.text.preprocessor import TextPreprocessor

GROUP_COLUMNS = 2  # two duplicates or more
RANKING_COLUMNS = 3  # question, duplicate, one negative or more


class Corpus:
    """The token stores of a corpus, opened when they are first asked for.

    Raises InputError, at that moment, for a file that is missing or cannot be read.
    """

    def __init__(
        self, files: CorpusFiles, preprocessor: TextPreprocessor, cache: Cache, on_bad_row: str = "error"
    ) -> None:
        self.files = files
        self.preprocessor = preprocessor
        self._cache = cache
        self._on_bad_row = on_bad_row

    @cached_property
    def groups(self) -> TokenStore:
        """Groups of duplicates: each row of the store is a group."""
        return self._open(self.files.groups(), GROUP_COLUMNS)

    @cached_property
    def unlabelled(self) -> TokenStore | None:
        """Texts without labels, one a row; None where the corpus has none."""
        return None if self.files.corpus is None else self._open(self.files.corpus, 1)

    def ranking(self, split: str) -> TokenStore:
        """The ranking set `validation` or `test`: each row is a question, its duplicate, and the negatives."""
        return self._validation if split == "validation" else self._open(self.files.ranking(split), RANKING_COLUMNS)

    @cached_property
    def _validation(self) -> TokenStore:
        return self._open(self.files.ranking("validation"), RANKING_COLUMNS)

    def _open(self, path: Path, min_columns: int) -> TokenStore:
        return TokenStore(path, min_columns, self._on_bad_row, self._cache)
