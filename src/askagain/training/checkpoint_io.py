"""The plugin for checkpoints that are whole or refused: `Trainer(plugins=[AtomicCheckpointIO()])`."""

import errno
import shutil
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins import TorchCheckpointIO

from askagain.errors import InputError
from askagain.files.sealed_zip import check_seal, seal
from askagain.files.writing import atomic_write

FULL = 1 << 20  # bytes; a disk with less has no room for what PyTorch writes at a time


class AtomicCheckpointIO(TorchCheckpointIO):
    """Keeps the earlier checkpoint of the same name until the new one is complete, and gives each a checksum.

    Lightning's own plugin copies the checkpoint in memory, and then from the folder of temporary files, which is not
    atomic if that is on another disk.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Writes under a temporary name beside `path` and renames; `storage_options` are not supported."""
        if storage_options is not None:
            raise TypeError("AtomicCheckpointIO takes no storage_options")
        with atomic_write(Path(path)) as temporary:
            try:
                torch.save(checkpoint, temporary)
            except RuntimeError as error:
                if shutil.disk_usage(temporary.parent).free < FULL:
                    raise OSError(errno.ENOSPC, "the disk is full", str(path)) from error
                raise
            seal(temporary)

    def load_checkpoint(self, path: str | Path, *arguments: Any, **settings: Any) -> dict[str, Any]:
        """Raises InputError for a checkpoint that is not what was written."""
        try:
            check_seal(Path(path))
        except ValueError as error:
            raise InputError(f"{path}: a damaged checkpoint ({error})") from error
        return super().load_checkpoint(path, *arguments, **settings)
