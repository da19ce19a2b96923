"""Where a run's figures come from: code, overrides, data and machine, which loggers note beside the config."""

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

import askagain
from askagain.corpus.corpus import Corpus
from askagain.machine import machine

PACKAGE = Path(askagain.__file__).parent
GIT_SECONDS = 10  # at most, for a folder on a slow disk


def provenance(corpus: Corpus) -> dict[str, Any]:
    """The `code` that runs, the `overrides` that were typed, SHA-256 of the `data` files read so far, and the
    `hardware`; all plain JSON values.
    """
    return {
        "code": {"version": _version(), **git_state(PACKAGE)},
        "overrides": list(HydraConfig.get().overrides.task),
        "data": dict(corpus.digests),
        "hardware": machine(),
    }


def git_state(package: Path) -> dict[str, Any]:
    """The `commit` of the repository that tracks a package, and whether the package is `dirty`: files in it differ from
    that commit, or are unknown to it. Both None where git is not there or does not track it.
    """
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return {"commit": None, "dirty": None}
    changed = _git(package, "status", "--porcelain", "--", ".")
    return {"commit": _git(package, "rev-parse", "HEAD"), "dirty": None if changed is None else changed != ""}


def _git(folder: Path, *words: str) -> str | None:
    """What git answers in a folder, None where it refuses."""
    try:
        answer = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=GIT_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def _version() -> str | None:
    try:
        return version("askagain")
    except PackageNotFoundError:  # run from its folder, not installed
        return None
