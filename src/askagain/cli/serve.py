"""`askagain serve`: indexes over HTTP, with a page to try them."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from askagain.cli.corpora import PATH, check_new, columns, load, questions_of
from askagain.cli.index import COPIED

if TYPE_CHECKING:
    from askagain.serving.service import ServedIndex

OTHERS_MAY_READ = 0o004


@click.command()
@click.argument("folders", type=PATH, metavar="FOLDER...", nargs=-1, required=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: a free one.")
@click.option("--token-file", type=PATH, metavar="FILE", help="A token, which allows to add and remove questions.")
@click.option(
    "--corpus",
    type=PATH,
    metavar="PATH",
    help="Questions to index first, where a FOLDER is a run: a file, or a corpus folder.",
)
@columns
@click.option(
    "-o", "--out", type=PATH, metavar="DIR", help="Keep the index of --corpus here [it is removed at the end]."
)
@click.option("--cors", "origins", multiple=True, metavar="ORIGIN", help="A site whose pages may read answers.")
@click.option("--allow-host", "hosts", multiple=True, metavar="NAME", help="A further name that the server goes by.")
def serve(
    folders: tuple[Path, ...],
    host: str,
    port: int,
    token_file: Path | None,
    corpus: Path | None,
    id_column: str | None,
    text_columns: str | None,
    out: Path | None,
    origins: tuple[str, ...],
    hosts: tuple[str, ...],
) -> None:
    """Answer over HTTP, with a page to try it.

    FOLDER is an index or, with --corpus, a run whose encoder indexes the questions first. The page compares the first
    two where there are several. GET /docs describes what programs can ask.

    Questions are changed with the token only. Off this machine (--host other than a loopback address) everything needs
    it: programs send it as Authorization: Bearer TOKEN, browsers ask for it as a password.

    \b
    Examples:
      askagain serve index
      askagain serve runs/mine --corpus titles.txt
      askagain serve index other_index --port 8080
      askagain serve index --host 0.0.0.0 --token-file token.txt
    """
    from askagain.errors import InputError
    from askagain.serving.access import Access, is_loopback, read_token
    from askagain.serving.app import build_app
    from askagain.serving.limits import Limits
    from askagain.serving.metrics import ServerMetrics
    from askagain.serving.run import bind, make_server

    token = None if token_file is None else read_token(token_file)
    if token_file is not None and token_file.stat().st_mode & OTHERS_MAY_READ:
        click.echo(f"others on this machine may read {token_file}; chmod 600 {token_file}", err=True)
    at_loopback = is_loopback(host)
    if token is None and not at_loopback:
        raise InputError(f"--host {host}: others can reach it there; give a token with --token-file")
    if out is not None and corpus is None:
        raise InputError("-o is where the index of --corpus is kept; give the questions with --corpus")
    if token is not None and corpus is not None and out is None:
        raise InputError("questions that are added would be lost with the index; keep it with -o DIR")
    names = {"127.0.0.1", "localhost", "[::1]", host.lower(), *(name.lower() for name in hosts)}
    access = Access(token, everything=not at_loopback, hosts=names if at_loopback else ())
    with bind(host, port) as listening, _indexes(folders, corpus, id_column, text_columns, out) as places:
        indexes = list(_served(places, is_writable=token is not None))
        limits, metrics = Limits(), ServerMetrics()
        app = build_app(indexes, access, limits, metrics, origins)
        shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
        address = f"http://{shown}:{listening.getsockname()[1]}/"

        def ready() -> None:
            for index in indexes:
                click.echo(f"{index.folder}: {len(index.index):,} questions")
            rule = "the token adds and removes questions" if token is not None else "read only: no --token-file"
            click.echo(f"{address} answers ({rule}; Ctrl-C ends it)")

        sys.setswitchinterval(limits.switch_seconds)
        make_server(app, limits, metrics, ready).run(sockets=[listening])
    click.echo("ended")


@contextmanager
def _indexes(
    folders: Sequence[Path], corpus: Path | None, id_column: str | None, text_columns: str | None, out: Path | None
) -> Iterator[list[tuple[str, Path]]]:
    """The folders of indexes by name; those of runs are made first."""
    import tempfile

    from askagain.errors import InputError
    from askagain.search.index_list import is_index

    runs = [folder for folder in folders if not is_index(folder)]
    if runs and corpus is None:
        remedy = "make one with askagain index, or give a run's questions with --corpus FILE"
        raise InputError(f"{runs[0]}: no index; {remedy}")
    if not runs and corpus is not None:
        raise InputError("--corpus is for a run; an index has its questions already")
    if len(runs) > 1 and out is not None:
        raise InputError("-o keeps the index of one run; make the others with askagain index")
    # Indexes are served without a folder for temporary files, where none can be written.
    with tempfile.TemporaryDirectory(prefix="askagain-") if runs and out is None else nullcontext("") as temporary:
        places = []
        for number, folder in enumerate(folders):
            place = folder
            if folder in runs:
                assert corpus is not None
                place = out or Path(temporary) / str(number)
                if out is not None:
                    check_new(out, False, is_index, [corpus, folder])
                _make(folder, corpus, id_column, text_columns, place)
            places.append((folder.resolve().name, place))
        yield places


def _make(run: Path, corpus: Path, id_column: str | None, text_columns: str | None, place: Path) -> None:
    """Makes an index of a run's encoder and the questions of a file."""
    from askagain.models.folder import encoder_folder
    from askagain.search.index_writer import IndexWriter

    encoder = load(run)
    questions = questions_of(corpus, encoder, id_column, text_columns)
    beside = [] if run.suffix == ".ckpt" else [encoder_folder(run) / name for name in COPIED]
    IndexWriter.create(place, encoder, questions, beside=[path for path in beside if path.is_file()])
    click.echo(f"read {corpus}: {len(questions):,} questions")


def _served(places: Sequence[tuple[str, Path]], is_writable: bool) -> "Iterator[ServedIndex]":
    """The indexes; those with one name are told apart by a number."""
    from askagain.serving.service import ServedIndex

    names: dict[str, int] = {}
    for name, folder in places:
        names[name] = names.get(name, 0) + 1
        yield ServedIndex(name if names[name] == 1 else f"{name}-{names[name]}", folder, is_writable)
