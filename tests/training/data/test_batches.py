import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from askagain.errors import InputError
from askagain.text.bags import Bags
from askagain.training.data import batches
from askagain.training.data.batches import DuplicateCollator, WordVectorCollator
from askagain.training.data.sampling import BatchOrder, EpochExamples

LISTS = [[1, 2], [], [3], [4, 5, 6], [7]]
BAGS = Bags.from_lists(LISTS)


def as_lists(bags):
    return [bags.ids[start:end].tolist() for start, end in zip(bags.offsets[:-1], bags.offsets[1:], strict=True)]


def examples(count):
    """Pairs that hold their own number and the epoch."""
    return EpochExamples(
        lambda epoch: (np.stack([np.arange(count), np.full(count, epoch)], 1), np.arange(count)), resample=True
    )


def order(count, batch_size, shuffle=True, epoch=0):
    made = BatchOrder(examples(count), batch_size, shuffle, seed=3)
    made.set_epoch(epoch)
    return [batch.tolist() for batch in made]


@pytest.mark.parametrize("free", [0, 1 << 40, None], ids=["larger than memory", "in memory", "unknown"])
def test_duplicate_batches_hold_both_sides_and_groups_and_empty_questions_keep_their_place(free, monkeypatch):
    monkeypatch.setattr(batches, "free_memory", lambda: free)
    asked = []
    monkeypatch.setattr(batches, "read_ahead", lambda array, places: asked.append((array, places.tolist())))
    batch = DuplicateCollator(BAGS)((np.array([[0, 1], [3, 4], [1, 2]]), np.array([5, 6, 5])))
    assert as_lists(batch.bags) == [[1, 2], [4, 5, 6], [], [], [7], [3]]
    assert batch.groups.tolist() == [5, 6, 5]
    assert batch.bags.ids.dtype == batch.bags.offsets.dtype == torch.int32
    texts, starts = [0, 1, 3, 4, 1, 2], [0, 2, 3, 6, 2, 2]
    assert asked == ([(BAGS.offsets, texts), (BAGS.ids, starts)] if free == 0 else [])


@pytest.mark.parametrize("change", [lambda v: v, lambda v: v.half(), lambda v: v.T.contiguous().T])
def test_word_vector_batches_hold_ngrams_and_targets(kernels, change):
    vectors = change(torch.arange(10.0).reshape(5, 2))
    batch = WordVectorCollator(BAGS, vectors)(np.array([4, 1, 0]))
    assert as_lists(batch.ngrams) == [[7], [], [1, 2]]
    assert batch.vectors.tolist() == [[8, 9], [2, 3], [0, 1]] and batch.vectors.dtype == vectors.dtype


def test_a_loader_gives_every_example_once_an_epoch_and_those_of_the_epoch():
    for epoch in (0, 1):
        drawn = examples(10)
        batches = BatchOrder(drawn, 4, shuffle=True)
        batches.set_epoch(epoch)
        loader = DataLoader(drawn, batch_size=None, sampler=batches)
        found = [pairs for pairs, _ in loader]
        assert [len(pairs) for pairs in found] == [4, 4, 2]
        assert sorted(np.concatenate(found)[:, 0].tolist()) == list(range(10))
        assert set(np.concatenate(found)[:, 1].tolist()) == {epoch}


def test_the_order_is_fixed_by_seed_and_epoch():
    assert order(20, 6) == order(20, 6)
    assert order(20, 6) != order(20, 6, epoch=1)
    other_seed = BatchOrder(examples(20), 6, shuffle=True, seed=4)
    assert order(20, 6) != [batch.tolist() for batch in other_seed]
    assert order(20, 6, shuffle=False) == [list(range(i, min(i + 6, 20))) for i in range(0, 20, 6)]


@pytest.mark.parametrize("done", [0, 1, 3, 4])
def test_an_epoch_that_was_left_goes_on_where_it_stood_and_the_next_one_begins_at_its_start(done):
    whole = order(20, 6, epoch=1)
    left = BatchOrder(examples(20), 6, shuffle=True, seed=3)
    left.set_epoch(1)
    batches = iter(left)
    for _ in range(done):
        next(batches)
    resumed = BatchOrder(examples(20), 6, shuffle=True, seed=3)
    resumed.load_state_dict(left.state_dict())
    resumed.set_epoch(1)
    assert [batch.tolist() for batch in resumed] == whole[done % 4 :]
    resumed.set_epoch(2)
    assert [batch.tolist() for batch in resumed] == order(20, 6, epoch=2)


def test_an_epoch_cannot_go_on_with_batches_of_another_size():
    left = BatchOrder(examples(20), 6, shuffle=True)
    next(iter(left))
    with pytest.raises(InputError, match=r"set batch_size to 6 divided by the number of devices"):
        BatchOrder(examples(20), 4, shuffle=True).load_state_dict(left.state_dict())
