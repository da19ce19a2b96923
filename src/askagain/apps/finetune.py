"""What `train.py` does with a model of sentence-transformers that is fine-tuned, and not with a table of vectors."""

from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig
from pytorch_lightning import Trainer

from askagain.apps.build import build, build_own_metrics
from askagain.apps.next_steps import MODEL
from askagain.apps.report import PREFIXES, prefixed
from askagain.apps.verdict import Outcome
from askagain.corpus.corpus import Corpus
from askagain.errors import InputError
from askagain.evaluation.evaluate import evaluate_ranking
from askagain.machine import LARGE_BATCH, fastest_precision
from askagain.models.other_packages import SentenceTransformerEncoder
from askagain.ranking.metrics import Metrics
from askagain.training.callbacks.best_model import BestModel
from askagain.training.modules.finetune import FineTuning, tuned_encoder


class Tuned(NamedTuple):
    """`columns`: the metrics to print, by heading. `metrics`: those of metrics.json. `outcome`: the ranks."""

    columns: dict[str, Metrics]
    metrics: Metrics
    outcome: Outcome


def is_fine_tuning(cfg: DictConfig) -> bool:
    """Whether `cfg.model` is a model of sentence-transformers."""
    return str(cfg.model.get("_target_", "")).startswith(f"{FineTuning.__module__}.")


def prepare_fine_tuning(cfg: DictConfig, devices: int) -> None:
    """Chooses the precision; raises InputError for what fine-tuning does not do."""
    if devices > 1:
        raise InputError(f"trainer.devices={cfg.trainer.devices}: a model is fine-tuned on one device; type 1")
    if cfg.ckpt_path is not None:
        raise InputError(
            f"ckpt_path={cfg.ckpt_path}: fine-tuning writes no checkpoints; go on from a model with "
            "teacher=sentence_transformer teacher.model=RUN/model"
        )
    if cfg.trainer.precision == "auto":  # products are large in a transformer, however small its batches
        cfg.trainer.precision = fastest_precision(cfg.trainer.accelerator, LARGE_BATCH)


def ranked_tuned(cfg: DictConfig, corpus: Corpus, trainer: Trainer, module: FineTuning) -> Tuned:
    """Ranks all rows with the teacher as it was and with its best epoch, and keeps the better one in the run folder."""
    folder = Path(cfg.paths.run_dir) / MODEL
    kept, metrics = "trained", {}
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, BestModel) and callback.best_epoch is not None:
            kept = f"best epoch ({callback.best_epoch})"
            metrics = dict(callback.metrics) | {"train/best_epoch": callback.best_epoch}
    if not metrics:  # no epoch was kept; a model in the folder would be that of another run
        module.save(folder)
    teacher = tuned_encoder(build(cfg, "teacher"))
    tuned = SentenceTransformerEncoder(str(folder), teacher.batch_size, prompt=teacher.prompt)
    splits = ["validation", "test"] if corpus.files.test is not None else ["validation"]
    own = build_own_metrics(cfg)
    start, after = (
        {split: evaluate_ranking(one, corpus.ranking(split), cfg.ks, cfg.ties, own=own) for split in splits}
        for one in (teacher, tuned)
    )
    columns = {"val, before training": start["validation"][0]}
    metrics |= prefixed("start", start["validation"][0])
    for split, (column, _) in after.items():
        columns[f"{PREFIXES[split]}, {kept}"] = column
    name, sign = cfg.optimized_metric.removeprefix("val/"), -1 if cfg.metric.mode == "min" else 1
    if name not in start["validation"][0]:
        name, sign = "mrr", 1
    before, now = (results["validation"][0][name] for results in (start, after))
    if not sign * now > sign * before:
        print(f"{folder} is the teacher as it was: {name} {before:.4f}, and {now:.4f} after training")
        FineTuning(teacher, module.loss).save(folder)
        after = start
        columns |= {f"{PREFIXES[split]}, kept: the teacher": column for split, (column, _) in after.items()}
    for split, (column, _) in after.items():
        metrics |= prefixed(PREFIXES[split], column)
    ranks = {split: ranks for split, (_, ranks) in after.items()}
    return Tuned(columns, metrics, Outcome(ranks, start["validation"][1], trainer.num_training_batches))
