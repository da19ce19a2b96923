"""Counts what is in the files of a corpus, and what they share."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from askagain.corpus.cache import Cache
from askagain.corpus.corpus import STORES
from askagain.corpus.files import CorpusFiles
from askagain.corpus.groups import joined_groups, joined_rows
from askagain.corpus.hash_index import is_among
from askagain.corpus.near_duplicates import near_duplicates
from askagain.corpus.overlap import overlap, repeated_candidates
from askagain.corpus.token_store import TokenStore
from askagain.describe.scripts import language_shares, script_shares
from askagain.errors import InputError
from askagain.files.progress import with_progress
from askagain.text.stop_words import stop_words
from askagain.text.terms import terms

NEAR = 0.8  # share of common terms
SHOWN = 3  # examples of a kind


@dataclass
class FileFacts:
    """One file: its lines and distinct texts, words in a text (median, 95th percentile, most), and examples."""

    name: str
    lines: int
    texts: int
    words: tuple[float, float, int]
    longest: list[str]
    oddest: list[str]


@dataclass
class RankingFacts:
    """One ranking set.

    `candidates`: fewest and most others in a row. `leaked`: rows that are trained on. `repeated`: rows that hold their
    question or duplicate twice. `near`: rows whose question or duplicate is close to a text that is trained on, with an
    example of both texts. `apart`: share of rows whose question and duplicate have no content word in common.
    `unknown_words`: share of the words of questions and duplicates that no training text has.
    """

    name: str
    rows: int
    candidates: tuple[int, int]
    leaked: int
    repeated: int
    near: int
    near_example: tuple[str, str] | None
    apart: float
    unknown_words: float


@dataclass
class Facts:
    """What `describe` counts.

    `group_sizes`: how many groups have how many questions. `shared`: how many questions and duplicates of a ranking set
    are in another file, by the names of both. `scripts`, `languages`: see `askagain.describe.scripts`. `apart`: share
    of pairs in `train.tsv`, the first two questions of each group, without a common content word.
    """

    files: list[FileFacts] = field(default_factory=list)
    group_sizes: dict[int, int] = field(default_factory=dict)
    rankings: list[RankingFacts] = field(default_factory=list)
    shared: dict[tuple[str, str], int] = field(default_factory=dict)
    scripts: dict[str, float] = field(default_factory=dict)
    languages: dict[str, float] = field(default_factory=dict)
    apart: float | None = None


def describe(files: CorpusFiles, cache: Cache) -> Facts:
    """Reads all files of a corpus; raises InputError where there is none, or one has a bad line."""
    stores: dict[str, TokenStore] = {}
    for name, columns in STORES.items():
        path = getattr(files, name)
        if path is not None:
            stores[name] = TokenStore(path, columns, "error", cache, None if name == "corpus" else "\t")
    if not stores:
        raise InputError("none of train.tsv, validation.tsv, test.tsv and corpus.txt is there")
    return describe_stores(stores)


def describe_stores(stores: Mapping[str, TokenStore]) -> Facts:
    """Counts what is in the files of a corpus that are open already, by the names in `STORES`; at least one."""
    facts = Facts(files=[_file_facts(store.path.name, store) for store in stores.values()])
    for ranking in (name for name in ("validation", "test") if name in stores):
        held_out = stores[ranking].hashes[np.unique(_asked(stores[ranking]))]
        for other, store in stores.items():
            if other != ranking:
                hashes = store.hashes if other in ("train", "corpus") else store.hashes[np.unique(_asked(store))]
                facts.shared[stores[ranking].path.name, store.path.name] = int(is_among(hashes, held_out).sum())
    sample = max(stores.values(), key=lambda store: len(store.texts)).texts
    facts.scripts, facts.languages = script_shares(sample), language_shares(sample)
    if "train" in stores:
        rows = stores["train"].rows
        groups = joined_rows(rows, joined_groups(rows, len(stores["train"].texts)))
        sizes = Counter(len(set(groups.bag(group).tolist())) for group in range(len(groups)))
        facts.group_sizes = dict(sorted(sizes.items()))
        first_two = [[store_text(stores["train"], text) for text in groups.bag(i)[:2]] for i in range(len(groups))]
        facts.apart = _share_apart(first_two)
    trained = [stores[name] for name in ("train", "corpus") if name in stores]
    known = _words_of(trained) if "validation" in stores or "test" in stores else set()
    for name in ("validation", "test"):
        if name in stores:
            facts.rankings.append(_ranking_facts(stores[name].path.name, stores[name], stores.get("train"), known))
    return facts


def size_bands(sizes: dict[int, int]) -> list[tuple[str, int]]:
    """How many groups have a size in each band; bands without a group are left out."""
    bands = [(1, 1), (2, 2), (3, 5), (6, 10), (11, 50), (51, 10**9)]
    counts = [sum(count for size, count in sizes.items() if low <= size <= high) for low, high in bands]
    labels = ["1", "2", "3-5", "6-10", "11-50", "over 50"]
    return [(label, count) for label, count in zip(labels, counts, strict=True) if count]


def store_text(store: TokenStore, index: int) -> str:
    """The text with an index."""
    return store.texts[int(index)]


def _file_facts(name: str, store: TokenStore) -> FileFacts:
    lengths = np.zeros(len(store.texts), dtype=np.int64)
    oddness = np.zeros(len(store.texts))
    for index, text in enumerate(with_progress(store.texts, len(store.texts), f"looking at {name}")):
        lengths[index] = len(text.split())
        letters = sum(map(str.isalnum, text)) + text.count(" ")
        oddness[index] = (len(text) - letters) / len(text)
    words = (float(np.median(lengths)), float(np.quantile(lengths, 0.95)), int(lengths.max()))
    longest = [store_text(store, i) for i in np.argsort(-lengths, kind="stable")[:SHOWN]]
    oddest = [store_text(store, i) for i in np.argsort(-oddness, kind="stable")[:SHOWN]]
    return FileFacts(name, len(store.rows), len(store.texts), words, longest, oddest)


def _ranking_facts(name: str, ranking: TokenStore, train: TokenStore | None, known: set[str]) -> RankingFacts:
    pairs = [[store_text(ranking, text) for text in row] for row in _asked(ranking)]
    sizes = ranking.rows.lengths - 2
    leaked = 0
    near: dict[int, tuple[str, str]] = {}
    if train is not None:
        found = overlap(train, joined_groups(train.rows, len(train.texts)), ranking)
        leaked = len(found.leaked)
        flat = [text for pair in pairs for text in pair]
        for index, other in near_duplicates(flat, train.texts, NEAR, f"comparing {name} with {train.path.name}"):
            near.setdefault(index // 2, (flat[index], store_text(train, other)))
    words = [word for pair in pairs for text in pair for word in terms(text)]
    unknown = sum(word not in known for word in words) / max(1, len(words))
    return RankingFacts(
        name,
        len(ranking.rows),
        (int(sizes.min()), int(sizes.max())),
        leaked,
        len(repeated_candidates(ranking.rows)),
        len(near),
        next((pair for pair in near.values() if pair[0] != pair[1]), next(iter(near.values()), None)),
        _share_apart(pairs),
        unknown,
    )


def _asked(ranking: TokenStore) -> np.ndarray:
    """The question and the duplicate of each row, [rows, 2] indices of texts."""
    starts = ranking.rows.offsets[:-1]
    return np.stack([ranking.rows.ids[starts], ranking.rows.ids[starts + 1]], axis=1)


def _share_apart(pairs: Sequence[Sequence[str]]) -> float:
    """The share of pairs without a common content word."""
    dropped = stop_words("english")
    apart = [not (terms(one) - dropped) & (terms(other) - dropped) for one, other in pairs]
    return sum(apart) / max(1, len(apart))


def _words_of(stores: Sequence[TokenStore]) -> set[str]:
    return {word for store in stores for text in store.texts for word in terms(text)}
