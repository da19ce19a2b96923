"""Files that are not what was written are noticed, wherever they were changed, and none outside the folder is read."""

import json
import os
import random
import zipfile

import pytest
import torch

from askagain.files import checksums
from askagain.files.checksums import BLOCK_BYTES, CHECKSUMS, DamagedError, check_files, write_checksums
from askagain.files.sealed_zip import check_seal, seal


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(checksums, "BLOCKS_TOGETHER", 3)  # less than the large file has
    (tmp_path / "large").write_bytes(random.Random(0).randbytes(3 * BLOCK_BYTES + 17))
    (tmp_path / "small").write_bytes(b"some text")
    (tmp_path / "empty").write_bytes(b"")
    write_checksums(tmp_path)
    return tmp_path


def change(path, rng):
    """Flips a bit, cuts, adds, or zeroes a page; returns False where that would change nothing."""
    content = bytearray(path.read_bytes())
    kind = rng.choice(["flip", "cut", "add", "zero"])
    if kind == "add":
        content += rng.randbytes(rng.randint(1, 5000))
    elif not content:
        return False
    elif kind == "flip":
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del content[rng.randrange(len(content)) :]
    else:
        page = rng.randrange(len(content)) // 4096 * 4096
        content[page : page + 4096] = bytes(len(content[page : page + 4096]))
    changed = bytes(content) != path.read_bytes()
    path.write_bytes(content)
    return changed


def test_whole_files_pass(folder):
    check_files(folder)
    check_files(folder, ["small"])
    check_files(folder, sampled=True)
    check_files(folder, threads=1)


def test_every_change_of_a_byte_is_noticed(folder):
    rng = random.Random(1)
    paths = sorted(folder.iterdir())
    originals = {path: path.read_bytes() for path in paths}
    for _ in range(200):
        path = rng.choice(paths)
        if change(path, rng):
            with pytest.raises(DamagedError):
                check_files(folder, threads=rng.choice([1, 2]))
        path.write_bytes(originals[path])


def test_a_missing_file_and_one_too_many_are_noticed(folder):
    (folder / "extra").write_text("not written with the others")
    with pytest.raises(DamagedError, match=r"^extra does not belong there$"):
        check_files(folder)
    (folder / "extra").unlink()
    (folder / "small").unlink()
    with pytest.raises(DamagedError, match=r"^small is missing$"):
        check_files(folder)
    (folder / CHECKSUMS).unlink()
    with pytest.raises(DamagedError, match=r"checksums\.json is missing"):
        check_files(folder)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "in/side", ""])
def test_a_list_that_names_files_outside_the_folder_is_damaged(folder, name):
    sums = json.loads((folder / CHECKSUMS).read_text())
    sums[name] = sums.pop("small")
    (folder / CHECKSUMS).write_text(json.dumps(sums))
    with pytest.raises(DamagedError, match=r"checksums\.json is damaged"):
        check_files(folder, ["large"])


@pytest.mark.parametrize(
    "content", [b"", b"[", b"[]", b"\xff", b"[" * 100_000, b'{"small": 3}', b'{"small": {"size": -1}}']
)
def test_a_list_that_is_none_is_damaged(folder, content):
    (folder / CHECKSUMS).write_bytes(content)
    with pytest.raises(DamagedError, match=r"checksums\.json is damaged"):
        check_files(folder)


def test_every_change_of_a_sealed_archive_is_noticed(tmp_path):
    path = tmp_path / "some.ckpt"
    torch.save({"weights": torch.arange(1000.0)}, path)
    seal(path)
    check_seal(path)
    assert torch.load(path, weights_only=True)["weights"].sum() == 499_500 and zipfile.ZipFile(path).testzip() is None
    original, rng = path.read_bytes(), random.Random(2)
    for _ in range(300):
        if change(path, rng):
            try:
                check_seal(path)
            except DamagedError:
                pass
            else:  # the seal itself was damaged: then the parts' own checksums hold
                assert torch.equal(torch.load(path, weights_only=True)["weights"], torch.arange(1000.0))
        path.write_bytes(original)


def test_an_archive_of_others_is_checked_by_its_own_checksums(tmp_path):
    path = tmp_path / "some.ckpt"
    torch.save({"weights": torch.arange(1000.0)}, path)
    check_seal(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedError):
        check_seal(path)
    os.truncate(path, 100)
    with pytest.raises(DamagedError):
        check_seal(path)
