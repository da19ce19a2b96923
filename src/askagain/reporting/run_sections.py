"""What the report of a run shows: its record as words, charts and tables."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from askagain.ranking.significance import Comparison, interval_of_moments, intervals
from askagain.reporting import charts
from askagain.reporting.record import Record, flat
from askagain.reporting.section import Chart, Section, Table

SHOWN = ("hits@1", "hits@10", "hits@100", "mrr")  # of the metrics of each ranker
LOSSES = {"loss": "training", "val/loss": "held out"}
TEST = (
    "p is that of a paired permutation test: the chance of a difference this large if neither were better. Won: "
    "questions where the first has the higher value."
)


def run_sections(record: Record) -> list[Section]:
    """All sections, in the order of the page; those that the run has nothing for say so."""
    return [
        _figures(record),
        _epochs(record),
        _ranks(record),
        _dims(record),
        _reliability(record),
        _worst(record),
        _nearest(record),
        _map(record),
        _data(record),
        _origin(record),
    ]


def interval_text(value: float, ends: Sequence[float] | None) -> str:
    """A figure with its interval."""
    return f"{value:.4f}" if ends is None else f"{value:.4f} [{ends[0]:.4f}, {ends[1]:.4f}]"


def label(name: str) -> str:
    """A metric as it is spelled in text."""
    for short, spelled in (("hits@", "Hits@"), ("ndcg@", "nDCG@"), ("dcg@", "DCG@")):
        name = name.replace(short, spelled) if name.startswith(short) else name
    return {"mrr": "MRR", "map": "MAP"}.get(name, name)


def sure(record: Record) -> str:
    """What square brackets hold."""
    return f"{record.confidence:.0%} intervals"


def metric_names(metrics: Mapping[str, Any], decides: str) -> list[str]:
    """The metrics that one reads first, the one that decides among them, in their order."""
    hits = [name for name in metrics if name.startswith("hits@")]
    usual = [name for name in hits if name in SHOWN] or hits[:3]
    return [name for name in metrics if name in (*usual, "mrr", "map", decides)]


def figures_of(record: Record) -> list[dict[str, tuple[float, tuple[float, float]]]]:
    """The metrics that one reads first with their intervals, by name, of each ranker."""
    found = []
    for per_query in record.per_query:
        names = metric_names(per_query, record.decides)
        ends = intervals(
            {name: per_query[name] for name in names}, record.confidence, record.resamples["intervals"], record.seed
        )
        found.append({name: (float(per_query[name].mean()), ends[name]) for name in names})
    return found


def _figures(record: Record) -> Section:
    by = record.compared_by
    figures = figures_of(record)
    rows, compared, drawn = [], [], []
    for ranked, values in zip(record.rankers, figures, strict=True):
        if ranked.comparison is not None:
            compared.append([ranked.name, *comparison_cells(ranked.comparison)])
        rows.append([ranked.name, *(interval_text(*values[name]) for name in values)])
        value, (low, high) = values[by]
        drawn.append({"name": ranked.name, "value": value, "low": low, "high": high})
    count = len(record.questions)
    words = [
        f"{count:,} questions were ranked, each with its duplicate among other questions. The encoder that was kept is "
        "compared with what it is measured against, on the same questions."
    ]
    caption = (
        f"Means over questions, with {sure(record)} by bootstrap. Hits@K: the share of questions whose duplicate is "
        "among the first K. MRR: the mean of 1 / rank."
    )
    tables = [Table("rankers", ["ranker", *map(label, figures[0])], rows, caption)]
    if compared:
        headings = ["against", f"difference in {label(by)}", "p", "won", "lost", "tied"]
        tables.append(Table("comparisons", headings, compared, f"The kept encoder against the others. {TEST}"))
    chart = Chart("rankers", charts.values_with_intervals(drawn, label(by)), f"{label(by)}, with {sure(record)}.")
    return Section("Results", words, [chart], [*tables, _all_metrics(record)], shown=len(tables))


def comparison_cells(comparison: Comparison) -> list[str]:
    """The difference, its p, and how many questions were won, lost and tied."""
    counts = (comparison.wins, comparison.losses, comparison.ties)
    return [f"{comparison.difference:+.4f}", comparison.p_text, *(f"{count:,}" for count in counts)]


def _all_metrics(record: Record) -> Table:
    """Every metric of the ranking sets; the test set is there if the corpus has one."""
    splits = [split for split in ("val", "test") if f"{split}/mrr" in record.metrics]
    prefixes = {f"{split}/": {"val": "validation", "test": "test"}[split] for split in splits}
    names = dict.fromkeys(
        name.partition("/")[2]
        for name in record.metrics
        if name.startswith(tuple(prefixes)) and name not in ("val/loss", "val/cosine", "val/seconds", "test/seconds")
    )
    rows = []
    for name in names:
        cells = []
        for prefix in prefixes:
            value = record.metrics.get(prefix + name)
            ends = record.intervals.get(prefix[:-1], {}).get(name)
            cells.append("" if value is None else interval_text(value, ends))
        rows.append([name, *cells])
    caption = (
        f"All metrics of the kept encoder, as in metrics.json; {sure(record)} of those that are means over questions."
    )
    return Table("metrics", ["metric", *prefixes.values()], rows, caption)


def _epochs(record: Record) -> Section:
    title = "Epochs"
    ranked = epoch_rows(record)
    losses = [
        {"trained": epoch["trained"], "loss": LOSSES[name], "value": value}
        for epoch in record.epochs
        for name, value in epoch["losses"].items()
        if name in LOSSES
    ]
    if not ranked:
        return Section(title, ["Nothing was trained, so that there are no epochs to draw."])
    drawn = []
    kept = {None: "", 0: " The dashed line is the start, which was kept: no epoch was better."}.get(
        record.kept_after, " The dashed line is the epoch that was kept."
    )
    caption = (
        "Hits@K and MRR of the validation questions after so many epochs, 0 is the start. Bands are "
        f"{sure(record)} over questions, after Agresti and Coull. Click a name to single it out."
    )
    drawn.append(Chart("metrics_by_epoch", charts.metrics_by_epoch(ranked, record.kept_after), caption + kept))
    if losses:
        caption = "The mean loss of each epoch. Where training falls and held out rises, the encoder overfits."
        drawn.append(Chart("losses_by_epoch", charts.losses_by_epoch(losses, record.kept_after), caption + kept))
    return Section(title, [], drawn, [_epoch_table(record)])


def epoch_rows(record: Record) -> list[dict[str, Any]]:
    """The metrics of each epoch with their intervals, for `charts.metrics_by_epoch`."""
    rows = []
    for epoch in record.epochs:
        for name, (mean, mean_square) in epoch.get("moments", {}).items():
            low, high = interval_of_moments(mean, mean_square, epoch["rows"], record.confidence)
            rows.append({"trained": epoch["trained"], "metric": label(name), "value": mean, "low": low, "high": high})
    return rows


def _epoch_table(record: Record) -> Table:
    losses = [name for name in LOSSES if any(name in epoch["losses"] for epoch in record.epochs)]
    moments: dict[str, Any] = next(epoch["moments"] for epoch in record.epochs if "moments" in epoch)
    names = metric_names(moments, record.decides)
    rows = []
    for epoch in record.epochs:
        cells = [f"{epoch['losses'][name]:.4f}" if name in epoch["losses"] else "" for name in losses]
        cells += [f"{epoch['moments'][name][0]:.4f}" if "moments" in epoch else "" for name in names]
        rows.append([f"{epoch['trained']}", *cells])
    headings = [
        "epochs trained",
        *(f"loss, {LOSSES[name]}" for name in losses),
        *map(label, names),
    ]
    return Table("epochs", headings, rows, "The same in numbers.")


def _ranks(record: Record) -> Section:
    ranks = {ranked.name: ranked.ranks.expected for ranked in record.rankers}
    shares = charts.rank_shares(ranks)
    bins = list(dict.fromkeys(row["rank"] for row in shares))
    cells = {(row["ranker"], row["rank"]): f"{row['questions']:,} ({row['share']:.1%})" for row in shares}
    rows = [[rank, *(cells[name, rank] for name in ranks)] for rank in bins]
    caption = "Where the duplicate was ranked: first at best, far right at worst."
    chart = Chart("ranks", charts.rank_distribution(shares), caption)
    return Section(
        "Ranks", [], [chart], [Table("ranks", ["rank", *ranks], rows, "Questions by rank of their duplicate.")]
    )


def _dims(record: Record) -> Section:
    title = "Quality by dims"
    if len(record.dims) < 2:
        return Section(title, [f"The encoder has {record.dims[0]['dim']} numbers a vector, too few to leave some out."])
    words = [
        "Vectors can be cut: the first numbers of each make a smaller encoder (askagain.load with dim). Training with "
        "loss=matryoshka makes them worth more."
    ]
    rows = [[f"{row['dim']}", interval_text(row["mrr"], (row["low"], row["high"]))] for row in record.dims]
    caption = f"MRR with the first numbers of each vector, with {sure(record)} in the band."
    chart = Chart("quality_by_dims", charts.quality_by_dims(record.dims), caption)
    return Section(title, words, [chart], [Table("dims", ["numbers a vector", "MRR"], rows, "The same in numbers.")])


def _reliability(record: Record) -> Section:
    title, found = "Reliability of probabilities", record.reliability
    if "missing" in found:
        return Section(title, [found["missing"]])
    parts = zip(found["predicted"], found["actual"], found["weights"], strict=True)
    rows = [{"predicted": predicted, "actual": actual, "weight": weight} for predicted, actual, weight in parts]
    words = [
        "A cosine becomes a probability of being a duplicate, learned from labelled groups (askagain threshold). Each "
        f"of {found['groups']:,} groups was held out once, and its pairs are shown: among a question, its duplicate "
        f"and {found['others']:,} others. The expected calibration error is {found['error']:.4f}."
    ]
    caption = (
        "What was said against what was so. On the dashed line probabilities are right; below it they are too high. "
        "Larger points stand for more pairs."
    )
    cells = [[f"{row['predicted']:.3f}", f"{row['actual']:.3f}", f"{row['weight']:.1%}"] for row in rows]
    table = Table("reliability", ["said", "were duplicates", "share of the pairs"], cells, "The same in numbers.")
    return Section(title, words, [Chart("reliability", charts.reliability(rows), caption)], [table])


def _worst(record: Record) -> Section:
    title = "Worst questions"
    if not record.worst:
        return Section(title, ["Every duplicate was ranked first."])
    rows = []
    for row in record.worst:
        for place, shown in enumerate((row["duplicate"], *row["above"])):
            first = [row["question"], f"{row['rank']:g}"] if place == 0 else ["", ""]
            what = "its duplicate" if place == 0 else f"ranked {_ordinal(place)}"
            rows.append([*first, what, shown["text"], f"{shown['cosine']:.3f}", _carried(shown["carried"])])
    headings = ["question", "rank", "what", "text", "cosine", "carried by"]
    caption = (
        "The questions whose duplicate is ranked worst, with the candidates that were ranked first instead. Each is "
        "carried by the features that add most to its cosine: of the question ~ of the candidate. [abc] is a letter "
        "n-gram."
    )
    return Section(title, [], [], [Table("worst_questions", headings, rows, caption, is_text=True)])


def _ordinal(place: int) -> str:
    return {1: "1st", 2: "2nd", 3: "3rd"}.get(place, f"{place}th")


def _carried(parts: Sequence[Sequence[Any]]) -> str:
    return ", ".join(
        f"{one} {score:.2f}" if one == other else f"{one} ~ {other} {score:.2f}" for one, other, score in parts
    )


def _nearest(record: Record) -> Section:
    title = "Nearest words"
    tables = []
    for is_known, name, caption in (
        (True, "nearest_known", "Frequent known words, and the known words closest to each, with their cosines."),
        (False, "nearest_unknown", "Unknown words of the validation questions, by the letters that they are made of."),
    ):
        rows = [
            [row["word"], ", ".join(f"{word} {cosine:.2f}" for word, cosine in row["nearest"])]
            for row in record.nearest
            if row["known"] == is_known
        ]
        if rows:
            tables.append(Table(name, ["word", "nearest"], rows, caption, is_text=True))
    words = [] if tables else ["The encoder has no words of its own."]
    if tables and all(table.name == "nearest_known" for table in tables):
        words = ["Of unknown words the encoder makes no vector, or the validation questions have none."]
    return Section(title, words, [], tables)


def _map(record: Record) -> Section:
    title, columns = "Map of words", record.word_map
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    if not rows:
        return Section(title, ["The encoder has no words of its own."])
    caption = (
        f"The {len(rows):,} most frequent words: the closer two are, the more alike their vectors (t-SNE). Larger "
        "points are more frequent words. Drag to pan, scroll to zoom, double-click to go back; zooming in labels more "
        "words."
    )
    return Section(title, [], [Chart("word_map", charts.word_map(rows), caption)])


def _data(record: Record) -> Section:
    tables = [Table("counts", ["what", "count"], list(_counts(record.counts)), "What was trained and ranked with.")]
    facts = record.data
    if "missing" in facts:
        return Section("Data", [facts["missing"]], [], tables)
    files = [
        [file["name"], f"{file['lines']:,}", f"{file['texts']:,}", *(f"{words:g}" for words in file["words"])]
        for file in facts["files"]
    ]
    headings = ["file", "lines", "texts", "words a text (median)", "95 % up to", "most"]
    tables.insert(0, Table("files", headings, files, "The files of the corpus."))
    if facts["groups"]:
        rows = [[size, f"{count:,}"] for size, count in facts["groups"]]
        tables.append(Table("groups", ["questions in a group", "groups"], rows, "Groups of train.tsv by size."))
    if facts["rankings"]:
        tables.append(_ranking_table(facts["rankings"]))
    shares = [["script", *_share(item)] for item in list(facts["scripts"].items())[:4]]
    shares += [["language", *_share(item)] for item in list(facts["languages"].items())[:4]]
    tables.append(Table("scripts", ["what", "which", "share"], shares, "Scripts by letters, languages by texts."))
    return Section("Data", facts["verdict"], [], tables)


def _share(item: tuple[str, float]) -> list[str]:
    return [item[0], f"{item[1]:.1%}"]


def _ranking_table(rankings: Sequence[Mapping[str, Any]]) -> Table:
    rows = {
        "rows": [f"{one['rows']:,}" for one in rankings],
        "other candidates in a row": [
            " to ".join(f"{size:,}" for size in sorted({*one["candidates"]})) for one in rankings
        ],
        "rows trained on": [f"{one['leaked']:,}" for one in rankings],
        "rows close to train.tsv": [f"{one['near']:,}" for one in rankings],
        "duplicates without a common content word": [f"{one['apart']:.1%}" for one in rankings],
        "words in no training text": [f"{one['unknown_words']:.1%}" for one in rankings],
    }
    cells = [[name, *values] for name, values in rows.items()]
    return Table("ranking_sets", ["", *(one["name"] for one in rankings)], cells, "The ranking sets.")


def _counts(counts: Mapping[str, float]) -> Iterator[list[str]]:
    for name, count in counts.items():
        if count:
            yield [name.replace("_", " "), f"{count:,.3f}" if isinstance(count, float) else f"{count:,}"]


def _origin(record: Record) -> Section:
    about = [[name, value] for name, value in {**record.about, **record.machine}.items() if name != "command"]
    config = [[key, json.dumps(value, ensure_ascii=False)] for key, value in flat(record.config).items()]
    return Section(
        "Where this comes from",
        ["The command that made this run:"],
        [],
        [
            Table("about", ["what", ""], about, "The run and its machine."),
            Table("config", ["setting", "value"], config, "All settings as the run has used them."),
        ],
        [record.about["command"]],
        is_closed=True,
    )
