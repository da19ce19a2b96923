from pathlib import Path

import pytest

from askagain.files.writing import atomic_write


def test_a_folder_that_cannot_be_replaced_stays_as_it_was(tmp_path, monkeypatch):
    folder = tmp_path / "encoder"
    folder.mkdir()
    (folder / "file").write_text("the earlier one")

    def fails(self: Path, target: Path) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OSError, match="no space left"), atomic_write(folder) as temporary:
        temporary.mkdir()
        (temporary / "file").write_text("the new one")
    assert (folder / "file").read_text() == "the earlier one"
    assert [path.name for path in tmp_path.iterdir()] == ["encoder"]
