"""A corpus: its files, the preprocessor of its texts, and the cache of what was made of them."""

from pathlib import Path

from askagain.corpus.cache import Cache
from askagain.corpus.files import CorpusFiles
from askagain.corpus.token_store import TokenStore
from askagain.errors import InputError
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.vocabulary import WordVocabulary

# The fewest columns: two duplicates; a question, its duplicate and a negative; a text.
STORES = {"train": 2, "validation": 3, "test": 3, "corpus": 1}


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
        self._stores: dict[str, TokenStore] = {}

    @property
    def groups(self) -> TokenStore:
        """The groups of duplicates: each row is a group."""
        return self.store("train")

    @property
    def unlabelled(self) -> TokenStore | None:
        """The unlabelled texts, one a row; None where the corpus has none."""
        return None if self.files.corpus is None else self.store("corpus")

    def ranking(self, split: str) -> TokenStore:
        """The ranking set `validation` or `test`: each row is a question, its duplicate, and negatives."""
        if split not in ("validation", "test"):
            raise InputError(f"split={split}: not one of validation, test")
        return self.store(split)

    def groups_in(self, path: Path) -> TokenStore:
        """The groups of duplicates in another file than `train.tsv`."""
        return self._open("groups", path, STORES["train"])

    def store(self, name: str) -> TokenStore:
        """One of `STORES`; raises InputError where the corpus has no such file."""
        if name not in self._stores:
            self._stores[name] = self._open(name, self.files.file(name), STORES[name])
        return self._stores[name]

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

    def _open(self, field: str, path: Path, min_columns: int) -> TokenStore:
        separator = None if field == "corpus" else "\t"
        store = TokenStore(path, min_columns, self._on_bad_row, self._cache, separator)
        self.digests[field] = store.digest
        return store
