"""Draws precision and recall by threshold, and the reliability of probabilities."""

from importlib.util import find_spec
from pathlib import Path

from askagain.errors import InputError
from askagain.evaluation.thresholds import Reliability, ThresholdRow, Thresholds
from askagain.files.writing import atomic_write

FORMATS = (".png", ".svg", ".pdf")


def check_figure(path: Path) -> None:
    """Raises InputError where matplotlib is not installed, and for an unknown format."""
    if path.suffix not in FORMATS:
        raise InputError(f"--figure {path}: its name should end in {', '.join(FORMATS)}")
    if find_spec("matplotlib") is None:
        raise InputError("--figure needs matplotlib: pip install matplotlib")


def draw(learned: Thresholds, rows: list[ThresholdRow], checked: Reliability, path: Path) -> None:
    """Writes the figure; see `check_figure`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    curves, diagram = figure.subplots(1, 2)
    thresholds = [row.threshold for row in rows]
    for name, label in (("precision", "precision"), ("recall", "recall"), ("f1", "F1")):
        (line,) = curves.plot(thresholds, [getattr(row, name) for row in rows], label=label)
        low, high = ([getattr(row, f"{name}_{end}") for row in rows] for end in ("low", "high"))
        curves.fill_between(thresholds, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    curves.axvline(learned.threshold, color="#888888", linestyle="--", linewidth=1)
    title = f"among a duplicate and {learned.others:,} others"
    curves.set(title=title, xlabel="threshold (cosine)", ylim=(0, 1.02), xlim=(0, 1))
    curves.legend(frameon=False)
    diagram.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=1)
    diagram.plot(checked.predicted, checked.actual, marker="o")
    diagram.set(
        title=f"reliability, calibration error {checked.error:.3f}",
        xlabel="probability that was said",
        ylabel="share that were duplicates",
        xlim=(0, 1),
        ylim=(0, 1.02),
    )
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:])
