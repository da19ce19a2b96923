"""The last lines of a training: where its encoder and its report are, and what to type next."""

import re
import shlex
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from askagain.corpus.corpus import Corpus

ENCODER = "encoder"  # in a run folder
MODEL = "model"  # likewise, of a fine-tuned model of sentence-transformers
REPORT = "report.html"  # likewise
PLAIN = re.compile(r"[\w./ @%+:-]*", re.ASCII)  # what Hydra reads as text without quotes
BEFORE_QUOTE = re.compile(r"(\\*)('|$)")  # Hydra reads a backslash as such unless a quote follows it


def print_next_steps(cfg: DictConfig, corpus: Corpus, kept: str = ENCODER) -> None:
    """Prints the paths of what a training has written, and commands that can be typed as they stand.

    Called once all files but metrics.json are written. A run of a sweep names no commands: the sweep's best run does.
    `kept`: the folder of the run that has what was trained, `ENCODER` or `MODEL`.
    """
    run = Path(cfg.paths.run_dir)
    print(f"{kept}: {run / kept}")
    if (run / REPORT).is_file():
        print(f"report: {run / REPORT}")
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        return
    if cfg.data.sample is not None:
        print("next, with your own questions in the folder DIR:")
        experiment = HydraConfig.get().runtime.choices.get("experiment")
        print("  " + shlex.join(["python", "train.py", f"experiment={experiment}", "data=tsv", "data.dir=DIR"]))
        if kept == ENCODER:
            print("  " + shlex.join([*_evaluation(run), "data=tsv", "data.dir=DIR"]))
        return
    print("next:")
    split = [] if corpus.files.test is None else ["data.split=test"]
    if kept == MODEL:
        model = str(run / MODEL)
        taught = ["experiment=distill", "teacher=sentence_transformer", _override("teacher.model", model)]
        print("  " + shlex.join(["python", "train.py", *taught, *_data_overrides()]))
        ranked = ["encoder=sentence_transformers", _override("encoder.path", model)]
        print("  " + shlex.join(["python", "evaluate.py", *ranked, *_data_overrides(), *split]))
        return
    searched = cfg.data.dir or corpus.files.corpus
    if searched is not None:
        print("  " + shlex.join(["askagain", "serve", str(run), "--corpus", str(searched)]))
    print("  " + shlex.join([*_evaluation(run), *_data_overrides(), *split]))


def _evaluation(run: Path) -> list[str]:
    return ["python", "evaluate.py", _override("encoder.path", str(run))]


def _override(key: str, value: str) -> str:
    """A word of a command that sets a key to this text."""
    if PLAIN.fullmatch(value):
        return f"{key}={value}"
    escaped = BEFORE_QUOTE.sub(lambda match: match[1] * 2 + match[2].replace("'", r"\'"), value)
    return f"{key}='{escaped}'"


def _data_overrides() -> list[str]:
    """What was typed to choose the data, but for the set to rank."""
    typed = map(str, HydraConfig.get().overrides.task)
    return [word for word in typed if word.startswith(("data=", "data.")) and not word.startswith("data.split=")]
