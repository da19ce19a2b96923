"""Progress bars of training, and log lines above them."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pytorch_lightning import Callback
from pytorch_lightning.callbacks import RichProgressBar, TQDMProgressBar
from rich import get_console
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm


class ClearedProgressBar(TQDMProgressBar):
    """Lightning's `TQDMProgressBar`, which disappears at the end: `HitsAtK` logs a line an epoch."""

    def init_train_tqdm(self) -> tqdm:
        bar = super().init_train_tqdm()
        bar.leave = False
        return bar


class _AboveRichBar:
    """A stream of log lines that rich prints above its progress bar."""

    def write(self, text: str) -> None:
        get_console().print(text, end="", markup=False, highlight=False, soft_wrap=True)

    def flush(self) -> None:
        """Nothing waits to be written."""


@contextmanager
def logs_above_bar(callbacks: Sequence[Callback]) -> Iterator[None]:
    """A block in which log lines appear above the progress bar among the callbacks."""
    if not any(isinstance(callback, RichProgressBar) for callback in callbacks):
        with logging_redirect_tqdm():
            yield
        return
    handlers = [handler for handler in logging.getLogger().handlers if type(handler) is logging.StreamHandler]
    streams = [handler.setStream(_AboveRichBar()) for handler in handlers]
    try:
        yield
    finally:
        for handler, stream in zip(handlers, streams, strict=True):
            handler.setStream(stream)
