"""Finds the duplicates of a corpus and writes them; what was found is kept for another threshold."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from askagain.convert.tables import columnar_files, table_suffix
from askagain.duplicates.groups import Group, make_groups
from askagain.duplicates.similar_pairs import SimilarPairs, Spread, on_this_machine, similar_pairs
from askagain.errors import InputError
from askagain.files.arrays import load_array
from askagain.files.json_files import json_text, write_json
from askagain.files.writing import atomic_write, write_text
from askagain.models.bag_encoder import BagEncoder
from askagain.search.questions import Question

FORMAT = 1
PAIRS, SETTINGS = "pairs.npy", "pairs.json"
GROUPS_TSV, GROUPS_JSON = "groups.tsv", "groups.jsonl"
SHARED_TSV, SHARED_JSON = "shared.tsv", "shared.jsonl"
KEPT_BELOW = 0.1  # of a threshold, so that a somewhat lower one needs no new comparison
LOWEST = 0.05
TEXTS_AT_A_TIME = 1 << 16
MAPPED_FROM = 1 << 30  # bytes of vectors that are kept in a file instead of memory
PAIR = np.dtype([("first", "<i4"), ("second", "<i4"), ("cosine", "<f4")])


@dataclass(frozen=True)
class Sources:
    """What pairs were found in, so that they are used again for nothing else.

    `corpus`, `against`: digests of the files, with the columns that were read; `encoder`: of the encoder.
    """

    corpus: str
    against: str | None
    encoder: str


@dataclass(frozen=True)
class Found:
    """Pairs at the floor or above, and whether they were kept from an earlier run."""

    pairs: SimilarPairs
    floor: float
    is_kept: bool


def kept_pairs(folder: Path, sources: Sources, threshold: float) -> Found | None:
    """The pairs that an earlier run left in its folder, if they are of the same sources and reach the threshold."""
    try:
        settings = json.loads((folder / SETTINGS).read_bytes())
        same = settings["format"] == FORMAT and settings["sources"] == vars(sources)
        if not same or settings["floor"] > threshold:
            return None
        array = load_array(folder / PAIRS)
        if array.dtype != PAIR or array.ndim != 1 or len(array) != settings["pairs"]:
            return None
        recall = float(settings["recall"])
        first, second, cosines = (np.ascontiguousarray(array[name]) for name in PAIR.names or ())
        pairs = SimilarPairs(first, second, cosines, recall)
        return Found(pairs, float(settings["floor"]), True)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def find_pairs(
    vectors: np.ndarray,
    threshold: float,
    split_at: int | None = None,
    floor: float | None = None,
    spread: Spread = on_this_machine,
) -> Found:
    """Compares unit vectors; pairs somewhat below the threshold are found as well (`floor`: from where on)."""
    floor = min(threshold, max(LOWEST, threshold - KEPT_BELOW) if floor is None else floor)
    return Found(similar_pairs(vectors, floor, split_at, spread=spread), floor, False)


def embed(encoder: BagEncoder, questions: Sequence[Question], scratch: Path) -> np.ndarray:
    """The unit vectors of questions, [n, dim]; in a file of the folder `scratch` where they are many."""
    shape = (len(questions), encoder.dim)
    if 4 * shape[0] * shape[1] < MAPPED_FROM:
        return encoder.encode([question.encoded for question in questions], normalize=True, show_progress=True)
    vectors = np.lib.format.open_memmap(scratch / "vectors.npy", "w+", np.float32, shape)
    for start in range(0, len(questions), TEXTS_AT_A_TIME):
        block = [question.encoded for question in questions[start : start + TEXTS_AT_A_TIME]]
        vectors[start : start + len(block)] = encoder.encode(block, normalize=True, show_progress=True)
    return vectors


def write_duplicates(
    folder: Path, found: Found, threshold: float, sources: Sources, questions: Sequence[Question]
) -> tuple[list[Group], SimilarPairs]:
    """Writes the groups as training TSV and as JSON Lines, and the pairs; the folder appears whole or not at all.

    Returns the groups, and the pairs at the threshold or above.
    """
    pairs = found.pairs.at_least(threshold)
    groups = make_groups(pairs)

    def write(temporary: Path) -> None:
        write_text(temporary / GROUPS_TSV, (_line(questions, group) for group in groups))
        write_text(temporary / GROUPS_JSON, (json_text(_record(questions, group)) for group in groups))

    _write(folder, found, sources, write)
    return groups, pairs


def write_shared(
    folder: Path, found: Found, threshold: float, sources: Sources, questions: Sequence[Question], split_at: int
) -> tuple[int, SimilarPairs]:
    """Writes what two corpora share: each question of the first with its closest one of the second.

    `split_at`: where the second begins in `questions`. Returns how many of the first there are, and the pairs.
    """
    pairs = found.pairs.at_least(threshold)
    order = np.lexsort((pairs.second, -pairs.cosines, pairs.first))
    best = order[np.unique(pairs.first[order], return_index=True)[1]]
    closest = [
        (questions[pairs.first[place]], questions[pairs.second[place]], round(float(pairs.cosines[place]), 4))
        for place in best.tolist()
    ]

    def write(temporary: Path) -> None:
        write_text(temporary / SHARED_TSV, (f"{_cell(one.text)}\t{_cell(other.text)}\n" for one, other, _ in closest))
        records = (
            {"id": one.id, "text": one.text, "score": score, "in_other": {"id": other.id, "text": other.text}}
            for one, other, score in closest
        )
        write_text(temporary / SHARED_JSON, map(json_text, records))

    _write(folder, found, sources, write)
    return len(closest), pairs


def is_ours(folder: Path) -> bool:
    """Whether a folder was written here, and holds nothing else."""
    names = {PAIRS, SETTINGS, GROUPS_TSV, GROUPS_JSON, SHARED_TSV, SHARED_JSON}
    return (folder / SETTINGS).is_file() and {path.name for path in folder.iterdir()} <= names


def digest(path: Path, *columns: str | None) -> str:
    """A digest of a file or of the files of a folder, and of the columns that are read of them."""
    # The name of a file says how it is read.
    total = hashlib.sha256("\0".join([table_suffix(path), *(name or "" for name in columns)]).encode())
    for one in columnar_files(path) if path.is_dir() else [path]:
        total.update(one.name.encode(errors="surrogateescape") + b"\0")
        try:
            with one.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise InputError(f"{one}: cannot be read ({error.strerror}); check the path") from error
    return total.hexdigest()


def _write(folder: Path, found: Found, sources: Sources, write: Callable[[Path], None]) -> None:
    array = np.empty(len(found.pairs.first), dtype=PAIR)
    for name, column in zip(
        PAIR.names or (), (found.pairs.first, found.pairs.second, found.pairs.cosines), strict=True
    ):
        array[name] = column
    settings: dict[str, Any] = {
        "format": FORMAT,
        "sources": vars(sources),
        "floor": found.floor,
        "pairs": len(array),
        "recall": found.pairs.recall,
    }
    with atomic_write(folder) as temporary:
        temporary.mkdir()
        write(temporary)
        np.save(temporary / PAIRS, array)
        write_json(temporary / SETTINGS, settings, indent=2)


def _line(questions: Sequence[Question], group: Group) -> str:
    """A line of training TSV, the kept text first; texts that are the same stand once."""
    texts = dict.fromkeys(_cell(questions[row].text) for row in [group.kept, *group.members])
    return "\t".join(texts) + "\n" if len(texts) > 1 else ""


def _cell(text: str) -> str:
    return " ".join(text.split())


def _record(questions: Sequence[Question], group: Group) -> dict[str, Any]:
    kept = questions[group.kept]
    members = [
        {"id": questions[row].id, "text": questions[row].text, "score": round(score, 4)}
        for row, score in zip(group.members, group.scores, strict=True)
    ]
    return {"kept": {"id": kept.id, "text": kept.text}, "duplicates": members}
