"""Damage to files: flipped bits, cuts, additions and zeroed pages, and what readers make of it."""

import hashlib
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from askagain.errors import InputError
from askagain.files.checksums import DamagedError
from askagain.models.folder import load_encoder

PAGE_BYTES = 4096
MOST_ADDED = 1 << 14
QUESTIONS = ["how to mount a disk", "what is a monad", "wifi does not work after the update", ""]

Reader = Callable[[Path], str]


def damage(path: Path, rng: random.Random) -> str | None:
    """Changes a file at random; returns what was done, None where its content stayed the same."""
    content = bytearray(path.read_bytes())
    before = bytes(content)
    kind = rng.choice(["flip", "cut", "add", "zero"]) if content else "add"
    place = rng.randrange(len(content)) if content else 0
    if kind == "flip":
        content[place] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del content[place:]
    elif kind == "add":
        content[place:place] = rng.randbytes(rng.randint(1, MOST_ADDED))
    else:
        start = place // PAGE_BYTES * PAGE_BYTES
        content[start : start + PAGE_BYTES] = bytes(len(content[start : start + PAGE_BYTES]))
    path.write_bytes(content)
    return None if bytes(content) == before else f"{kind} at byte {place} of {path.name}"


def encoded(path: Path) -> str:
    """A digest of the vectors that an encoder folder or a checkpoint gives to some questions."""
    return hashlib.sha256(load_encoder(path).encode(QUESTIONS).tobytes()).hexdigest()


def read_damaged(original: Path, copy: Path, read: Reader, expected: str, rng: random.Random) -> tuple[str | None, str]:
    """Damages one file of a copy of a file or folder and reads it; gives what was done, and what came of it.

    Nothing was done (None) where the damage left the file as it was. What came of it is `same`, `refused` (in one line
    of ours), `changed` or the name of another error.
    """
    if original.is_dir():
        shutil.copytree(original, copy)
        files = sorted(path for path in copy.rglob("*") if path.is_file() and path.suffix != ".lock")
        done = damage(rng.choice(files), rng)
    else:
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(original, copy)
        done = damage(copy, rng)
    try:
        return done, "same" if read(copy) == expected else "changed"
    except (InputError, DamagedError) as error:
        return done, "refused" if "\n" not in str(error) else "several lines"
    except Exception as error:
        return done, type(error).__name__
