"""Imports point one way through the rooms, and only apps and the root entries know Hydra."""

import ast
from collections.abc import Iterator
from pathlib import Path

import askagain

PACKAGE = Path(askagain.__file__).parent
# From the ground up: a module may import from its own room and from those before it.
ROOMS = (
    "errors",
    "machine",
    "native",
    "files",
    "text",
    "corpus",
    "synthetic",
    "vectors",
    "models",
    "ranking",
    "distributed",
    "convert",
    "fetch",
    "describe",
    "evaluation",
    "search",
    "duplicates",
    "export",
    "reporting",
    "serving",
    "training.kernels",
    "training.optim",
    "training.losses",
    "training.lightning_overhead",
    "training.starts",
    "training.data",
    "training.modules",
    "training.csv_logger",
    "training.callbacks",
    "training.checkpoint_io",
    "training.wandb_logger",
    "benchmarks",
    "apps",
    "cli",
    "torture",
)


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, at its top or inside its functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(module: str) -> int:
    """The place in `ROOMS` of a module of askagain; the package itself, which is the front door, comes last."""
    name = module.removeprefix("askagain").lstrip(".")
    rooms = [place for place, own in enumerate(ROOMS) if name == own or name.startswith(f"{own}.")]
    return max(rooms, key=lambda place: len(ROOMS[place]), default=len(ROOMS))


def test_imports_point_one_way_through_the_rooms():
    backwards = []
    for path in PACKAGE.rglob("*.py"):
        own = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        for module in imports(path):
            if module.startswith("askagain.") and room(module) > room(own):
                backwards.append(f"{own} imports {module}")
    assert not backwards


def test_only_apps_and_the_root_entries_import_hydra():
    for path in PACKAGE.rglob("*.py"):
        if "apps" not in path.relative_to(PACKAGE).parts:
            assert not [name for name in imports(path) if name.split(".")[0] == "hydra"], path
