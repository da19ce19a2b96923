"""Draws group sizes and lengths of texts."""

from pathlib import Path

from askagain.corpus.files import CorpusFiles
from askagain.describe.facts import Facts, size_bands
from askagain.errors import InputError
from askagain.files.writing import atomic_write

FORMATS = (".png", ".svg", ".pdf")


def draw(facts: Facts, files: CorpusFiles, path: Path) -> None:
    """Writes a figure; raises InputError without matplotlib, and for an unknown format."""
    if path.suffix not in FORMATS:
        raise InputError(f"--figure {path}: its name should end in {', '.join(FORMATS)}")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("--figure needs matplotlib: pip install matplotlib") from error
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    sizes, lengths = figure.subplots(1, 2)
    bands = size_bands(facts.group_sizes)
    bars = sizes.bar([label for label, _ in bands], [count for _, count in bands])
    sizes.bar_label(bars, fmt="{:,.0f}")
    sizes.margins(y=0.1)
    sizes.set(title="groups by size", xlabel="questions in a group", ylabel="groups")
    names = [file.name for file in facts.files]
    lengths.invert_yaxis()
    lengths.barh(names, [file.words[1] for file in facts.files], color="#bbbbbb", label="95 % have no more")
    lengths.barh(names, [file.words[0] for file in facts.files], label="median")
    lengths.set(title="words in a text", xlabel="words")
    lengths.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2, frameon=False)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:])
