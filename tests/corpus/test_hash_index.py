import numpy as np
import pytest

from askagain.corpus.hash_index import HashIndex

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
def test_hashes_are_numbered_as_by_a_dictionary(factor, offset, block):
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    scale = np.uint64(factor % 2**64)
    batches = [
        rng.integers(0, distinct, 1500).astype(np.uint64) * scale + np.uint64(offset) for distinct in (5, 900, 9000)
    ]
    index = HashIndex(block, smallest=64)
    for batch, (numbers, new) in zip(batches, reference(batches), strict=True):
        found, first_uses = index.number(batch)
        assert found.tolist() == numbers
        assert first_uses.tolist() == new
    assert len(index) == len(np.unique(np.concatenate(batches)))


def test_no_hashes_have_no_numbers():
    numbers, new = HashIndex().number(np.empty(0, dtype=np.uint64))
    assert len(numbers) == len(new) == 0
