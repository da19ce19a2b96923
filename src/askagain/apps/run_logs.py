"""What a run gives to its loggers beside curves: its config, its final metrics, and the worst-ranked questions."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from askagain.files.checksums import check_files, write_checksums
from askagain.files.json_files import json_text
from askagain.files.markdown import markdown
from askagain.files.writing import write_text
from askagain.training.callbacks.best_checkpoint import HP_METRIC

LOGGED_TO = "logged_to"  # in a run folder: which runs of W&B and MLflow it has logged to
IDS = "ids.json"  # their ids, in that folder
log = logging.getLogger(__name__)

Table = tuple[list[str], list[list[Any]]]  # names of columns, and rows of cells


def continue_logs(cfg: DictConfig) -> None:
    """Lets a run that resumes in its own folder go on with the runs of W&B and MLflow that it logged to before."""
    folder = Path(cfg.paths.run_dir)
    if cfg.ckpt_path is None or Path(cfg.ckpt_path).resolve().parent.parent != folder.resolve():
        return
    noted = folder / LOGGED_TO
    if not noted.exists():
        return
    try:
        check_files(noted, [IDS])
        ids = json.loads((noted / IDS).read_bytes())
    except (OSError, ValueError) as error:
        log.warning("%s is damaged (%s): a new run of W&B or MLflow is begun", noted, error)
        return
    for logger, key in (("wandb", "id"), ("mlflow", "run_id")):
        if (cfg.get("logger") or {}).get(logger) is not None and logger in ids:
            OmegaConf.update(cfg, f"logger.{logger}.{key}", ids[logger], force_add=True)


def note_logs(cfg: DictConfig, loggers: Sequence[Logger]) -> None:
    """Notes for `continue_logs` which runs of W&B and MLflow the loggers write to."""
    ids = {}
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            ids["wandb"] = str(logger.version)
        elif isinstance(logger, MLFlowLogger) and logger.run_id is not None:
            ids["mlflow"] = logger.run_id
    if ids:
        folder, content = Path(cfg.paths.run_dir) / LOGGED_TO, json_text(ids)
        write_checksums(folder, {IDS: content.encode()})
        write_text(folder / IDS, [content])


@rank_zero_only
def log_config(loggers: Sequence[Logger], config: dict[str, Any]) -> None:
    """Logs the config as hyperparameters, before anything is trained.

    MLflow keeps those of a run that is continued, and refuses others.
    """
    continued = (config.get("logger", {}).get("mlflow") or {}).get("run_id") is not None
    for logger in loggers:
        if not (continued and isinstance(logger, MLFlowLogger)):
            logger.log_hyperparams(config)


def log_results(
    loggers: Sequence[Logger], config: dict[str, Any], metrics: Mapping[str, float | str], chosen: float, step: int
) -> None:
    """Logs final metrics, which have one value a run, so that none of them becomes a chart with a single dot.

    They go to the summary of a W&B run, to a table of TensorBoard's, and as they are to other loggers, which take no
    words. TensorBoard's table of hyperparameters gets `chosen` as hp_metric.
    """
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.summary.update(dict(metrics))
        elif isinstance(logger, TensorBoardLogger):
            rows = [[name, value if isinstance(value, str) else f"{value:.6g}"] for name, value in metrics.items()]
            logger.experiment.add_text("results", markdown(["metric", "value"], rows), step)
            logger.log_hyperparams(config, {HP_METRIC: chosen}, step)
        else:
            numbers = {name: value for name, value in metrics.items() if not isinstance(value, str)}
            logger.log_metrics(numbers, step=step)


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
