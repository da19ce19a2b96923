import pytest

from askagain.training.callbacks.last_checkpoint import save_whole


class Ending:
    """Stands in for a trainer whose process ends while it saves."""

    is_global_zero = True

    def save_checkpoint(self, path):
        path.write_text("half of the new")
        raise KeyboardInterrupt


def test_the_earlier_checkpoint_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "last.ckpt"
    path.write_text("the earlier one")
    with pytest.raises(KeyboardInterrupt):
        save_whole(Ending(), path)
    assert path.read_text() == "the earlier one"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
