import errno
import shutil

import pytest
import torch

from askagain.training.checkpoint_io import AtomicCheckpointIO


class Interrupts:
    """Ends the process while it is written, after much else was."""

    def __reduce__(self):
        raise KeyboardInterrupt


def test_the_earlier_checkpoint_stays_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / "last.ckpt"
    plugin = AtomicCheckpointIO()
    plugin.save_checkpoint({"step": 1}, path)
    with pytest.raises(KeyboardInterrupt):
        plugin.save_checkpoint({"weights": torch.zeros(1000), "step": Interrupts()}, path)
    assert plugin.load_checkpoint(path, weights_only=True) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("free", [0, 1 << 40])
def test_a_full_disk_is_told_from_another_failure(tmp_path, monkeypatch, free):
    def fails(checkpoint, path):
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 170432 vs 170276")

    monkeypatch.setattr(torch, "save", fails)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1 << 41, 1 << 41, free))
    with pytest.raises(RuntimeError if free else OSError) as failed:
        AtomicCheckpointIO().save_checkpoint({}, tmp_path / "last.ckpt")
    assert free or (failed.value.errno == errno.ENOSPC and failed.value.filename == str(tmp_path / "last.ckpt"))
