"""Zip archives, such as PyTorch's files, that carry a checksum of themselves in the archive's comment."""

import hashlib
import zipfile
from pathlib import Path

from askagain.files.checksums import DamagedError

LABEL = b"askagain sha256 "
COMMENT_BYTES = len(LABEL) + 64
END_OF_ARCHIVE, END_BYTES = b"PK\x05\x06", 22  # the last record, without a comment
LENGTH_BYTES = 2  # at its end, of the comment's length


def seal(path: Path) -> None:
    """Adds the SHA-256 of a zip archive without a comment as its comment, which readers of zip archives skip."""
    with path.open("r+b") as file:
        file.seek(-END_BYTES, 2)
        if not file.read().startswith(END_OF_ARCHIVE):
            raise ValueError(f"{path} is no zip archive, or has a comment")
        file.seek(-LENGTH_BYTES, 2)
        file.write(COMMENT_BYTES.to_bytes(LENGTH_BYTES, "little"))
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0, 2)
        file.write(LABEL + digest.encode())


def check_seal(path: Path) -> None:
    """Raises DamagedError where an archive is not what was sealed, and OSError where it cannot be read.

    Of an archive without a seal, which others have written, the checksums of its parts are checked.
    """
    sealed_bytes = path.stat().st_size - COMMENT_BYTES
    with path.open("rb") as file:
        file.seek(max(0, sealed_bytes))
        comment = file.read()
        if comment.startswith(LABEL):
            file.seek(0)
            digest = hashlib.sha256()
            while sealed_bytes > 0:
                piece = file.read(min(1 << 20, sealed_bytes))
                sealed_bytes -= len(piece)
                digest.update(piece)
            if comment != LABEL + digest.hexdigest().encode():
                raise DamagedError("it is not what was written")
            return
    try:
        with zipfile.ZipFile(path) as archive:
            part = archive.testzip()
    except Exception as error:  # zipfile raises nearly anything
        raise DamagedError(f"it is no whole archive ({error})") from error
    if part is not None:
        raise DamagedError(f"{part} in it is not what was written")
