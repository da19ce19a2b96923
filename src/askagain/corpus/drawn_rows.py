"""A ranking set drawn from groups of duplicates, for a first look without a split of one's own."""

from pathlib import Path

import numpy as np

from askagain.corpus.cache import Cache
from askagain.corpus.candidates import CandidateSampler, duplicates_of
from askagain.corpus.files import CorpusFiles
from askagain.corpus.groups import joined_groups, joined_rows
from askagain.corpus.text_union import TextUnion
from askagain.corpus.token_store import TokenStore
from askagain.errors import InputError
from askagain.files.progress import with_progress

FORMAT = 1  # increase it when other rows are drawn, so that older entries are not read
GUARD = 0.8  # see `CandidateSampler`


def drawn_rows(
    groups: Path, files: CorpusFiles, cache: Cache, candidates: int, seed: int, on_bad_row: str, clean: bool
) -> Path:
    """A file of ranking rows in the cache, one for each group.

    A row is two questions of the group at random, then others from the texts of `groups`, `train.tsv` and `corpus.txt`
    that are not in the group and not close to a member of it.

    Args:
        groups: a file of groups, a line each.
        files: the corpus to draw candidates from.
        cache: where the rows are kept.
        candidates: in a row, or as many as there are.
        seed: of the draws.
        on_bad_row, clean: see `TokenStore`.

    Raises:
        InputError: as `TokenStore` does, or where no group has two different questions.
    """
    store = TokenStore(groups, 2, on_bad_row, cache, clean=clean)
    others = [(files.train, 2, "\t"), (files.corpus, 1, None)]
    more = [
        TokenStore(path, columns, on_bad_row, cache, mark, clean) for path, columns, mark in others if path is not None
    ]

    def build(folder: Path) -> None:
        union = TextUnion([store, *more])
        texts = union.texts(0, len(union))
        rows = joined_rows(store.rows, joined_groups(store.rows, len(store.texts)))
        sampler = CandidateSampler(texts, np.arange(len(texts)), candidates, GUARD, seed)
        lines = []
        for row in with_progress(range(len(rows)), len(rows), f"candidates for {groups.name}"):
            group = list(dict.fromkeys(rows.bag(row).tolist()))
            if len(group) > 1:
                members = duplicates_of(group, np.random.default_rng([seed, row]))
                drawn = sampler.draw(row, members).texts.tolist()
                if drawn:
                    lines.append("\t".join(texts[text] for text in [*members[:2], *drawn]))
        if not lines:
            raise InputError(f"{groups}: no group with two different questions, and others to tell them from")
        (folder / "validation.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")

    key: dict[str, object] = {"format": FORMAT, "candidates": candidates, "seed": seed, "guard": GUARD}
    key["others"] = [other.digest for other in more]
    return store.cache.entry("ranking", key, build, lambda folder: folder / "validation.tsv")
