"""Sequences of texts that are made when they are asked for."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import overload

BLOCK = 1 << 14  # texts that are made together when all are gone through


class LazyTexts(Sequence[str], ABC):
    """A sequence whose texts are not held: a subclass gives one by its place, and may give blocks of them faster."""

    @abstractmethod
    def text(self, place: int) -> str:
        """The text at a place from 0 up to the length."""

    def block(self, start: int, stop: int) -> list[str]:
        """The texts from `start` up to `stop`."""
        return [self.text(place) for place in range(start, stop)]

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), BLOCK):
            yield from self.block(start, min(start + BLOCK, len(self)))

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            return (
                self.block(start, max(start, stop)) if step == 1 else [self.text(i) for i in range(start, stop, step)]
            )
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.text(int(index) % len(self))
