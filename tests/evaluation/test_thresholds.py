import json

import numpy as np
import pytest

from askagain.errors import InputError
from askagain.evaluation.pair_scores import BINS, PairCounts, bin_of, count_pairs, labelled_counts
from askagain.evaluation.thresholds import (
    FILE,
    Thresholds,
    cross_fitted_reliability,
    learn_thresholds,
    reliability,
)
from askagain.files.json_files import SEAL, write_sealed_json
from askagain.models.bag_encoder import unit_vectors
from tests.search.conftest import small_encoder

OTHERS = 200


def drawn_counts(groups: int, seed: int) -> PairCounts:
    """Groups of two whose cosines, and those with others, are drawn from two overlapping distributions."""
    random = np.random.default_rng(seed)
    collection = 400
    duplicates, others = np.zeros((groups, BINS), np.int64), np.zeros((groups, BINS), np.int64)
    for group in range(groups):
        duplicates[group] = np.bincount(bin_of(random.beta(6, 3, 1)), minlength=BINS)
        others[group] = np.bincount(bin_of(random.beta(2, 9, 2 * (collection - 2))), minlength=BINS)
    return PairCounts(duplicates, others, np.full(groups, 2), collection)


def test_pairs_within_groups_and_with_all_others_are_counted_by_their_cosine(monkeypatch):
    monkeypatch.setattr("askagain.evaluation.pair_scores.ASKED_PER_BLOCK", 3)
    monkeypatch.setattr("askagain.evaluation.pair_scores.TEXTS_PER_BLOCK", 7)
    random = np.random.default_rng(0)
    vectors = unit_vectors(random.standard_normal((40, 5)))
    groups = [np.array([0, 3]), np.array([5, 6, 20]), np.array([39, 1])]
    counts = count_pairs(vectors, groups)
    for place, group in enumerate(groups):
        own = [vectors[one] @ vectors[other] for one in group for other in group if one < other]
        outside = [row for row in range(40) if row not in group]
        rest = [vectors[one] @ vectors[other] for one in group for other in outside]
        assert np.array_equal(counts.duplicates[place], np.bincount(bin_of(np.array(own)), minlength=BINS))
        assert counts.others[place].sum() == len(rest) and (counts.others[place] >= 0).all()
        assert np.abs(counts.others[place] - np.bincount(bin_of(np.array(rest)), minlength=BINS)).sum() <= 4  # rounding
    assert bin_of(np.array([-0.5, 0.0, 0.7, 0.6999999, 1.0])).tolist() == [0, 0, 700, 700, 999]


def test_precision_and_recall_are_those_of_a_question_its_duplicate_and_so_many_others():
    counts = drawn_counts(300, 0)
    _, rows = learn_thresholds(counts, OTHERS)
    row = rows[50]
    recall = counts.duplicates[:, 500:].sum() / 300
    alarms = OTHERS * counts.others[:, 500:].sum() / counts.others.sum()
    assert row.threshold == 0.5 and row.recall == pytest.approx(recall)
    assert row.precision == pytest.approx(recall / (recall + alarms), rel=0.01)
    assert row.precision_low < row.precision < row.precision_high and row.recall_low < row.recall < row.recall_high
    assert rows[0].recall == 1 and [one.threshold for one in rows] == [step / 100 for step in range(101)]
    _, fewer = learn_thresholds(counts, 10)
    assert fewer[50].precision > row.precision


