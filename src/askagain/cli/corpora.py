"""What the verbs that read questions share: options for their columns, and reading with the encoder's fields."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from askagain.cli.options import options

if TYPE_CHECKING:
    from askagain.models.bag_encoder import BagEncoder
    from askagain.search.questions import Question

PATH = click.Path(path_type=Path)
FRACTION = click.FloatRange(0, 1)

columns = options(
    click.option("--id", "id_column", metavar="COLUMN", help="With the id of each question [found by its name]."),
    click.option(
        "--text",
        "text_columns",
        metavar="COLUMN,...",
        help="With its text, or title and body; the first one is shown [found by its name].",
    ),
)
encoder_path = click.option(
    "--encoder",
    type=PATH,
    required=True,
    metavar="PATH",
    help="A run folder, an encoder folder, a .ckpt file or a name.",
)


def load(path: Path) -> "BagEncoder":
    """The encoder at a path, said aloud."""
    import askagain
    from askagain.models.named import located

    path = located(path)
    encoder = askagain.load(path)
    click.echo(f"encoder: {path}, {len(encoder.features.vocabulary):,} words, {encoder.dim} numbers a vector", err=True)
    return encoder


def questions_of(
    path: Path, encoder: "BagEncoder", id_column: str | None, text_columns: str | None
) -> "list[Question]":
    """The questions of a file, or of a corpus folder."""
    from askagain.errors import InputError
    from askagain.search.questions import QuestionColumns, read_corpus, read_questions

    if path.is_dir():
        if id_column is not None or text_columns is not None:
            raise InputError(f"{path}: a corpus folder has no columns; leave --id and --text out")
        return list(read_corpus(path))
    chosen = QuestionColumns(tuple(filter(None, (text_columns or "").split(","))), id_column)
    return list(read_questions(path, chosen, encoder.preprocessor.fields))


def check_new(path: Path, overwrite: bool, is_ours: Callable[[Path], bool], sources: Sequence[Path]) -> None:
    """Raises InputError where something is in the place of what is to be written, unless it may be replaced.

    `sources`: what is read, which must not lie in there.
    """
    from askagain.errors import InputError

    if not path.name:
        raise InputError(f"{path}: name a folder that is to be made")
    inside = [source for source in sources if path.resolve() in (source.resolve(), *source.resolve().parents)]
    if inside:
        raise InputError(f"{path}: {inside[0]} is read, and would be lost; name another folder")

    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not is_ours(path):
        raise InputError(f"{path}: something else is in its place; name another folder")
    if not overwrite:
        raise InputError(f"{path}: is there already; name another folder, or give --overwrite")
