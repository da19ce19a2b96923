"""`report.html`: the report of a run."""

from collections.abc import Sequence
from pathlib import Path

from askagain.corpus.cache import Cache
from askagain.reporting.page import write_page
from askagain.reporting.record import Record
from askagain.reporting.section import Section

PAGE = "report.html"  # in a run folder


def write_run_page(path: Path, record: Record, sections: Sequence[Section], cache: Cache) -> None:
    """Writes the page; see `run_sections` and `write_page`."""
    about = record.about
    words = [f"{about['data']}, ended {about['ended']}"]
    write_page(path, f"{about['name']}: report of a run", words, sections, cache)
