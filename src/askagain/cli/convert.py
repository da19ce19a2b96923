"""`askagain convert`: a corpus folder for `train.py` from the files that people have."""

import tempfile
from pathlib import Path
from typing import Any

import click

from askagain.cli.corpus_folder import origin_of, report, split_settings
from askagain.cli.options import number, options

PATH = click.Path(path_type=Path)
CC_BY_SA = "CC BY-SA, the Stack Exchange network; name its users and link to the questions where you show them"


@click.group()
def convert() -> None:
    """Make a folder to train on from your own files.

    The folder gets train.tsv, validation.tsv and test.tsv, corpus.txt where there are texts without a duplicate, and a
    README.md that says how all of it was made. Groups are held out as a whole, and no question of theirs is trained on.

    \b
    Example:
      askagain convert groups duplicates.csv -o data/mine
    """


out = options(
    click.option("-o", "--out", "folder", type=PATH, required=True, help="The folder to write."),
    click.option("--overwrite", is_flag=True, help="Replace a folder that was made in this way."),
)
drawn = options(
    click.option("--candidates", type=click.IntRange(1), default=1000, show_default=True, help="Others in a row."),
    click.option(
        "--guard",
        type=click.FloatRange(0, 1, min_open=True),
        callback=number,
        default=0.8,
        show_default=True,
        help="Leave out candidates that share this much of their words with a duplicate.",
    ),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all draws."),
)
held_out = options(
    click.option("--validation", type=click.IntRange(1), help="Rows of validation.tsv, one a group [a tenth, to 500]."),
    click.option("--test", type=click.IntRange(0), help="Rows of test.tsv, 0 for none [the same]."),
    click.option("--hard", type=click.IntRange(0), default=0, show_default=True, help="The closest texts in each row."),
    click.option("--hard-by", default="bm25", show_default=True, help="bm25, or an encoder: its folder or name."),
    click.option("--by-time", is_flag=True, help="Hold out the groups with the newest questions."),
)
read = options(
    click.option("--label", metavar="COLUMN", help="1 or true where a row's texts are duplicates [found by its name]."),
    click.option("--group", metavar="COLUMN", help="Rows with the same value are duplicates [found by its name]."),
    click.option("--date", metavar="COLUMN", help="When a text was written [found by its name]."),
    click.option("--quotes", type=click.Choice(["auto", "yes", "no"]), default="auto", help="Of cells of a TSV file."),
)


@convert.command()
@click.argument("files", nargs=-1, required=True, type=PATH, metavar="FILE...")
@out
@click.option("--texts", multiple=True, type=PATH, help="A table of other questions, or a text file of one a line.")
@click.option("--columns", metavar="A,B", help="The columns with the texts [found by their names].")
@read
@held_out
@drawn
@click.option("--licence", help="Of the texts, for README.md.")
def groups(
    files: tuple[Path, ...],
    folder: Path,
    overwrite: bool,
    texts: tuple[Path, ...],
    columns: str | None,
    label: str | None,
    group: str | None,
    date: str | None,
    quotes: str,
    licence: str | None,
    **settings: Any,
) -> None:
    """Groups or pairs of duplicates, from a table.

    FILE is TSV, CSV, JSON Lines, JSON or Parquet, plain or .gz: a group a line, pairs with or without a label,
    triplets, one text a row with the id of its group, Quora's question pairs, or what sentence-transformers trains on.
    It may be a folder: a data set in BEIR's layout, or one that `datasets` has saved.

    \b
    Examples:
      askagain convert groups duplicates.tsv -o data/mine
      askagain convert groups pairs.csv --columns asked,original --texts titles.txt -o data/mine
      askagain convert groups questions.parquet --columns title --group topic --by-time -o data/mine
    """
    from askagain.convert.beir import BeirFolder, read_beir
    from askagain.convert.columns import Columns
    from askagain.convert.folder import check_new, write_split
    from askagain.convert.layouts import read_groups, read_texts
    from askagain.convert.questions import QuestionsBuilder
    from askagain.convert.split import split

    check_new(folder, overwrite, [*files, *texts])
    wanted = Columns(tuple((columns or "").split(",")) if columns else (), label, group, date)
    builder = QuestionsBuilder()
    quoted = {"auto": None, "yes": True, "no": False}[quotes]
    read_as = []
    for path in files:
        is_beir = BeirFolder.is_in(path)
        read_as.append(read_beir(path, builder) if is_beir else read_groups(path, wanted, builder, quoted))
        click.echo(f"read {path} as {read_as[-1]}")
    for path in texts:
        read_texts(path, Columns(date=date), builder, quoted)
        click.echo(f"read {path} as other questions")
    questions = builder.join()
    chosen = split_settings(**settings)
    parts = split(questions, chosen)
    origin = origin_of(folder, [*files, *texts], "; ".join(dict.fromkeys(read_as)), chosen, licence)
    write_split(folder, questions, parts, origin)
    report(folder, {**questions.counts, **parts.counts})


