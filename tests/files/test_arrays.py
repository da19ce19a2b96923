import mmap

import numpy as np
import pytest

from askagain.files import arrays
from askagain.files.arrays import read_ahead, read_at_random


class Watched:
    """Stands for the mapping of a file, and notes what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, ...]] = []

    def madvise(self, *advice: int) -> None:
        self.asked.append(advice)


def test_the_pages_of_all_places_are_asked_for_once(monkeypatch):
    mapping = Watched()
    monkeypatch.setattr(arrays, "_mapping", lambda array: mapping)
    per_page = mmap.PAGESIZE // 8
    array = np.zeros(5 * per_page)
    read_ahead(array, np.array([0, 1, per_page, 3 * per_page + 7, 4 * per_page - 1, len(array)]))
    pages = [start // mmap.PAGESIZE for _, start, length in mapping.asked]
    assert pages == [0, 1, 3, 4]
    assert {(advice, length) for advice, _, length in mapping.asked} == {(mmap.MADV_WILLNEED, mmap.PAGESIZE)}


@pytest.mark.parametrize("length", [1, 1000, 100_000])
def test_what_is_read_ahead_or_at_random_stays_what_it_is(tmp_path, length):
    path = tmp_path / "numbers"
    np.arange(length, dtype=np.int32).tofile(path)
    array = np.memmap(path, np.int32, mode="r").view(np.ndarray)
    assert isinstance(arrays._mapping(array), mmap.mmap)
    read_at_random(array)
    read_ahead(array, np.array([length - 1, 0, length]))
    assert array.sum() == length * (length - 1) // 2


def test_arrays_in_memory_are_left_alone():
    read_at_random(np.zeros(3))
    read_ahead(np.zeros(3), np.array([1]))
