"""What a report tells of a corpus: counts of its files and what they share, kept in the cache."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from askagain.corpus.cache import Cache
from askagain.corpus.token_store import TokenStore
from askagain.describe.facts import Facts, describe_stores, size_bands
from askagain.describe.verdict import verdict
from askagain.files.json_files import write_json

FILE = "facts.json"  # of a cache entry
FORMAT = 1  # increase it when the content changes


def corpus_facts(stores: Mapping[str, TokenStore], name: str, cache: Cache, most: int) -> dict[str, Any]:
    """Counts of a corpus and what they mean, as JSON; only `missing`, a reason, where it has more than `most` texts.

    Args:
        stores: its open files, by the names in `askagain.corpus.corpus.STORES`.
        name: what to call its folder in words to type.
        cache: keeps the counts, which take a while.
        most: texts of all files that are looked at.
    """
    texts = sum(len(store.texts) for store in stores.values())
    if texts > most:
        return {"missing": f"The corpus has {texts:,} texts, too many to describe in passing: askagain describe {name}"}

    def build(folder: Path) -> None:
        facts = describe_stores(stores)
        write_json(folder / FILE, _as_json(facts) | {"verdict": verdict(facts, name)})

    key: dict[str, object] = {"format": FORMAT, "name": name}
    key |= {part: [store.path.name, store.cache.key] for part, store in stores.items()}
    return cache.entry("described", key, build, lambda folder: json.loads((folder / FILE).read_bytes()))


def _as_json(facts: Facts) -> dict[str, Any]:
    return {
        "files": [
            {"name": file.name, "lines": file.lines, "texts": file.texts, "words": file.words} for file in facts.files
        ],
        "groups": size_bands(facts.group_sizes),
        "apart": facts.apart,
        "rankings": [
            {
                "name": ranking.name,
                "rows": ranking.rows,
                "candidates": ranking.candidates,
                "leaked": ranking.leaked,
                "near": ranking.near,
                "apart": ranking.apart,
                "unknown_words": ranking.unknown_words,
            }
            for ranking in facts.rankings
        ],
        "scripts": facts.scripts,
        "languages": facts.languages,
    }
