"""`askagain index`, `add`, `remove` and `info`: an index of questions that can be searched."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from askagain.cli.corpora import PATH, check_new, columns, encoder_path, load, questions_of
from askagain.cli.options import number

if TYPE_CHECKING:
    from askagain.models.bag_encoder import BagEncoder
    from askagain.search.index_list import Hybrid

COPIED = ("threshold.json",)  # from beside the encoder


@click.command()
@click.argument("corpus", type=PATH)
@encoder_path
@click.option("-o", "--out", "folder", type=PATH, required=True, help="The index folder to write.")
@columns
@click.option(
    "--kind",
    type=click.Choice(["auto", "flat", "pq", "ivf", "hnsw"]),
    default="auto",
    show_default=True,
    help="How vectors are found; auto: flat up to 20,000, pq beyond.",
)
@click.option(
    "--hybrid", type=click.Choice(["bm25", "letters"]), help="A ranker that counts terms, for search --hybrid."
)
@click.option(
    "--weight", type=click.FloatRange(0), callback=number, help="Of that ranker's z-scores [tuned on --data, else 0.1]."
)
@click.option("--data", type=PATH, metavar="DIR", help="A corpus folder, whose validation.tsv tunes --weight.")
@click.option("--dtype", type=click.Choice(["float32", "float16", "int8"]), help="Of the encoder's table in the index.")
@click.option("--overwrite", is_flag=True, help="Replace an index that is there.")
@click.option("--ray", "address", metavar="ADDRESS", help="Embed on a Ray cluster: its address, or local.")
def index(
    corpus: Path,
    encoder: Path,
    folder: Path,
    id_column: str | None,
    text_columns: str | None,
    kind: str,
    hybrid: str | None,
    weight: float | None,
    data: Path | None,
    dtype: str | None,
    overwrite: bool,
    address: str | None,
) -> None:
    """Make an index of the questions in a file.

    CORPUS is a text file of one question a line, TSV, CSV, JSON Lines or Parquet, plain or .gz. Questions keep their
    own ids; without any, an id is the number of the line. It may also be a corpus folder: then its train.tsv and its
    corpus.txt are read.

    \b
    Examples:
      askagain index titles.txt --encoder runs/mine -o index
      askagain index posts.jsonl --id post_id --text title,body --encoder runs/mine -o index
      askagain index titles.txt --encoder runs/mine --hybrid bm25 --data data/mine -o index
    """
    from askagain.errors import InputError
    from askagain.models.folder import encoder_folder
    from askagain.search.index_list import is_index
    from askagain.search.index_writer import IndexWriter

    if hybrid is None and (weight is not None or data is not None):
        raise InputError("--weight and --data are for --hybrid; name its ranker, such as --hybrid bm25")
    check_new(folder, overwrite, is_index, [corpus, encoder])
    loaded = load(encoder)
    if dtype is not None:
        loaded = loaded.with_table(loaded.table.as_type(dtype))
    questions = questions_of(corpus, loaded, id_column, text_columns)
    click.echo(f"read {corpus}: {len(questions):,} questions")
    second = None if hybrid is None else _hybrid(hybrid, weight, data, loaded)
    beside = [] if encoder.suffix == ".ckpt" else [encoder_folder(encoder) / name for name in COPIED]
    embed = None
    if address is not None:
        from askagain.search.on_ray import RayCluster

        embed = RayCluster(address).embed(loaded)
    writer = IndexWriter.create(
        folder, loaded, questions, kind, second, [path for path in beside if path.is_file()], embed
    )
    click.echo(f"wrote {folder}")
    _print_info(writer.index.info())
    click.echo(f'next: askagain search {folder} "your question"')


def _hybrid(name: str, weight: float | None, data: Path | None, encoder: "BagEncoder") -> "Hybrid":
    """The second ranker with its weight, tuned on the validation rows of a corpus folder if there is one."""
    from askagain.search.hybrid import DEFAULT_WEIGHT, tune
    from askagain.search.index_list import Hybrid

    if weight is not None or data is None:
        return Hybrid(name, DEFAULT_WEIGHT if weight is None else weight)
    best, by_weight = tune(name, data, encoder)
    click.echo(f"MRR on the validation rows of {data}, by the weight of {name}:")
    click.echo("  " + "  ".join(f"{one:g}: {mrr:.4f}" for one, mrr in by_weight.items()))
    return Hybrid(name, best)


@click.command()
@click.argument("folder", type=PATH, metavar="INDEX")
@click.argument("corpus", type=PATH)
@columns
@click.option(
    "--replace", "replaces", is_flag=True, help="Questions whose id is there already replace the earlier ones."
)
@click.option("--encoder", type=PATH, metavar="PATH", help="Refuse to add if the index has another encoder than this.")
def add(
    folder: Path, corpus: Path, id_column: str | None, text_columns: str | None, replaces: bool, encoder: Path | None
) -> None:
    """Add the questions in a file to an index; whoever searches it meanwhile is not disturbed.

    \b
    Example:
      askagain add index new.jsonl --id post_id --text title
    """
    from askagain.errors import InputError
    from askagain.models.folder import encoder_folder
    from askagain.search.index_list import ENCODER, fingerprint
    from askagain.search.index_writer import IndexWriter

    writer = IndexWriter(folder)
    if encoder is not None and fingerprint(encoder_folder(encoder)) != fingerprint(folder / ENCODER):
        raise InputError(f"{folder}: has another encoder than {encoder}; build it again, or leave out --encoder")
    questions = questions_of(corpus, writer.index.encoder, id_column, text_columns)
    count = writer.add(questions, replaces)
    click.echo(f"added {count:,} questions of {corpus} to {folder}: {len(writer.index):,} now")


@click.command()
@click.argument("folder", type=PATH, metavar="INDEX")
@click.option("--ids", metavar="ID,...", help="The questions to remove.")
@click.option("--ids-from", type=PATH, metavar="FILE", help="A file with one id a line.")
def remove(folder: Path, ids: str | None, ids_from: Path | None) -> None:
    """Remove questions from an index by their ids.

    \b
    Examples:
      askagain remove index --ids 4711,4712
      askagain remove index --ids-from deleted.txt
    """
    from askagain.errors import InputError
    from askagain.search.index_writer import IndexWriter
    from askagain.search.questions import read_lines

    wanted = [part.strip() for part in (ids or "").split(",") if part.strip()]
    if ids_from is not None:
        wanted += read_lines(ids_from)
    if not wanted:
        raise InputError("--ids: no id was given; name some, or a file of them with --ids-from")
    writer = IndexWriter(folder)
    count = writer.remove(wanted)
    click.echo(f"removed {count:,} questions from {folder}: {len(writer.index):,} now")


@click.command()
@click.argument("folder", type=PATH, metavar="INDEX")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def info(folder: Path, as_json: bool) -> None:
    """What is in an index.

    \b
    Example:
      askagain info index
    """
    import json

    from askagain.search.index import Index

    found = Index(folder).info()
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
    else:
        _print_info(found)


def _print_info(found: "dict[str, Any]") -> None:
    width = max(map(len, found))
    for name, value in found.items():
        click.echo(f"  {name:<{width}}  {value:,}" if isinstance(value, int) else f"  {name:<{width}}  {value}")
