"""Leaves `report.json` and `report.html` in a run folder, and gives the same figures to the loggers."""

import io
import logging
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig
from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger

from askagain.apps.build import build_own_metrics, data_name
from askagain.apps.command import TRACEBACK_WANTED, one_line
from askagain.apps.next_steps import ENCODER
from askagain.apps.report import PREFIXES
from askagain.apps.verdict import Compared
from askagain.corpus.cache import Cache
from askagain.corpus.corpus import Corpus
from askagain.errors import missing_package
from askagain.evaluation.evaluate import embed
from askagain.evaluation.thresholds import Thresholds
from askagain.evaluation.worst_ranked import WorstRanked
from askagain.files.markdown import markdown
from askagain.models.bag_encoder import BagEncoder
from askagain.ranking.metrics import per_query_metrics
from askagain.ranking.ranks import Ranks
from askagain.ranking.significance import intervals
from askagain.reporting.corpus_facts import corpus_facts
from askagain.reporting.encoder_facts import (
    explained,
    frequent_words,
    nearest_words,
    quality_by_dims,
    reliability_of,
    word_map,
)
from askagain.reporting.page import images
from askagain.reporting.record import RankedRows, Record
from askagain.reporting.run_page import PAGE, write_run_page
from askagain.reporting.section import Section
from askagain.text.fields import title_of
from askagain.text.token_words import all_words

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """What a run has come to.

    `encoder`: the one that was kept, called `name`; `words` say what it is and how it reads text. `ranks`: those that
    it gives each ranking set, by `validation` and `test`. `compared`: what it is compared with on the validation rows.
    `worst`: its worst ranked questions. `epochs`: see `HitsAtK`. `kept_after`: how many epochs the encoder was trained,
    if it is of a certain one; 0 is the start.
    """

    encoder: BagEncoder
    name: str
    words: Mapping[str, str]
    ranks: Mapping[str, Ranks]
    compared: Sequence[Compared]
    worst: Sequence[WorstRanked]
    epochs: list[dict[str, Any]] = field(default_factory=list)
    kept_after: int | None = None


def leave_report(
    cfg: DictConfig,
    corpus: Corpus,
    result: Result,
    metrics: Mapping[str, float],
    config: dict[str, Any],
    loggers: Sequence[Logger],
    step: int,
) -> None:
    """Writes the report of a run whose results are written already; one that fails costs the run no more than a line.

    Args:
        cfg: the run's.
        corpus: that was trained and ranked on.
        result: what the run has come to.
        metrics: those of metrics.json.
        config: what loggers note of the run, with its `provenance` and `data_counts`.
        loggers: get the charts as images, and the tables.
        step: that they are logged at.
    """
    if not cfg.report:
        return
    folder = Path(cfg.paths.run_dir)
    try:
        record, learned = _record(cfg, corpus, result, metrics, config)
        record.save(folder)
        if learned is not None:  # what the encoder's cosines mean, for all that searches with it
            learned.save(folder / ENCODER)
        from askagain.reporting.run_sections import run_sections  # with altair, which a training does not wait for

        sections = run_sections(record)
        write_run_page(folder / PAGE, record, sections, Cache(Path(str(cfg.paths.cache_dir))))
        _log_report(loggers, sections, step)
    except Exception as error:
        line = one_line(error) or f"{type(error).__name__}: {error}"
        if isinstance(error, ModuleNotFoundError):
            line = str(missing_package(str(error.name), "report"))
        log.error("no report, but all else of the run is there: %s", line, exc_info=TRACEBACK_WANTED)


def _record(
    cfg: DictConfig, corpus: Corpus, result: Result, metrics: Mapping[str, float], config: dict[str, Any]
) -> tuple[Record, Thresholds | None]:
    parts, ranking, encoder = cfg.report_parts, corpus.ranking("validation"), result.encoder
    bootstrap = {**cfg.intervals, "seed": cfg.seed}
    vectors = embed(encoder, ranking, None)
    provenance = config["provenance"]
    own = build_own_metrics(cfg)
    ends = {
        PREFIXES[split]: {
            name: list(interval)
            for name, interval in intervals(per_query_metrics(ranks, cfg.ks, cfg.ties, own), **bootstrap).items()
        }
        for split, ranks in result.ranks.items()
    }
    rows = [ranking.rows.bag(row)[:2].tolist() for row in range(len(ranking.rows))]
    compared = [RankedRows.of(one.name, one.ranks, one.test) for one in result.compared]
    reliability, learned = reliability_of(vectors, ranking, parts.others, parts.compared_texts, cfg.seed)
    record = Record(
        about={**_about(cfg, corpus, provenance), **result.words},
        machine=provenance["hardware"],
        config={name: value for name, value in config.items() if name not in ("provenance", "data_counts")},
        counts=config["data_counts"],
        metrics=dict(metrics),
        decides=cfg.metric.name.removeprefix("val/"),
        mode=cfg.metric.mode,
        ks=list(cfg.ks),
        ties=cfg.ties,
        confidence=cfg.intervals.confidence,
        resamples={"intervals": cfg.intervals.resamples, "test": cfg.comparison.resamples},
        seed=cfg.seed,
        intervals=ends,
        validation=ranking.digest,
        questions=[[title_of(ranking.texts[text]) for text in row] for row in rows],
        rankers=[RankedRows.of(result.name, result.ranks["validation"]), *compared],
        epochs=result.epochs,
        kept_after=result.kept_after,
        dims=quality_by_dims(vectors, ranking, result.ranks["validation"], parts.dims, cfg.ties, bootstrap),
        reliability=reliability,
        worst=explained(result.worst, encoder, parts.features),
        **_words(cfg, corpus, encoder),
        data=_data(cfg, corpus),
    )
    return record, learned


