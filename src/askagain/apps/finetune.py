"""What `train.py` does with a model of sentence-transformers that is fine-tuned, and not with a table of vectors."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Trainer

from askagain.apps.baselines import ranked_baselines
from askagain.apps.build import build, build_own_metrics
from askagain.apps.next_steps import MODEL
from askagain.apps.preprocessors import OTHER
from askagain.apps.report import PREFIXES, prefixed
from askagain.apps.verdict import Outcome, Ranked, deciding_metric
from askagain.corpus.corpus import Corpus
from askagain.errors import InputError
from askagain.evaluation.evaluate import evaluate_ranking
from askagain.machine import LARGE_BATCH, fastest_precision
from askagain.models.other_packages import SentenceTransformerEncoder
from askagain.ranking.metrics import Metrics
from askagain.ranking.ranks import Ranks
from askagain.training.callbacks.best_model import BestModel
from askagain.training.modules.finetune import FineTuning, tuned_encoder


class Tuned(NamedTuple):
    """`metrics`: those of metrics.json. `outcome`: the ranks by the model that was kept, and by others."""

    metrics: Metrics
    outcome: Outcome

    @property
    def words(self) -> dict[str, str]:
        """What stands beside the metrics in metrics.json."""
        return {"kept": self.outcome.result.name, "preprocessor": self.outcome.result.preprocessor}


def is_fine_tuning(cfg: DictConfig) -> bool:
    """Whether `cfg.model` is a model of sentence-transformers."""
    return str(OmegaConf.select(cfg, "model._target_")).startswith(f"{FineTuning.__module__}.")


def prepare_fine_tuning(cfg: DictConfig, devices: int) -> None:
    """Chooses the precision; raises InputError for what fine-tuning does not do."""
    if devices > 1:
        raise InputError(f"trainer.devices={cfg.trainer.devices}: a model is fine-tuned on one device; type 1")
    if cfg.ckpt_path is not None:
        raise InputError(
            f"ckpt_path={cfg.ckpt_path}: fine-tuning writes no checkpoints; go on from a model with "
            "teacher=sentence_transformer teacher.model=RUN/model"
        )
    if cfg.save_as is not None:
        raise InputError(f"save_as={cfg.save_as}: encoders are kept under a name, and a fine-tuned model is none")
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
    metrics |= prefixed("start", start["validation"][0])
    before, now = (deciding_metric(cfg, results["validation"][1]) for results in (start, after))
    teachers = Ranked("the teacher", OTHER, _ranks(start))
    is_teacher_kept = not now.sign * now.of_rows.mean() > before.sign * before.of_rows.mean()
    if is_teacher_kept:
        tuned_mean = f"{now.name} {before.of_rows.mean():.4f}, and {now.of_rows.mean():.4f} after training"
        print(f"{folder} is the teacher as it was: {tuned_mean}")
        FineTuning(teacher, module.loss).save(folder)
        after, kept = start, "the teacher (kept)"
    for split, (column, _) in after.items():
        metrics |= prefixed(PREFIXES[split], column)
    outcome = Outcome(
        Ranked(kept, OTHER, _ranks(after)),
        ranked_baselines(cfg, corpus, corpus.preprocessor, splits),
        [] if is_teacher_kept else [teachers],
        None if is_teacher_kept else teachers,
        is_teacher_kept,
        is_chosen=True,
        steps_per_epoch=trainer.num_training_batches,
    )
    return Tuned(metrics, outcome)


def _ranks(results: Mapping[str, tuple[Metrics, Ranks]]) -> dict[str, Ranks]:
    return {split: ranks for split, (_, ranks) in results.items()}
