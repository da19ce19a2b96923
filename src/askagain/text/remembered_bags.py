"""Bags that are added one after the other and looked up again and again."""

import numpy as np

from askagain.text.bags import Bags


class RememberedBags:
    """Bags in arrays of ids and offsets that have room to grow."""

    def __init__(self) -> None:
        self._ids = np.zeros(0, dtype=np.int32)
        self._offsets = np.zeros(1, dtype=np.int64)

    def put(self, known: int, new: Bags) -> None:
        """Writes bags after the first `known` ones."""
        start = int(self._offsets[known])
        self._ids = _with_room(self._ids, start + len(new.ids))
        self._ids[start : start + len(new.ids)] = new.ids
        self._offsets = _with_room(self._offsets, known + len(new) + 1)
        self._offsets[known : known + len(new) + 1] = start + new.offsets

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """The ids, int32, and the offsets, int64, of all bags."""
        return self._ids, self._offsets

    def concatenate(self, bags: np.ndarray, offsets: np.ndarray) -> Bags:
        """Concatenates the bags of the tokens of each text; `offsets` are those of texts among tokens."""
        taken = Bags(self._ids, self._offsets).take(bags)
        return Bags(taken.ids, taken.offsets[offsets])


def _with_room(array: np.ndarray, size: int) -> np.ndarray:
    """The array, or a copy of at least `size` and twice its length, so that copies are rare."""
    return array if size <= len(array) else np.resize(array, max(size, 2 * len(array)))
