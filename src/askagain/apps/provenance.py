"""The provenance of a run's metrics: code, overrides, data and machine, logged beside the config."""

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

import askagain
from askagain.corpus.cache import Cache
from askagain.corpus.corpus import Corpus
from askagain.machine import machine
from askagain.models.folder import TABLE, encoder_folder
from askagain.models.named import named_folder
from askagain.vectors.gensim_save import SIDE_FILE

PACKAGE = Path(askagain.__file__).parent
GIT_SECONDS = 10  # timeout, for folders on slow disks


def provenance(cfg: DictConfig, corpus: Corpus) -> dict[str, Any]:
    """Where a run's metrics come from, for JSON.

    That is the `code`, the typed `overrides`, the `hardware`, the SHA-256 of the `data` files read so far by their
    role, and lists of path and SHA-256: of the files of word `vectors`, which carry no checksum of their own, and of
    the table of the encoder to `start` from. A path is no key, since MLflow refuses some as names of parameters.
    """
    return {
        "code": {"version": _version(), **git_state(PACKAGE)},
        "overrides": list(HydraConfig.get().overrides.task),
        "data": dict(corpus.digests),
        "vectors": _vector_digests(cfg),
        "start": start_digests(cfg),
        "hardware": machine(),
    }


def _vector_digests(cfg: DictConfig) -> list[dict[str, str]]:
    """Of the file of word vectors, and of the table that gensim has put beside it."""
    given = OmegaConf.select(cfg, "vectors.path")
    if given is None:
        return []
    path = Path(str(given)).expanduser()
    files = (path, path.with_name(path.name + SIDE_FILE))
    return [_digest(cfg, file) for file in files if file.is_file()]


def start_digests(cfg: DictConfig) -> list[dict[str, str]]:
    """Of the table that rows start from; none where they do not, or from a checkpoint."""
    start = cfg.get("start") or {}
    name = str(start.get("path") or start.get("name") or "")
    if not name or (named_folder(name) is None and not Path(name).is_dir()):
        return []
    return [_digest(cfg, encoder_folder(name) / TABLE)]


def _digest(cfg: DictConfig, path: Path) -> dict[str, str]:
    return {"path": str(path), "sha256": Cache(Path(str(cfg.paths.cache_dir))).content_digest(path)}


def git_state(package: Path) -> dict[str, Any]:
    """The `commit` of the repository that tracks a package, and whether the package is `dirty`.

    Dirty means that files differ from the commit or are untracked. Both are None without git or outside a repository.
    """
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return {"commit": None, "dirty": None}
    changed = _git(package, "status", "--porcelain", "--", ".")
    return {"commit": _git(package, "rev-parse", "HEAD"), "dirty": None if changed is None else changed != ""}


def _git(folder: Path, *arguments: str) -> str | None:
    """The output of a git command in a folder; None where it fails."""
    try:
        answer = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=GIT_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def _version() -> str | None:
    try:
        return version("askagain")
    except PackageNotFoundError:  # run from its folder, not installed
        return None
