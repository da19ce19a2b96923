"""The encoder folder itself, in a smaller type if wanted, with a model card and checksums that other tools read."""

import json
import platform
import shlex
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import askagain
from askagain.corpus.files import PUBLISHED
from askagain.errors import InputError
from askagain.export.request import Encode, Request
from askagain.files.markdown import markdown
from askagain.files.writing import write_text

CARD = "README.md"
METRICS, HYDRA = "metrics.json", ".hydra"  # in a run folder
SHOWN = ("hits@1", "hits@10", "hits@100", "mrr", "map", "ndcg@10", "mean_rank")
SETS = {"val": "validation", "test": "test"}
LICENCE = "Licence: "  # how the line of a corpus folder's README.md begins


def write(request: Request, path: Path) -> None:
    """Writes the encoder as `request.dtype` (None: as it is), with its card; its list of checksums comes last."""
    request.encoder.save(path, request.dtype)
    write_text(path / CARD, _card(request, askagain.load(path).table.dtype))


def read(_request: Request, path: Path) -> Encode:
    """The encoder in a folder."""
    return askagain.load(path).encode


def _card(request: Request, dtype: str) -> Iterator[str]:
    """The parts of a model card: what it is, how it was trained, its figures, and the licence of its data."""
    encoder, run = request.encoder, _run_folder(request.run)
    config = _yaml(run / HYDRA / "config.yaml", {})
    overrides = _yaml(run / HYDRA / "overrides.yaml", [])
    yield f"# {run.absolute().name}\n\n"
    yield (
        f"A text encoder of {len(encoder.table):,} table rows ({encoder.features.kind}), {encoder.dim} numbers a "
        f"vector, {dtype}. It finds questions that ask the same.\n\n"
    )
    yield "```python\nimport askagain\n\nencoder = askagain.load(FOLDER)\n"
    yield 'encoder.similarity(["How do I undo a commit?"], ["revert last git commit"])\n```\n\n## Training\n\n'
    yield f"Data: {_data(config)}. Licence of the data: {_licence(request, config)}.\n\n"
    if overrides:
        yield f"    python train.py {shlex.join(map(_without_folders, overrides))}\n\n"
    else:
        yield "The command is not stated.\n\n"
    yield from _figures(run)
    yield "## Versions\n\n"
    yield f"askagain {_version('askagain')}, numpy {np.__version__}, Python {platform.python_version()}\n\n"
    yield "`sha256sum -c SHA256SUMS` checks the files.\n"


def _run_folder(path: Path) -> Path:
    """The run folder that an encoder folder or a checkpoint lies in, or the path itself."""
    return next((folder for folder in (path, *path.absolute().parents[:2]) if (folder / HYDRA).is_dir()), path)


def _figures(run: Path) -> Iterator[str]:
    yield "## Figures\n\n"
    metrics = _json(run / METRICS)
    rows = []
    for prefix, name in SETS.items():
        for metric in SHOWN:
            value = metrics.get(f"{prefix}/{metric}")
            if value is not None:
                ends = [metrics.get(f"{prefix}/{metric}_{end}") for end in ("low", "high")]
                interval = "not stated" if None in ends else f"{ends[0]:.4f} to {ends[1]:.4f}"
                rows.append([f"{name} {metric}", f"{value:.4f}", interval])
    if not rows:
        yield "None are stated.\n\n"
        return
    yield markdown(["metric", "value", "95 % interval"], rows, {}).rstrip() + "\n\n"
    count = metrics.get("data/validation_rows")
    if count is not None:
        yield f"The validation set has {count:,.0f} rows.\n\n"


def _data(config: Mapping[str, Any]) -> str:
    data = config.get("data") or {}
    given = data.get("dir") or data.get("train_path")
    return f"`{Path(str(given)).name}`" if given else "not stated"


def _licence(request: Request, config: Mapping[str, Any]) -> str:
    """What the README.md or published.json of the corpus folder says."""
    given = request.data or (config.get("data") or {}).get("dir")
    if given is None:
        return "not stated"
    readme = Path(given) / CARD
    if readme.is_file():
        for line in readme.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(LICENCE):
                return line.removeprefix(LICENCE).rstrip(".")
    published = _json(Path(given) / PUBLISHED)
    return str(published.get("licence") or published.get("license") or "not stated")


def _without_folders(word: str) -> str:
    """A setting whose value is a path, with the last part of it only: a card does not say where files lay."""
    key, equals, value = word.partition("=")
    return f"{key}{equals}{Path(value).name}" if "/" in value and equals else word


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: damaged ({error}); take it away, and the card will state nothing of it") from error
    return content if isinstance(content, dict) else {}


def _yaml(path: Path, otherwise: Any) -> Any:
    if not path.is_file() or find_spec("yaml") is None:  # the light core does without
        return otherwise
    import yaml

    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not stated"
