"""What a run gives to its loggers beside curves: its config, its final metrics, and the worst-ranked questions."""

from collections.abc import Mapping, Sequence
from typing import Any

from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from askagain.files.markdown import markdown
from askagain.training.callbacks.best_checkpoint import HP_METRIC

Table = tuple[list[str], list[list[Any]]]  # names of columns, and rows of cells


@rank_zero_only
def log_config(loggers: Sequence[Logger], config: dict[str, Any]) -> None:
    """Logs the config as hyperparameters, before anything is trained."""
    for logger in loggers:
        logger.log_hyperparams(config)


def log_results(
    loggers: Sequence[Logger], config: dict[str, Any], metrics: Mapping[str, float], chosen: float, step: int
) -> None:
    """Logs final metrics, which have one value a run, so that none of them becomes a chart with a single dot.

    They go to the summary of a W&B run, to a table of TensorBoard's, and as they are to other loggers. TensorBoard's
    table of hyperparameters gets `chosen` as hp_metric.
    """
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.summary.update(dict(metrics))
        elif isinstance(logger, TensorBoardLogger):
            rows = [[name, f"{value:.6g}"] for name, value in metrics.items()]
            logger.experiment.add_text("results", markdown(["metric", "value"], rows), step)
            logger.log_hyperparams(config, {HP_METRIC: chosen}, step)
        else:
            logger.log_metrics(dict(metrics), step=step)


def log_worst_ranked(loggers: Sequence[Logger], table: Table, step: int) -> None:
    """Logs the questions whose duplicate is ranked worst: a table of W&B's, a text of TensorBoard's."""
    columns, rows = table
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.log_table("worst_ranked", columns, rows, step=step)
        elif isinstance(logger, TensorBoardLogger):
            cells = [["" if cell is None else _cell(cell) for cell in row] for row in rows]
            logger.experiment.add_text("worst_ranked", markdown(columns, cells), step)


def finish(loggers: Sequence[Logger], exit_code: int) -> None:
    """Ends the run of W&B, so that the next run of a sweep gets one of its own."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.finish(exit_code=exit_code)


def _cell(value: Any) -> str:
    """A cell of a Markdown table."""
    text = f"{value:.4f}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|")
