"""Pages of HTML: one file each that needs no other, with the charts' library in it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from askagain.corpus.cache import Cache
from askagain.files.writing import write_text
from askagain.reporting.section import Section

LIBRARY = "vega.js"  # in a cache entry
EXPORTED = "window.vegaEmbed = vegaEmbed;"  # what a page needs of the library
# Addresses in the library that a menu would lead to, which pages do without; the others name formats.
LINKS = re.compile(r"https://(vega\.github\.io/editor|github\.com/)[^\"'`\s]*")
# A browser would take these for something else, or show nothing: controls, halves of characters, what is set aside.
NOT_SHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
SHOWN_INSTEAD = "�"


def write_page(path: Path, title: str, words: Sequence[str], sections: Sequence[Section], cache: Cache) -> None:
    """Writes a page; `words` stand below its title. `cache` keeps the library, which takes a while to put together."""
    write_text(path, [page(title, words, sections, library(cache))])


def page(title: str, words: Sequence[str], sections: Sequence[Section], javascript: str) -> str:
    """The HTML of a page, with this library."""
    import jinja2

    from askagain.reporting.charts import theme

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["shown"] = shown
    templates = files("askagain.reporting") / "templates"
    specs = {chart.name: _finite(chart.spec) for section in sections for chart in section.charts}
    return environment.from_string((templates / "page.html").read_text(encoding="utf-8")).render(
        title=title,
        words=words,
        sections=sections,
        specs=specs,
        themes={name: theme(name) for name in ("light", "dark")},
        style=jinja2.utils.markupsafe.Markup((templates / "page.css").read_text(encoding="utf-8")),
        script=jinja2.utils.markupsafe.Markup((templates / "page.js").read_text(encoding="utf-8")),
        library=jinja2.utils.markupsafe.Markup(javascript.replace("</script", "<\\/script")),
    )


def library(cache: Cache) -> str:
    """The JavaScript of Vega-Embed, Vega-Lite and Vega, for a page without a connection."""

    def build(folder: Path) -> None:
        from vl_convert import javascript_bundle

        write_text(folder / LIBRARY, [LINKS.sub("", javascript_bundle(EXPORTED))])

    key: dict[str, object] = {"vl-convert-python": version("vl-convert-python"), "exported": EXPORTED}
    return cache.entry("vega", key, build, lambda folder: (folder / LIBRARY).read_text(encoding="utf-8"))


def images(sections: Sequence[Section], width: int = 760, scale: float = 1.25) -> Iterator[tuple[str, bytes]]:
    """The name and the PNG of each chart; `width` in pixels, times `scale`."""
    for section in sections:
        for chart in section.charts:
            yield chart.name, image({**chart.spec, "width": width}, scale)


def image(spec: Mapping[str, Any], scale: float = 2.0) -> bytes:
    """The PNG of a Vega-Lite spec whose width is in pixels, times `scale`."""
    from vl_convert import vegalite_to_png

    from askagain.reporting.charts import theme

    return bytes(vegalite_to_png(json.dumps({**_finite(spec), "config": theme("light")}), scale=scale))


def shown(text: object) -> str:
    """A text without characters that are no part of HTML."""
    return NOT_SHOWN.sub(SHOWN_INSTEAD, str(text))


def _finite(value: Any) -> Any:
    """A JSON value with null for numbers that JSON does not have, and text as it is shown."""
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return shown(value) if isinstance(value, str) else value