@convert.command()
@click.argument("files", nargs=-1, required=True, type=PATH, metavar="FILE...")
@out
@held_out
@drawn
@click.option(
    "--posts/--no-posts", default=True, show_default=True, help="Write questions.jsonl: bodies, code and tags."
)
def stackexchange(files: tuple[Path, ...], folder: Path, overwrite: bool, posts: bool, **settings: Any) -> None:
    """A dump of a Stack Exchange site: Posts.xml and PostLinks.xml, or a .7z of them.

    Questions that their users closed as duplicates are joined into groups; every other title is in corpus.txt.

    \b
    Examples:
      askagain convert stackexchange Posts.xml PostLinks.xml -o data/beer
      askagain convert stackexchange beer.stackexchange.com.7z -o data/beer
    """
    from askagain.convert.folder import check_new, write_split
    from askagain.convert.split import split
    from askagain.convert.stackexchange import read_dump

    check_new(folder, overwrite, files)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
        written = Path(scratch) / "questions.jsonl" if posts else None
        questions = read_dump(files, Path(scratch) / "titles.txt", written)
        chosen = split_settings(**settings)
        parts = split(questions, chosen)
        origin = origin_of(folder, files, "duplicate links (LinkTypeId 3) between questions", chosen, CC_BY_SA)
        if written is not None:
            origin.remarks.append("`questions.jsonl` has all questions, held out or not: no training set as it is.")
        write_split(folder, questions, parts, origin, written)
    # Each title of a dump is unlabelled as well, so that this number says nothing.
    counts = {**questions.counts, **parts.counts, "unlabelled texts left out since they are held out": 0}
    report(folder, counts)


@convert.command()
@click.argument("task", type=PATH, metavar="TASK_FOLDER")
@out
@drawn
def mteb(task: Path, folder: Path, overwrite: bool, candidates: int, guard: float, seed: int) -> None:
    """A task of MTEB on disk: AskUbuntuDupQuestions, StackOverflowDupQuestions, CQADupstack.

    A reranking task gives a row for each positive text of each query, with the query's own negatives; a retrieval task
    gives a row for each query, with other documents drawn at random. There is nothing to train on in it.

    \b
    Example:
      askagain convert mteb askubuntudupquestions-reranking -o data/dup
      python evaluate.py encoder.path=RUN data=tsv data.dir=data/dup data.split=test
    """
    from askagain.convert.folder import check_new, write_rows
    from askagain.convert.mteb import is_retrieval, read_reranking, reranking_rows, retrieval_rows
    from askagain.convert.split import SplitSettings
    from askagain.errors import InputError

    check_new(folder, overwrite, [task])
    if not task.is_dir():
        raise InputError(f"{task}: no such folder")
    if is_retrieval(task):
        rows = retrieval_rows(task, candidates, guard, seed)
        read_as = "queries, a relevant document of each, and other documents drawn at random"
    else:
        rows = {name: list(reranking_rows(queries)) for name, queries in read_reranking(task).items()}
        read_as = "queries, each of their positive texts, and their own negative ones"
    rows = {name: lines for name, lines in rows.items() if lines}
    if not rows:
        raise InputError(f"{task}: no query has both a duplicate and another text")
    origin = origin_of(folder, [task], read_as, SplitSettings(candidates=candidates, guard=guard, seed=seed), None)
    write_rows(folder, {f"{name}.tsv": lines for name, lines in rows.items()}, origin, {})
    report(folder, {}, trains=False)
