import numpy as np
import pytest

from askagain.corpus import hash_index
from askagain.corpus.hash_index import HashIndex
from askagain.native import library, store

SEED = 3


def reference(batches):
    """The numbers and the first uses that a dictionary gives."""
    known: dict[int, int] = {}
    for batch in batches:
        new = []
        numbers = []
        for place, value in enumerate(batch.tolist()):
            if value not in known:
                known[value] = len(known)
                new.append(place)
            numbers.append(known[value])
        yield numbers, new


# Hashes whose low bits are all alike start at the same place of the table, and so do those that step alike.
SPREADS = {
    "spread": (1, 0),
    "same place": (1 << 32, 7),
    "same place and step": (1 << 20, 5),
    "zero and all ones": (-1, 0),
}


@pytest.mark.parametrize(("factor", "offset"), SPREADS.values(), ids=SPREADS)
@pytest.mark.parametrize("block", [16, 1 << 15])
def test_hashes_are_numbered_as_by_a_dictionary(factor, offset, block, kernels):
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    scale = np.uint64(factor % 2**64)
    batches = [
        rng.integers(0, distinct, 1500).astype(np.uint64) * scale + np.uint64(offset) for distinct in (5, 900, 9000)
    ]
    index = HashIndex(block, smallest=64, counted=True)
    for batch, (numbers, new) in zip(batches, reference(batches), strict=True):
        found, first_uses = index.number(batch)
        assert found.tolist() == numbers
        assert first_uses.tolist() == new
    distinct, counts = np.unique(np.concatenate(batches), return_counts=True)
    assert len(index) == len(distinct)
    order = np.argsort(index.hashes)
    assert index.hashes[order].tolist() == distinct.tolist() and index.counts[order].tolist() == counts.tolist()


def test_a_library_may_come_and_go(kernels):
    folder, rng = library.folder(), np.random.default_rng(SEED)
    index, again = HashIndex(smallest=64), HashIndex(smallest=64)
    for turn in range(6):
        library.use("plain" if turn % 2 else kernels, folder)
        assert turn % 2 or kernels == "plain" or store._library.loaded(wait=True) is not None
        batch = rng.integers(0, 500 * (turn + 1), 700).astype(np.uint64)
        own = index.number(batch)
        library.use("plain")
        assert [part.tolist() for part in own] == [part.tolist() for part in again.number(batch)]


def test_no_hashes_have_no_numbers(kernels):
    numbers, new = HashIndex().number(np.empty(0, dtype=np.uint64))
    assert len(numbers) == len(new) == 0


def test_more_hashes_than_numbers_are_refused(monkeypatch):
    monkeypatch.setattr(hash_index, "MOST", 100)
    index = HashIndex()
    index.number(np.arange(60, dtype=np.uint64))
    with pytest.raises(OverflowError, match="more than 100 different strings"):
        index.number(np.arange(60, dtype=np.uint64))
