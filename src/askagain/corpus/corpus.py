"""A corpus: its files, the preprocessor of its texts, and the cache of what was made of them."""

from functools import cached_property
from pathlib import Path

from askagain.corpus.cache import Cache
from askagain.corpus.files import CorpusFiles, missing
from askagain.corpus.token_store import TokenStore
from askagain.errors import InputError
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.vocabulary import WordVocabulary

GROUP_COLUMNS = 2  # at least two duplicates
STORES = ("train", "validation", "test", "corpus")
RANKING_COLUMNS = 3  # question, duplicate, and at least one negative


class Corpus:
    """The token stores of a corpus, each opened when it is first asked for.

    `digests`: SHA-256 of each file opened so far, by its field in `CorpusFiles`. Opening a store raises InputError for
    a file that is missing or unreadable.
    """

    def __init__(self, files: CorpusFiles, preprocessor: TextPreprocessor, cache: Cache, on_bad_row: str) -> None:
        self.files = files
        self.preprocessor = preprocessor
        self._cache = cache
        self._on_bad_row = on_bad_row
        self.digests: dict[str, str] = {}
        self._ranking: dict[str, TokenStore] = {}

    @cached_property
    def groups(self) -> TokenStore:
        """The groups of duplicates: each row is a group."""
        return self._open("train", self.files.groups(), GROUP_COLUMNS)

    @cached_property
    def unlabelled(self) -> TokenStore | None:
        """The unlabelled texts, one a row; None where the corpus has none."""
        return None if self.files.corpus is None else self._open("corpus", self.files.corpus, 1, separator=None)

    def ranking(self, split: str) -> TokenStore:
        """The ranking set `validation` or `test`: each row is a question, its duplicate, and negatives."""
        if split not in self._ranking:
            self._ranking[split] = self._open(split, self.files.ranking(split), RANKING_COLUMNS)
        return self._ranking[split]

    def groups_in(self, path: Path) -> TokenStore:
        """The groups of duplicates in another file than `train.tsv`."""
        return self._open("groups", path, GROUP_COLUMNS)

    def store(self, name: str) -> TokenStore:
        """One of `STORES`; raises InputError where the corpus has no such file."""
        if name == "train":
            return self.groups
        if name != "corpus":
            return self.ranking(name)
        if self.unlabelled is None:
            raise InputError(missing("corpus.txt", "corpus_path"))
        return self.unlabelled

    def ranking_counts(self, known: WordVocabulary) -> dict[str, float]:
        """Statistics of the validation set: rows, distinct texts and words, and the share of known words.

        The share counts each word as often as it occurs.
        """
        ranking = self.ranking("validation")
        words = ranking.words(self.preprocessor)
        return {
            "validation_rows": len(ranking.rows),
            "validation_texts": len(ranking.texts),
            "validation_words": len(words.words),
            "validation_known_share": words.known_share(known),
        }

    def _open(self, field: str, path: Path, min_columns: int, separator: str | None = "\t") -> TokenStore:
        store = TokenStore(path, min_columns, self._on_bad_row, self._cache, separator)
        self.digests[field] = store.digest
        return store
