"""`askagain duplicates`: all questions of a corpus that ask the same, or that two corpora share."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from askagain.cli.corpora import PATH, check_new, columns, encoder_path, load, questions_of
from askagain.cli.options import number

if TYPE_CHECKING:
    from askagain.duplicates.groups import Group
    from askagain.search.questions import Question

SHOWN = 5  # groups
MANY, LARGE = 100, 0.02  # questions in a group, and of all, from which on it is called large
CELL = 60  # characters of a text that is shown


@click.command()
@click.argument("corpus", type=PATH)
@encoder_path
@click.option("-o", "--out", "folder", type=PATH, required=True, help="The folder to write.")
@click.option(
    "--threshold",
    default="auto",
    show_default=True,
    help="The cosine from which on two are duplicates; auto: what askagain threshold has found for the encoder.",
)
@columns
@click.option("--against", type=PATH, metavar="OTHER", help="Find what CORPUS shares with this file instead.")
@click.option(
    "--keep-from",
    type=click.FloatRange(0.01, 1),
    callback=number,
    help="Keep pairs from this cosine on for later runs.",
)
@click.option("--overwrite", is_flag=True, help="Replace the duplicates of another corpus or encoder in the folder.")
@click.option("--ray", "address", metavar="ADDRESS", help="Embed and compare on a Ray cluster: its address, or local.")
def duplicates(
    corpus: Path,
    encoder: Path,
    folder: Path,
    threshold: str,
    id_column: str | None,
    text_columns: str | None,
    against: Path | None,
    keep_from: float | None,
    overwrite: bool,
    address: str | None,
) -> None:
    """Find all duplicates in a file, and join them into groups.

    The folder gets groups.tsv, which train.py can train on, and groups.jsonl: the text of each group that is kept, and
    all others with their cosines, none below the threshold. Pairs are kept there too: another --threshold with the
    same -o compares nothing anew.
    With --against it gets shared.tsv and shared.jsonl.

    \b
    Examples:
      askagain duplicates titles.txt --encoder runs/mine --threshold 0.85 -o duplicates
      askagain duplicates posts.jsonl --id post_id --text title --encoder runs/mine -o duplicates
      askagain duplicates train.txt --against test.txt --encoder runs/mine --threshold 0.9 -o shared
    """
    from askagain.duplicates.groups import count_pairs
    from askagain.duplicates.run import (
        Sources,
        digest,
        embed,
        find_pairs,
        is_ours,
        kept_pairs,
        write_duplicates,
        write_shared,
    )
    from askagain.files.opened import refuse_unreadable
    from askagain.search.index_list import fingerprint

    wanted = _threshold(threshold, encoder)
    for path in filter(None, (corpus, against)):
        if not path.is_dir():
            refuse_unreadable(path)
    loaded = load(encoder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
        loaded.save(Path(scratch) / "encoder")
        sources = Sources(
            digest(corpus, id_column, text_columns),
            None if against is None else digest(against, id_column, text_columns),
            fingerprint(Path(scratch) / "encoder"),
        )
        found = kept_pairs(folder, sources, wanted) if keep_from is None else None
        check_new(folder, overwrite or found is not None, is_ours, [corpus, encoder, *([against] if against else [])])
        questions = questions_of(corpus, loaded, id_column, text_columns)
        click.echo(f"read {corpus}: {len(questions):,} questions")
        split_at = None
        if against is not None:
            split_at = len(questions)
            questions += questions_of(against, loaded, id_column, text_columns)
            click.echo(f"read {against}: {len(questions) - split_at:,} questions")
        if found is not None:
            click.echo(f"pairs from {found.floor:g} on were found before, and are used again")
        elif address is None:
            found = find_pairs(embed(loaded, questions, Path(scratch)), wanted, split_at, keep_from)
        else:
            from askagain.search.on_ray import RayCluster

            cluster = RayCluster(address)
            vectors = cluster.embed(loaded)([question.encoded for question in questions])
            found = find_pairs(vectors, wanted, split_at, keep_from, cluster.spread)
        recall = "all were compared" if found.pairs.recall == 1 else f"recall {found.pairs.recall:.3f}, on a sample"
        if split_at is None:
            groups, pairs = write_duplicates(folder, found, wanted, sources, questions)
            click.echo(f"{count_pairs(pairs):,} pairs with a cosine of {wanted:g} or more ({recall})")
            members = sum(1 + len(group.members) for group in groups)
            largest = max((1 + len(group.members) for group in groups), default=0)
            click.echo(f"{len(groups):,} groups of {members:,} questions, the largest of {largest:,}")
            if largest > max(MANY, LARGE * len(questions)):
                click.echo(
                    f"hint: {largest:,} questions in one group are hardly all the same; raise --threshold", err=True
                )
            _show(groups, questions)
            click.echo(f"wrote {folder}: groups.tsv, groups.jsonl")
        else:
            count, pairs = write_shared(folder, found, wanted, sources, questions, split_at)
            share = count / split_at
            click.echo(f"{len(pairs.first):,} pairs with a cosine of {wanted:g} or more ({recall})")
            click.echo(f"{count:,} of {split_at:,} questions of {corpus} ({share:.1%}) have one in {against}")
            click.echo(f"wrote {folder}: shared.tsv, shared.jsonl")


def _threshold(value: str, encoder: Path) -> float:
    """The cosine that was given, or the one that was learned for the encoder."""
    from askagain.errors import InputError
    from askagain.evaluation.thresholds import Thresholds
    from askagain.models.folder import encoder_folder

    if value != "auto":
        try:
            number = float(value)
        except ValueError as error:
            raise InputError(f"--threshold {value}: neither a number nor auto") from error
        if not 0 < number <= 1:
            raise InputError(f"--threshold {value}: must be above 0, and 1 at most")
        return number
    learned = None if encoder.suffix == ".ckpt" else Thresholds.load(encoder_folder(encoder))
    if learned is None:
        raise InputError(
            f"--threshold auto: none was learned for {encoder}; run askagain threshold --encoder {encoder} --data DIR, "
            "or give a number such as 0.85"
        )
    click.echo(f"threshold: {learned.threshold:g}, learned by askagain threshold")
    return learned.threshold


def _show(groups: "list[Group]", questions: "list[Question]") -> None:
    """The largest groups, shortened."""
    for group in sorted(groups, key=lambda group: -len(group.members))[:SHOWN]:
        texts = list(dict.fromkeys(questions[row].text for row in group.members))
        more = f" and {len(group.members) - 2:,} more" if len(group.members) > 2 else ""
        click.echo(f"  {_short(questions[group.kept].text)} = {' = '.join(map(_short, texts[:2]))}{more}")


def _short(text: str) -> str:
    return text if len(text) <= CELL else text[: CELL - 3] + "..."
