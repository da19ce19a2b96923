"""Finds the checkpoint that a run resumes from."""

import glob
import logging
import re
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from askagain.errors import InputError
from askagain.files.sealed_zip import check_seal
from askagain.models.checkpoint import read_checkpoint

log = logging.getLogger(__name__)

LAST = "last"
LAST_CHECKPOINT = "checkpoints/last.ckpt"  # of a run folder
TIME = re.compile(r"^\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_")  # the start of the names of run folders


def resolve_checkpoint(cfg: DictConfig) -> None:
    """Replaces `ckpt_path`, which names a checkpoint, a run folder or `last`, by the path of a checkpoint.

    `last` is the last checkpoint in this run's own folder if it has one (with hydra.run.dir, or in a sweep with
    hydra.sweep.dir), else that of the newest run of the same name. Without one, training starts from the beginning.
    """
    if cfg.ckpt_path is None:
        return
    run = Path(cfg.paths.run_dir)
    if cfg.ckpt_path == LAST:
        again = HydraConfig.get().mode == RunMode.MULTIRUN or (run / LAST_CHECKPOINT).is_file()
        last = run if again else _newest_run(Path(cfg.paths.runs_dir), cfg.name, other_than=run)
        file = last / LAST_CHECKPOINT
        if not file.is_file():
            log.info("ckpt_path=last: no checkpoint in %s; training starts from the beginning", last)
            cfg.ckpt_path = None
            return
    else:
        given = Path(str(cfg.ckpt_path))
        file = given / LAST_CHECKPOINT if given.is_dir() else given
    if not file.is_file():
        raise InputError(f"ckpt_path={file}: no checkpoint there; give a run folder or RUN/{LAST_CHECKPOINT}")
    try:
        checkpoint = read_checkpoint(file)
        epochs = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    except InputError as error:
        raise InputError(f"ckpt_path={error}{_another(file)}") from error
    except (KeyError, TypeError) as error:
        raise InputError(f"ckpt_path={file}: not a checkpoint of a run ({error}){_another(file)}") from error
    if cfg.trainer.max_epochs is not None and 0 <= cfg.trainer.max_epochs <= epochs:
        log.warning(
            "the checkpoint has already finished %d epochs: nothing is left to train; set trainer.max_epochs=%d higher",
            *(epochs, cfg.trainer.max_epochs),
        )
    log.info("training resumes from %s, step %d", file, checkpoint["global_step"])
    cfg.ckpt_path = str(file)


def _another(damaged: Path) -> str:
    """The end of a message about a damaged checkpoint: another one beside it that is whole."""
    for name in ("last.ckpt", "previous.ckpt", "best.ckpt"):
        file = damaged.with_name(name)
        if file != damaged and file.is_file():
            try:
                check_seal(file)
            except (OSError, ValueError):
                continue
            return f"; {file} beside it is whole: type ckpt_path={file}"
    return ""


def _newest_run(folder: Path, name: str, other_than: Path) -> Path:
    """The newest run folder of a name that has a checkpoint; `folder` where there is none."""
    runs = (file.parent.parent for file in folder.glob(f"*_{glob.escape(name)}/{LAST_CHECKPOINT}"))
    paths = ((run.relative_to(folder).as_posix(), run) for run in runs if run != other_than)
    # Their names start with the time.
    return max((run for path, run in paths if TIME.match(path) and TIME.sub("", path) == name), default=folder)
