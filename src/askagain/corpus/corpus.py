"""A corpus: its files, the preprocessor of its texts, and the cache of what was made of them."""

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from askagain.corpus.cache import Cache
from askagain.corpus.field_table import FieldTable
from askagain.corpus.files import CorpusFiles
from askagain.corpus.groups import joined_groups, joined_rows, largest_group
from askagain.corpus.overlap import overlap, repeated_candidates, resembling_groups
from askagain.corpus.recombined import recombined
from askagain.corpus.text_union import TextUnion
from askagain.corpus.token_store import TokenStore
from askagain.errors import InputError
from askagain.files.arrays import load_array
from askagain.files.writing import write_text
from askagain.text.bags import Bags
from askagain.text.fields import title_of
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.vocabulary import WordVocabulary

log = logging.getLogger(__name__)

RECOMBINED, PARENTS = "recombined.txt", "parents.npy"

# The fewest columns: two duplicates; a question, its duplicate and a negative; a text.
STORES = {"train": 2, "validation": 3, "test": 3, "corpus": 1}
LONG_ROW = 50  # texts: more than a group of duplicates has, as a rule
FEW_LINES, MOST_LINES = 10, 0.5  # lines of a training set, and the share of them that one group should not have


class Corpus:
    """The token stores of a corpus, each opened when it is first asked for.

    `on_bad_row`, `clean`: see `TokenStore`. `join_groups`: make one group of lines of `train.tsv` that share a text.
    `leaks_allowed`: the share of the rows of a ranking set that may be in `train.tsv`. `fields`: what questions have
    beside their titles.

    `further_texts`: files of other sites, groups (`.tsv`) or one text a line, whose texts a teacher embeds as well.

    `digests`: SHA-256 of each file opened so far, by its field in `CorpusFiles`. Opening a store raises InputError for
    a file that is missing or unreadable.
    """

    def __init__(
        self,
        files: CorpusFiles,
        preprocessor: TextPreprocessor,
        cache: Cache,
        on_bad_row: str,
        clean: bool = True,
        join_groups: bool = True,
        leaks_allowed: float = 0.01,
        fields: FieldTable | None = None,
        further_texts: Sequence[Path] = (),
    ) -> None:
        self.files = files
        self.preprocessor = preprocessor
        self.join_groups = join_groups
        self.leaks_allowed = leaks_allowed
        self._cache = cache
        self._on_bad_row = on_bad_row
        self._clean = clean
        self._fields = fields
        self._further_texts = list(further_texts)
        self.digests: dict[str, str] = {}
        self._stores: dict[str, TokenStore] = {}

    @property
    def groups(self) -> TokenStore:
        """The groups of duplicates: each row is a group."""
        return self.store("train")

    @cached_property
    def group_of_text(self) -> np.ndarray:
        """The group of each text of `groups`, [texts] int32; lines that share a text are one group."""
        groups = self.groups

        def build(folder: Path) -> None:
            np.save(folder / "groups.npy", joined_groups(groups.rows, len(groups.texts)), allow_pickle=False)

        group_of_text = groups.cache.entry("groups", {}, build, lambda folder: load_array(folder / "groups.npy"))
        if self.join_groups:
            _warn_of_large_group(groups, group_of_text)
        return group_of_text

    @cached_property
    def group_rows(self) -> Bags:
        """The texts of each group to train on: lines of `train.tsv`, joined where they share a text."""
        return joined_rows(self.groups.rows, self.group_of_text) if self.join_groups else self.groups.rows

    @property
    def unlabelled(self) -> TokenStore | None:
        """The unlabelled texts, one a row; None where the corpus has none."""
        return None if self.files.corpus is None else self.store("corpus")

    @cached_property
    def own_texts(self) -> TextUnion:
        """The texts of the groups, then the unlabelled ones; raises InputError where the corpus has neither."""
        return TextUnion(self._own_stores())

    @cached_property
    def all_texts(self) -> TextUnion:
        """The same texts, then further ones of other sites."""
        further = [self._further(path) for path in self._further_texts]
        return TextUnion([*self._own_stores(), *further]) if further else self.own_texts

    def _own_stores(self) -> list[TokenStore]:
        labelled = None if self.files.train is None else self.groups
        stores = [store for store in (labelled, self.unlabelled) if store is not None]
        if not stores:
            raise InputError("neither train.tsv nor corpus.txt in the corpus; a teacher needs texts to embed")
        return stores

    def _further(self, path: Path) -> TokenStore:
        separator = "\t" if path.name.removesuffix(".gz").endswith(".tsv") else None
        return TokenStore(path, 1, self._on_bad_row, self._cache, separator, self._clean)

    def recombined(self, count: int) -> tuple[TokenStore, np.ndarray]:
        """`count` texts that are made of all texts, one a row, and the two of `all_texts` that each row is made of."""
        texts = self.all_texts

        def build(folder: Path) -> None:
            made, parents = recombined(texts.texts(0, len(texts)), count, seed=0)  # a teacher embeds them once
            write_text(folder / RECOMBINED, (f"{text}\n" for text in made))
            np.save(folder / PARENTS, parents, allow_pickle=False)

        def load(folder: Path) -> tuple[Path, np.ndarray]:
            return folder / RECOMBINED, load_array(folder / PARENTS)

        path, parents = texts.cache.entry("recombined", {"count": count}, build, load)
        # Their texts are cleaned already, and hold the marks of fields where there are any.
        return TokenStore(path, 1, "error", self._cache, separator=None, clean=False), parents

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

    def shared_with_training(self) -> dict[str, float]:
        """Counts what the validation set shares with `train.tsv`, and what stands in a row twice.

        Raises InputError where more than the share `leaks_allowed` of a ranking set's rows are in `train.tsv`.
        """
        counts: dict[str, float] = {"lines_joined": len(self.groups.rows) - len(self.group_rows)}
        for split in ("validation", "test"):
            if getattr(self.files, split) is None:
                continue
            ranking = self.ranking(split)
            found = overlap(self.groups, self.group_of_text, ranking)
            if len(found.leaked) > self.leaks_allowed * len(ranking.rows):
                asked = [title_of(ranking.texts[text]) for text in ranking.rows.bag(found.leaked[0])[:2].tolist()]
                trained = [title_of(self.groups.texts[text]) for text in found.sources[0].tolist()]
                spelled = "" if trained == asked else " (written '{}' and '{}' there)".format(*trained)
                raise InputError(
                    f"{ranking.path}: {len(found.leaked):,} of {len(ranking.rows):,} rows are trained on: a group of "
                    f"{self.groups.path} has both '{asked[0]}' and '{asked[1]}'{spelled}; take such groups out of it, "
                    "or set data.leaks_allowed=1 to train all the same"
                )
            counts |= {
                f"{split}_rows_trained_on": len(found.leaked),
                f"{split}_rows_with_a_text_twice": len(found.repeated),
                f"{split}_texts_in_train": found.shared_texts,
            }
        return counts

    def _open(self, field: str, path: Path, min_columns: int) -> TokenStore:
        separator = None if field == "corpus" else "\t"
        store = TokenStore(
            path, min_columns, self._on_bad_row, self._cache, separator, self._clean, fields=self._fields
        )
        self.digests[field] = store.digest
        if field in ("validation", "test"):
            _warn_of_rows(store)
        if field == "train":
            _warn_of_long_rows(store)
        return store