def test_the_threshold_has_the_wanted_precision_and_none_above_it_is_lower():
    counts = drawn_counts(300, 0)
    for wanted in (0.5, 0.9):
        learned, rows = learn_thresholds(counts, OTHERS, wanted)
        at = [row for row in rows if row.threshold == learned.threshold]
        assert at[0].precision >= wanted
        assert all(row.precision < wanted for row in rows if row.threshold < learned.threshold)
    with pytest.raises(InputError, match=r"--precision 1: no threshold has it; the highest is"):
        learn_thresholds(counts, OTHERS, 1.0)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_nine_in_ten_are_nine_in_ten_for_groups_that_were_not_learned_from(seed):
    learned, _ = learn_thresholds(drawn_counts(500, seed), OTHERS)
    fresh = reliability(learned, drawn_counts(2000, seed + 100))
    assert fresh.error < 0.03
    held_out = cross_fitted_reliability(drawn_counts(500, seed), learned)
    assert held_out.error < 0.04 and sum(held_out.weights) == pytest.approx(1)
    for predicted, actual, weight in zip(fresh.predicted, fresh.actual, fresh.weights, strict=True):
        if weight > 0.02:
            assert predicted == pytest.approx(actual, abs=0.1)
    probabilities = learned.probability(np.linspace(0, 1, 50))
    assert (np.diff(probabilities) >= 0).all() and probabilities[0] < 0.01 and probabilities[-1] > 0.9


def test_probabilities_that_are_wrong_are_seen_to_be():
    learned, _ = learn_thresholds(drawn_counts(500, 0), OTHERS)
    wrong = Thresholds(0.5, [0.0, 1.0], [0.3, 0.9], OTHERS, learned.facts)
    assert reliability(wrong, drawn_counts(500, 1)).error > 0.2


def test_what_was_learned_is_kept_beside_the_encoder(tmp_path):
    learned, _ = learn_thresholds(drawn_counts(100, 0), OTHERS)
    assert Thresholds.load(tmp_path) is None
    learned.save(tmp_path)
    loaded = Thresholds.load(tmp_path)
    scores = np.linspace(0, 1, 20)
    assert loaded.threshold == learned.threshold and np.array_equal(
        loaded.probability(scores), learned.probability(scores)
    )
    whole = json.loads((tmp_path / FILE).read_text())
    for change in (
        {"format": 9}, {"threshold": 2}, {"scores": [0.1]}, {"scores": [], "probabilities": []},
        {"probabilities": ["a"] * len(whole["scores"])}, {"threshold": None}, {"more": 1},
    ):  # fmt: skip
        write_sealed_json(tmp_path / FILE, {name: part for name, part in whole.items() if name != SEAL} | change)
        with pytest.raises(InputError, match=r"threshold\.json: damaged .*; run askagain threshold again"):
            Thresholds.load(tmp_path)
    (tmp_path / FILE).write_text(json.dumps(whole | {"threshold": 0.1}))
    with pytest.raises(InputError, match="is not what was written"):
        Thresholds.load(tmp_path)
    (tmp_path / FILE).write_text("[]")
    with pytest.raises(InputError, match="damaged"):
        Thresholds.load(tmp_path)


def test_labelled_pairs_come_from_the_rows_of_a_corpus_and_rows_that_share_a_text_are_one_group(tmp_path):
    (tmp_path / "validation.tsv").write_text(
        "quit vim\tleave vim\tmount disk\texit nano\nquit vim\texit vim\tmount usb\tundo merge\nundo\tundo\tvim\tnano\n"
        "merge branch\tbranch merge\tvim\tnano\n"
    )
    (tmp_path / "train.tsv").write_text("mount disk\tmount usb disk\n")
    (tmp_path / "corpus.txt").write_text("list branch\nlist usb\n")
    counts, tested = labelled_counts(small_encoder(), tmp_path)
    assert tested is None and len(counts) == 2 and counts.members.tolist() == [3, 2]
    assert counts.collection == 15 and counts.duplicates.sum() == 3 + 1
    assert counts.others.sum(axis=1).tolist() == [3 * 12, 2 * 13]
    (tmp_path / "test.tsv").write_text("undo commit\tundo the commit\tvim\tnano\n")
    assert len(labelled_counts(small_encoder(), tmp_path)[1]) == 1
    (tmp_path / "validation.tsv").write_text("undo\tundo\tvim\tnano\n")
    with pytest.raises(InputError, match="no row has a question and a duplicate that differ"):
        labelled_counts(small_encoder(), tmp_path)
