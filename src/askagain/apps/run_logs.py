"""What a run gives to its loggers beside curves: its config, its final metrics, and the worst-ranked questions."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from askagain.files.json_files import write_json
from askagain.files.markdown import markdown
from askagain.training.callbacks.best_checkpoint import HP_METRIC

LOGGED_TO = "logged_to.json"  # in a run folder: the ids of its runs of W&B and MLflow
Table = tuple[list[str], list[list[Any]]]  # names of columns, and rows of cells


def continue_logs(cfg: DictConfig) -> None:
    """Lets a run that resumes in its own folder go on with the runs of W&B and MLflow that it logged to before."""
    folder = Path(cfg.paths.run_dir)
    if cfg.ckpt_path is None or Path(cfg.ckpt_path).resolve().parent.parent != folder.resolve():
        return
    try:
        noted = json.loads((folder / LOGGED_TO).read_bytes())
        ids = noted["ids"] if noted["sum"] == _sum(noted["ids"]) else {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # none, or damaged: a new run is logged to
        return
    for logger, key in (("wandb", "id"), ("mlflow", "run_id")):
        if (cfg.get("logger") or {}).get(logger) is not None and isinstance(ids.get(logger), str):
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
        write_json(Path(cfg.paths.run_dir) / LOGGED_TO, {"ids": ids, "sum": _sum(ids)})


def _sum(ids: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(ids, sort_keys=True).encode()).hexdigest()


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