def _warn_of_rows(ranking: TokenStore) -> None:
    """Logs what lowers the metrics of a ranking set, and what makes them mean something else."""
    alike = resembling_groups(ranking)
    if alike is not None:
        question, _, other = (title_of(ranking.texts[text]) for text in ranking.rows.bag(alike)[:3].tolist())
        log.warning(
            "%s: its rows look like groups of duplicates, as '%s' would be one of '%s'; a row of a ranking set should "
            "be a question, its duplicate, and texts that are no duplicates",
            *(ranking.path, other, question),
        )
    repeated = len(repeated_candidates(ranking.rows))
    if repeated:
        log.warning(
            "%s: %s of %s rows hold their question or duplicate twice, which changes their ranks; take one of them out",
            *(ranking.path, f"{repeated:,}", f"{len(ranking.rows):,}"),
        )


def _warn_of_long_rows(train: TokenStore) -> None:
    """Logs that the lines of a training set look like rows of a ranking set."""
    usual = int(np.median(train.rows.lengths))
    if usual > LONG_ROW:
        log.warning(
            "%s: half of its lines have %s texts or more, as rows of a ranking set have; a line should be a group of "
            "questions that ask the same",
            *(train.path, f"{usual:,}"),
        )


def _warn_of_large_group(train: TokenStore, groups: np.ndarray) -> None:
    """Logs that most lines of a training set are one group, with the text that joins them; it may be no question."""
    lines, text = largest_group(train.rows, groups)
    if len(train.rows) >= FEW_LINES and lines > MOST_LINES * len(train.rows):
        log.warning(
            "%s: %s of its %s lines are one group, as most of them have '%s'; a line should be a group of questions "
            "that ask the same: take out what is no question, or set data.join_groups=false",
            *(train.path, f"{lines:,}", f"{len(train.rows):,}", title_of(train.texts[text])),
        )
