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
