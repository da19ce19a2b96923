"""Splits questions into a training set, ranking sets and unlabelled texts, so that nothing held out is trained on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from askagain.convert.questions import UNKNOWN_DATE, Questions
from askagain.corpus.candidates import CandidateSampler, duplicates_of
from askagain.errors import InputError
from askagain.files.progress import with_progress
from askagain.text.bags import Bags

SHARE = 0.1  # of the groups, for each ranking set
MOST_ROWS, FEW_ROWS = 500, 20  # of a ranking set, unless a number is asked for

# Questions, texts and a number to the indices of the texts closest to each question, [questions, that number or more].
HardNegatives = Callable[[Sequence[str], Sequence[str], int], np.ndarray]


@dataclass(frozen=True)
class SplitSettings:
    """How questions are split.

    `validation`, `test`: rows of these ranking sets, one a group (None: a tenth of the groups, at least 20 of them or a
    third, and at most 500). `candidates`: other questions in a row. `hard`: how many of them are the closest ones to
    the question, see `closest`. `guard`: candidates that share this much of their terms with a member of the row's
    group are left out. `seed`: of all draws. `by_time`: hold out the groups with the newest questions, each of which
    is its row's question.
    """

    validation: int | None = None
    test: int | None = None
    candidates: int = 1000
    hard: int = 0
    guard: float = 0.8
    seed: int = 0
    by_time: bool = False
    closest: HardNegatives | None = None


@dataclass(frozen=True, eq=False)
class Split:
    """Questions split into sets, as indices of their texts.

    `train`: groups. `rankings`: by set, `validation` and `test`, its rows: question, duplicate, candidates.
    `unlabelled`: texts in no group. `counts`: what was kept apart, by name.
    """

    train: Bags
    rankings: dict[str, list[np.ndarray]]
    unlabelled: np.ndarray
    counts: dict[str, int]


def split(questions: Questions, settings: SplitSettings) -> Split:
    """Holds out whole groups, draws candidates for their rows, and leaves their texts out of the other sets.

    Raises InputError where there are too few groups, no dates to go by, or no texts to be candidates.
    """
    groups = questions.groups
    sizes = _sizes(len(groups), settings)
    order = _order(questions, settings)
    held_out = {
        "test": order[: sizes["test"]],
        "validation": order[sizes["test"] : sizes["test"] + sizes["validation"]],
    }
    train = order[sizes["test"] + sizes["validation"] :].tolist()
    grouped = np.zeros(len(questions.texts), dtype=bool)
    grouped[groups.ids] = True
    kept: list[int] = []
    guarded = 0
    rankings: dict[str, list[np.ndarray]] = {}
    sampler = CandidateSampler(
        questions.texts, np.arange(len(questions.texts)), settings.candidates, settings.guard, settings.seed
    )
    for name, chosen in held_out.items():
        members = [_members(questions, group, settings) for group in chosen.tolist()]
        closest = _closest(questions, [texts[0] for texts in members], settings)
        rows = []
        numbered = zip(chosen.tolist(), members, closest, strict=True)
        for group, texts, near in with_progress(numbered, len(members), f"candidates of {name}"):
            drawn = sampler.draw(group, texts, near, settings.hard)
            guarded += drawn.guarded
            if len(drawn.texts):
                rows.append(np.concatenate([texts[:2], drawn.texts]))
                kept.append(group)
            else:
                train.append(group)
        rankings[name] = rows
    if not rankings["validation"]:
        raise InputError(
            "all texts are too close to the held-out questions to be their candidates; add others with --texts, or "
            "raise --guard"
        )
    members_held_out = groups.take(np.array(kept)).ids
    counts = {
        "candidates left out as too close to a duplicate": guarded,
        "groups trained on, as all texts are too close to them": sum(map(len, held_out.values())) - len(kept),
        "unlabelled texts left out since they are held out": int(questions.also_unlabelled[members_held_out].sum()),
    }
    return Split(groups.take(np.sort(train)), rankings, np.flatnonzero(~grouped), counts)


def _sizes(groups: int, settings: SplitSettings) -> dict[str, int]:
    """Rows of each ranking set."""
    usual = min(MOST_ROWS, max(round(SHARE * groups), min(FEW_ROWS, groups // 3)))
    asked = {name: getattr(settings, name) for name in ("validation", "test")}
    sizes = {name: usual if count is None else count for name, count in asked.items()}
    if not groups:
        raise InputError("no two texts are duplicates: check that the right columns are read (--columns, --label)")
    if sizes["validation"] < 1:
        raise InputError(f"{groups:,} groups of duplicates are too few to hold one out; give more")
    if sum(sizes.values()) >= groups:
        wanted = " and ".join(f"{size:,} for {name}" for name, size in sizes.items())
        raise InputError(f"{groups:,} groups, and {wanted}: none is left to train on; lower --validation and --test")
    return sizes


def _order(questions: Questions, settings: SplitSettings) -> np.ndarray:
    """All groups, in the order in which they are held out."""
    groups = questions.groups
    if not settings.by_time:
        return np.random.default_rng(settings.seed).permutation(len(groups))
    if questions.dates is None:
        raise InputError("--by-time: the texts have no dates; name their column with --date")
    newest = np.maximum.reduceat(questions.dates[groups.ids], groups.offsets[:-1])
    if (newest == UNKNOWN_DATE).any():
        raise InputError(
            f"--by-time: {int((newest == UNKNOWN_DATE).sum()):,} groups have no date; give them one, or leave it out"
        )
    return np.argsort(-newest, kind="stable")


def _members(questions: Questions, group: int, settings: SplitSettings) -> list[int]:
    """The texts of a group: the question of its row, the duplicate, and all others."""
    members = questions.groups.bag(group).tolist()
    shuffled = duplicates_of(members, np.random.default_rng([settings.seed, group]))
    if settings.by_time and questions.dates is not None:
        newest = max(shuffled, key=questions.dates.__getitem__)
        return [newest, *(text for text in shuffled if text != newest)]
    return shuffled


def _closest(questions: Questions, asked: list[int], settings: SplitSettings) -> Sequence[Sequence[int]]:
    """For each question the texts close to it, closest first; some more than are wanted, since not all may be taken."""
    if not settings.hard or settings.closest is None or not asked:
        return [()] * len(asked)
    found = settings.closest([questions.texts[text] for text in asked], questions.texts, settings.hard)
    return found.tolist()
