"""The charts of reports, as Vega-Lite specs: the page draws them in the browser, and loggers get them as PNG."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np

Rows = Sequence[Mapping[str, Any]]
Spec = dict[str, Any]

HEIGHT = 280  # pixels
PANEL_WIDTH = 420  # of charts beside each other
MAP_HEIGHT = 560
MAP_WIDTH = 900  # about, on a wide screen: how many labels fit
LABEL = np.array([62, 15])  # pixels that the label of a word takes
RANK_BINS = (1, 2, 3, 6, 11, 21, 51, 101, 201, 501, 1001, 2001, 5001, 10001)  # the first rank of each
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
# Colours that people with any colour vision tell apart (Okabe and Ito), lighter ones on a dark page.
LIGHT = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#555555", "#7a3fb5")
DARK = ("#56b4e9", "#ff9d5c", "#3fd1a4", "#e6a0c8", "#f0e442", "#9ad0f5", "#bbbbbb", "#b794e8")
FOREGROUND, BACKGROUND = {"light": "#1f2328", "dark": "#e6e6e6"}, {"light": "#ffffff", "dark": "#16181c"}
GRID = {"light": "#e3e6ea", "dark": "#33373d"}


def theme(name: str) -> Spec:
    """The Vega-Lite config of charts on a `light` or `dark` page."""
    foreground, grid, colours = FOREGROUND[name], GRID[name], DARK if name == "dark" else LIGHT
    labels = {"labelColor": foreground, "titleColor": foreground, "titleFontWeight": "normal", "labelFontSize": 12}
    return {
        "background": None if name == "dark" else BACKGROUND[name],
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            **labels,
            "gridColor": grid,
            "domainColor": grid,
            "tickColor": grid,
            "titleFontSize": 12,
        },
        "legend": {**labels, "title": None, "orient": "bottom", "columns": 3, "labelLimit": 240},
        "range": {"category": list(colours)},
        "rule": {"color": foreground},
        "text": {"color": foreground},
        "mark": {"color": colours[0]},
        "point": {"filled": True, "size": 45, "opacity": 1},
    }


def metrics_by_epoch(rows: Rows, kept_after: int | None, title: str = "share of questions, or MRR") -> Spec:
    """Lines with bands: `trained`, `metric`, `value`, `low` and `high` of each of `rows`."""
    names = list(dict.fromkeys(row["metric"] for row in rows))
    picked = alt.selection_point(fields=["metric"], bind="legend")
    base = alt.Chart(_data(rows)).encode(
        x=_trained(rows),
        color=alt.Color("metric:N", sort=names, legend=alt.Legend(symbolType="circle", symbolOpacity=1)),
        opacity=alt.condition(picked, alt.value(1), alt.value(0.08)),
    )
    value = alt.Y("value:Q", title=title, scale=alt.Scale(domain=[0, 1]))
    tips = ["metric:N", alt.Tooltip("trained:Q", title="epochs"), *_tips("value", "low", "high")]
    band = base.mark_area().encode(
        y=alt.Y("low:Q", title=title),
        y2="high:Q",
        opacity=alt.condition(picked, alt.value(0.18), alt.value(0.02)),
    )
    points = base.mark_point().encode(y=value, tooltip=tips).add_params(picked)
    return _spec(alt.layer(band, base.mark_line().encode(y=value), points, *_kept(kept_after)), HEIGHT + 60)


def losses_by_epoch(rows: Rows, kept_after: int | None) -> Spec:
    """Lines: `trained`, `loss` (a name) and `value` of each of `rows`."""
    base = alt.Chart(_data(rows)).encode(
        x=_trained(rows),
        y=alt.Y("value:Q", title="loss", scale=alt.Scale(zero=False)),
        color=alt.Color("loss:N", sort=None, legend=alt.Legend(symbolType="circle")),
        tooltip=["loss:N", alt.Tooltip("trained:Q", title="epochs"), *_tips("value")],
    )
    return _spec(alt.layer(base.mark_line(), base.mark_point(), *_kept(kept_after)), HEIGHT)


def rank_shares(ranks: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """The share of questions whose duplicate has a rank in each bin, by ranker: the rows of `rank_distribution`."""
    last = max(float(values.max()) for values in ranks.values())
    firsts = [first for first in RANK_BINS if first <= last]
    rows = []
    for name, values in ranks.items():
        counts = np.bincount(np.searchsorted(firsts, values, side="right") - 1, minlength=len(firsts))
        for place, first in enumerate(firsts):
            end = firsts[place + 1] - 1 if place + 1 < len(firsts) else None
            label = f"{first:,}" if end == first else f"{first:,}-{end:,}" if end is not None else f"{first:,} on"
            share = counts[place] / len(values)
            rows.append({"ranker": name, "rank": label, "share": float(share), "questions": int(counts[place])})
    return rows


def rank_distribution(rows: Rows) -> Spec:
    """Bars beside each other: `ranker`, `rank` (a bin), `share` and `questions` of each of `rows`."""
    chart = (
        alt.Chart(_data(rows))
        .mark_bar()
        .encode(
            x=alt.X("rank:N", sort=None, title="rank of the duplicate", axis=alt.Axis(labelAngle=-40)),
            xOffset=alt.XOffset("ranker:N", sort=None),
            y=alt.Y("share:Q", title="share of questions", axis=alt.Axis(format="%")),
            color=alt.Color("ranker:N", sort=None, legend=alt.Legend(columns=2)),
            tooltip=["ranker:N", "rank:N", alt.Tooltip("share:Q", format=".1%"), "questions:Q"],
        )
    )
    return _spec(chart, HEIGHT)


def values_with_intervals(rows: Rows, metric: str) -> Spec:
    """A point with its interval in a line each: `name`, `value`, `low` and `high` of each of `rows`."""
    base = alt.Chart(_data(rows)).encode(
        y=alt.Y("name:N", sort=None, title=None, axis=alt.Axis(labelLimit=150)),
        color=alt.Color("name:N", sort=None, legend=None),
    )
    scale = alt.Scale(zero=False, nice=True)
    bars = base.mark_rule(size=3).encode(x=alt.X("low:Q", title=metric, scale=scale), x2="high:Q")
    points = base.mark_point(size=90).encode(
        x=alt.X("value:Q", title=metric, scale=scale), tooltip=["name:N", *_tips("value", "low", "high")]
    )
    return _spec(alt.layer(bars, points), 40 + 36 * len(rows))


def quality_by_dims(rows: Rows) -> Spec:
    """A line with a band: `dim`, `mrr`, `low` and `high` of each of `rows`."""
    dims = [row["dim"] for row in rows]
    axis = alt.Axis(values=dims, format="d", labelOverlap=True)
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("dim:Q", title="numbers of a vector", scale=alt.Scale(type="log", nice=False), axis=axis)
    )
    scale = alt.Scale(zero=False)
    band = base.mark_area(opacity=0.18).encode(y=alt.Y("low:Q", title="MRR", scale=scale), y2="high:Q")
    line = base.mark_line(point=True).encode(
        y=alt.Y("mrr:Q", title="MRR", scale=scale), tooltip=["dim:Q", *_tips("mrr", "low", "high")]
    )
    return _spec(alt.layer(band, line), HEIGHT)


def reliability(rows: Rows) -> Spec:
    """Points beside a diagonal: `predicted`, `actual` and `weight` of each of `rows`."""
    unit, tens = alt.Scale(domain=[0, 1]), alt.Axis(tickCount=5, format=".1f")
    diagonal = alt.Chart(_data([{"x": 0, "y": 0}, {"x": 1, "y": 1}])).mark_line(strokeDash=[4, 4], opacity=0.6)
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("predicted:Q", title="probability that was said", scale=unit, axis=tens),
        y=alt.Y("actual:Q", title="share that were duplicates", scale=unit),
    )
    points = base.mark_point().encode(
        size=alt.Size("weight:Q", legend=None, scale=alt.Scale(range=[40, 600])),
        tooltip=[*_tips("predicted", "actual"), alt.Tooltip("weight:Q", title="share of pairs", format=".1%")],
    )
    return _spec(
        alt.layer(
            diagonal.encode(x=alt.X("x:Q", scale=unit, axis=tens), y=alt.Y("y:Q", scale=unit)), base.mark_line(), points
        ),
        HEIGHT,
    )


def word_map(rows: Rows) -> Spec:
    """Points to pan, zoom and search: `word`, `count`, `x`, `y` of each of `rows`, most frequent first.

    The more one zooms in, the more words have a label.
    """
    places = np.array([[row["x"], row["y"]] for row in rows])
    wide, high = _padded(places[:, 0]), _padded(places[:, 1])
    pixels = places * [MAP_WIDTH / (wide[1] - wide[0]), MAP_HEIGHT / (high[1] - high[0])]
    placed = [{**row, "zoom": zoom} for row, zoom in zip(rows, _labelled_from(pixels), strict=True)]
    zoom = alt.selection_interval(bind="scales", name="zoom")
    search = alt.param(
        name="search", value="", bind=alt.BindInput(input="search", name="Find a word ", placeholder="letters of it")
    )
    is_found = "(search != '' && indexof(lower(datum.word), lower(search)) >= 0)"
    seen = f"(isDefined(zoom.x) ? {wide[1] - wide[0]} / (zoom.x[1] - zoom.x[0]) : 1)"
    is_labelled = f"({is_found} || (search == '' && datum.zoom <= {seen}))"
    base = (
        alt.Chart(_data(placed))
        .transform_calculate(found=f"{is_found} ? 'found' : 'other'")
        .encode(
            x=alt.X("x:Q", axis=None, scale=alt.Scale(domain=wide)),
            y=alt.Y("y:Q", axis=None, scale=alt.Scale(domain=high)),
        )
    )
    points = base.mark_circle().encode(
        size=alt.Size("count:Q", legend=None, scale=alt.Scale(type="sqrt", range=[15, 260])),
        opacity=alt.condition(f"search == '' || {is_found}", alt.value(0.5), alt.value(0.06)),
        color=alt.Color("found:N", legend=None, scale=alt.Scale(domain=["other", "found"])),
        tooltip=["word:N", alt.Tooltip("count:Q", format=",", title="times")],
    )
    labels = base.transform_filter(is_labelled).mark_text(dy=-7, fontSize=11).encode(text="word:N")
    return _spec(alt.layer(points.add_params(zoom), labels).add_params(search), MAP_HEIGHT)


def quality_by_speed(rows: Rows, metric: str) -> Spec:
    """A point for each ranker: `name`, `speed`, `value`, `low` and `high` of each of `rows`."""
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("speed:Q", title="texts a second", scale=alt.Scale(type="log"), axis=alt.Axis(format="~s")),
        color=alt.Color("name:N", sort=None, legend=alt.Legend(columns=2)),
    )
    scale = alt.Scale(zero=False, padding=10)
    bars = base.mark_rule(size=2).encode(y=alt.Y("low:Q", title=metric, scale=scale), y2="high:Q")
    points = base.mark_point(size=90).encode(
        y=alt.Y("value:Q", title=metric, scale=scale),
        tooltip=[
            "name:N",
            alt.Tooltip("speed:Q", format=",.0f", title="texts a second"),
            *_tips("value", "low", "high"),
        ],
    )
    return _spec(alt.layer(bars, points), HEIGHT + 120)


def learning_curves(rows: Rows, names: Sequence[str], ends: tuple[float, float], data: str, metric: str) -> Spec:
    """A line with a band for each method: `name`, `size`, `value`, `lowest` and `highest` of each of `rows`.

    Args:
        rows: what is drawn; their `low` and `high` are shown where one points at them.
        names: of the methods of all charts that stand beside each other, which decides their colours.
        ends: the lowest and the highest value in these charts.
        data: what is counted along the x-axis.
        metric: the name of the value.
    """
    sizes = sorted({row["size"] for row in rows})
    drawn = [name for name in names if any(row["name"] == name for row in rows)]
    across = alt.Scale(type="log", nice=False, domain=[sizes[0] / 1.25, sizes[-1] * 1.25])
    value = alt.Scale(domain=list(ends), zero=False, nice=True)
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("size:Q", title=data, scale=across, axis=alt.Axis(values=sizes, format=",", labelOverlap=True)),
        color=alt.Color(
            "name:N",
            scale=alt.Scale(domain=list(names)),
            legend=alt.Legend(values=drawn, symbolType="circle", symbolOpacity=1),
        ),
    )
    band = base.mark_area(opacity=0.18).encode(y=alt.Y("lowest:Q", title=metric, scale=value), y2="highest:Q")
    tips = ["name:N", alt.Tooltip("size:Q", format=","), *_tips("value", "low", "high", "lowest", "highest")]
    line = base.mark_line().encode(y=alt.Y("value:Q", title=metric, scale=value))
    points = base.mark_point().encode(y=alt.Y("value:Q", title=metric, scale=value), tooltip=tips)
    return _spec(alt.layer(band, line, points), HEIGHT + 60)


def beside(specs: Sequence[Spec]) -> Spec:
    """A spec of charts beside each other, each with a legend of its own."""
    panels = [{name: value for name, value in spec.items() if name not in ("autosize", "datasets")} for spec in specs]
    return {
        "hconcat": [{**panel, "width": PANEL_WIDTH} for panel in panels],
        "spacing": 40,
        "resolve": {"scale": {"color": "independent"}, "legend": {"color": "independent"}},
        # What altair has moved out of the layers stands at the top.
        "datasets": {name: rows for spec in specs for name, rows in spec.get("datasets", {}).items()},
    }


def _trained(rows: Rows) -> alt.X:
    """The axis of epochs."""
    last = max(row["trained"] for row in rows)
    scale = alt.Scale(nice=False, domain=[min(row["trained"] for row in rows), max(1, last)])
    return alt.X("trained:Q", title="epochs trained", scale=scale, axis=alt.Axis(format="d", tickMinStep=1))


def _kept(kept_after: int | None) -> list[alt.Chart]:
    """A rule at the epoch that was kept."""
    if kept_after is None:
        return []
    rule = alt.Chart(_data([{"trained": kept_after}])).mark_rule(strokeDash=[4, 4], opacity=0.7)
    return [rule.encode(x="trained:Q")]


def _tips(*names: str) -> list[alt.Tooltip]:
    return [alt.Tooltip(f"{name}:Q", format=".4f") for name in names]


def _labelled_from(pixels: np.ndarray) -> list[float]:
    """How far one has to zoom in until the label of each word meets none of a more frequent one.

    `pixels`: [words, 2] the places of words, most frequent first.
    """
    zooms = np.zeros(len(pixels))
    for place in range(1, len(pixels)):
        distances = np.abs(pixels[:place] - pixels[place])
        with np.errstate(divide="ignore"):
            zooms[place] = (LABEL / distances).min(axis=1).max()
    return [round(float(zoom), 2) for zoom in zooms.clip(max=1e6)]


def _padded(values: np.ndarray) -> list[float]:
    """The range of values, and a little around it."""
    low, high = float(values.min()), float(values.max())
    pad = 0.05 * (high - low) or 1.0
    return [round(low - pad, 3), round(high + pad, 3)]


def _data(rows: Rows) -> alt.InlineData:
    return alt.InlineData(values=[dict(row) for row in rows])


def _spec(chart: alt.TopLevelMixin, height: int) -> Spec:
    """The spec of a chart as wide as its container."""
    spec: Spec = chart.properties(width="container", height=height).to_dict(
        validate=False
    )  # which takes longer than all else
    for name in ("$schema", "config"):  # an address; and the page has its own config
        spec.pop(name, None)
    spec["autosize"] = {"type": "fit", "contains": "padding"}
    return spec