def _about(cfg: DictConfig, corpus: Corpus, provenance: Mapping[str, Any]) -> dict[str, str]:
    code = provenance["code"]
    commit = code["commit"] and code["commit"] + (", with changes" if code["dirty"] else "")
    about = {
        "name": cfg.name,
        "data": data_name(cfg, corpus.ranking("validation").path.parent),
        "ended": datetime.now().astimezone().isoformat(" ", "seconds"),
        "command": shlex.join(["python", "train.py", *provenance["overrides"]]),
        "version": code["version"],
        "commit": commit,
    }
    digests = dict(provenance["data"])
    digests |= {file["path"]: file["sha256"] for file in (*provenance["vectors"], *provenance["start"])}
    about |= {f"SHA-256 of {name}": digest for name, digest in digests.items()}
    return {name: str(value) for name, value in about.items() if value}


def _words(cfg: DictConfig, corpus: Corpus, encoder: BagEncoder) -> dict[str, Any]:
    """The nearest words and the map of the most frequent words, by how often all texts of the corpus have them."""
    names = [name for name in ("train", "corpus") if getattr(corpus.files, name) is not None]
    asked = corpus.ranking("validation").words(encoder.preprocessor)
    counted = all_words([corpus.store(name).words(encoder.preprocessor) for name in names] or [asked])
    known, _ = frequent_words(encoder, counted.words, counted.counts)
    _, unknown = frequent_words(encoder, asked.words, asked.counts)
    parts = cfg.report_parts
    mapped = known[: parts.mapped_words]
    words, counts = [counted.words[i] for i in mapped], counted.counts[mapped].tolist()
    among = [counted.words[i] for i in known[: parts.nearest_among]]
    not_known = [asked.words[i] for i in unknown[: parts.listed_words]]
    return {
        "nearest": nearest_words(encoder, among[: parts.listed_words], not_known, among, parts.neighbours),
        "word_map": word_map(encoder, words, counts, cfg.seed),
    }


def _data(cfg: DictConfig, corpus: Corpus) -> dict[str, Any]:
    names = [name for name in ("train", "validation", "test", "corpus") if getattr(corpus.files, name) is not None]
    stores = {name: corpus.store(name) for name in names}
    name = "DIR" if cfg.data.dir is None else str(cfg.data.dir)
    return corpus_facts(stores, name, Cache(Path(str(cfg.paths.cache_dir))), cfg.report_parts.described_texts)


def _log_report(loggers: Sequence[Logger], sections: Sequence[Section], step: int) -> None:
    """Logs the charts of a report as images, and its tables, where a logger takes such."""
    takers = [logger for logger in loggers if isinstance(logger, TensorBoardLogger | WandbLogger)]
    if not takers:
        return
    from PIL import Image

    pictures = {name: Image.open(io.BytesIO(png)).convert("RGB") for name, png in images(sections)}
    tables = [table for section in sections for table in section.tables]
    for logger in takers:
        if isinstance(logger, WandbLogger):
            for name, picture in pictures.items():
                logger.log_image(f"report/{name}", [picture], step=step)
            for table in tables:
                cells = [list(row) for row in table.rows]
                logger.log_table(f"report_tables/{table.name}", list(table.headings), cells, step=step)
        else:
            for name, picture in pictures.items():
                logger.experiment.add_image(f"report/{name}", np.asarray(picture), step, dataformats="HWC")
            for table in tables:
                rows = [[cell.replace("|", "\\|") for cell in row] for row in table.rows]
                logger.experiment.add_text(f"report_tables/{table.name}", markdown(table.headings, rows), step)
