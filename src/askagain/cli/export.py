"""`askagain export`: an encoder in the format of another library, and how much of it that keeps."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from askagain.export.fidelity import Fidelity, Trial
    from askagain.export.request import Request

PATH = click.Path(path_type=Path)
FORMATS = ("askagain", "wheel", "sentence-transformers", "word2vec", "word2vec-bin", "kv", "onnx", "faiss", "usearch")
MEGABYTE = 1_000_000


@click.command()
@click.argument("run", type=PATH, metavar="RUN")
@click.option("--format", "format_name", type=click.Choice(FORMATS), required=True, help="What to write.")
@click.option("-o", "--out", type=PATH, required=True, help="The file or folder to write.")
@click.option("--data", type=PATH, metavar="DIR", help="A corpus folder, whose validation.tsv is ranked with both.")
@click.option(
    "--dtype", type=click.Choice(["float32", "float16", "int8"]), help="Of the table; askagain, wheel [as it is]."
)
@click.option("--words", type=PATH, metavar="FILE", help="Further words, one a line, that get rows of their own.")
@click.option("--texts", type=PATH, metavar="FILE", help="Texts, one a line, to index; faiss and usearch.")
@click.option(
    "--tokenizer",
    type=click.Choice(["words", "pieces"]),
    help="Known words, or pieces of unknown ones too; sentence-transformers [pieces, if there are letter n-grams].",
)
@click.option("--exact", is_flag=True, help="The same vectors, by code of the folder; sentence-transformers.")
@click.option("--name", help="What askagain.load will find it by; wheel.")
@click.option("--version", help="Of the package; wheel [1.0.0].")
@click.option("--license", metavar="SPDX", help="Of the package, such as CC-BY-SA-4.0; wheel.")
@click.option("--summary", help="One line on what it is; wheel.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier export.")
def export(
    run: Path,
    format_name: str,
    out: Path,
    data: Path | None,
    dtype: str | None,
    words: Path | None,
    texts: Path | None,
    tokenizer: str | None,
    exact: bool,
    name: str | None,
    version: str | None,
    license: str | None,
    summary: str | None,
    overwrite: bool,
) -> None:
    """An encoder for another library.

    RUN is a run folder, an encoder folder, a .ckpt file or the name of an encoder. What was written is read back by the
    library that it is for, and set beside the encoder: MRR, equal vectors, texts a second.

    \b
    Examples:
      askagain export RUN --format askagain --dtype int8 -o small
      askagain export RUN --format wheel --name mine --dtype int8 -o packaged
      askagain export RUN --format sentence-transformers --data data/mine -o for_hub
      askagain export RUN --format word2vec-bin --words words.txt -o words.bin
      askagain export RUN --format faiss --texts questions.txt -o index
    """
    import askagain
    from askagain.export.destination import check_destination
    from askagain.export.fidelity import Trial, compare, trial_of
    from askagain.export.formats import FORMATS as KINDS
    from askagain.export.formats import check_options
    from askagain.export.formats import export as write
    from askagain.export.lines import read_lines
    from askagain.export.request import Request
    from askagain.models.named import located

    kind, run = KINDS[format_name], located(run)
    check_destination(out, overwrite, kind.suffixes, [path for path in (run, data, words, texts) if path is not None])
    encoder = askagain.load(run)
    request = Request(run, encoder, data, dtype, words, texts, tokenizer, exact, name, version, license, summary)
    check_options(format_name, request)
    click.echo(
        f"read {run}: {len(encoder.table):,} rows of {encoder.dim} ({encoder.features.kind}), "
        f"{encoder.table.dtype}, {encoder.table.nbytes / MEGABYTE:.1f} MB"
    )
    if texts is not None:
        lines = read_lines(texts)
        trial = Trial(lines, None, f"{len(lines):,} indexed texts")
    else:
        trial = trial_of(encoder, data)
    write(format_name, request, out)
    _print_sizes(out)
    _print_fidelity(compare(encoder, kind.read(request, out), trial), trial, kind.is_index)
    if format_name == "wheel":
        _print_package(request, out)


def _print_sizes(path: Path) -> None:
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    total = sum(file.stat().st_size for file in files)
    click.echo(f"wrote {path}: {total / MEGABYTE:.1f} MB")
    if path.is_dir():
        width = max(len(str(file.relative_to(path))) for file in files)
        for file in files:
            click.echo(f"  {file.relative_to(path)!s:<{width}}  {file.stat().st_size / MEGABYTE:8.3f} MB")


def _print_package(request: "Request", folder: Path) -> None:
    from askagain.export.wheel import LARGE, wheel_name

    encoder, wheel = request.encoder, folder / wheel_name(request)
    dtype, size = request.dtype or encoder.table.dtype, wheel.stat().st_size
    click.echo(f"package: {len(encoder.table):,} rows of {encoder.dim}, {dtype}, {size / MEGABYTE:.1f} MB")
    if size > LARGE:
        smaller = "" if dtype == "int8" else "--dtype int8 makes it smaller, and so does "
        click.echo(
            f"warning: above {LARGE / MEGABYTE:.0f} MB; {smaller}training with fewer rows (features.min_count=2)",
            err=True,
        )
    click.echo(f'next: pip install --no-deps {wheel}, then askagain.load("{request.name}")')


def _print_fidelity(fidelity: "Fidelity", trial: "Trial", is_index: bool) -> None:
    click.echo(f"measured on {trial.said}")
    if not is_index:
        original, exported = fidelity.speed
        click.echo(f"texts a second: {exported:,.0f}, the encoder {original:,.0f}")
    if fidelity.mrr is not None:
        original, exported = fidelity.mrr
        click.echo(f"MRR: {exported:.4f}, the encoder {original:.4f}; {fidelity.kept:.1%} kept")
    elif not is_index:
        click.echo("MRR: not measured; --data DIR ranks the validation rows of a corpus folder")
    click.echo(f"vectors with a cosine above 0.9999: {fidelity.same:.1%}")
