import io
import re

import pytest
from lxml import html
from PIL import Image

from askagain.reporting.board_sections import curve_charts
from askagain.reporting.charts import beside
from askagain.reporting.page import image, images, library, page, shown, write_page
from askagain.reporting.run_sections import run_sections
from askagain.reporting.section import Section, Table

FETCHED = ("src", "href", "srcset", "data", "action", "poster")  # attributes whose address a browser may go to
NAMES = re.compile(r"https?://(www\.w3\.org/|vega\.github\.io/schema/)[^\s\"'`]*")  # of formats, which nobody fetches
EVIL = "<script>alert(1)</script>"


def parsed(text):
    """The page as a strict reader has it."""
    return html.document_fromstring(text.encode(), parser=html.HTMLParser(encoding="utf-8", recover=False))


def cells(text, table):
    rows = parsed(text).xpath(f"//table[@id='table-{table}']/tbody/tr")
    return [[cell.text_content().strip() for cell in row] for row in rows]


def test_a_page_is_one_small_file_that_asks_for_nothing_outside_of_it(record, library_cache, tmp_path):
    write_page(tmp_path / "report.html", "A run", [], run_sections(record), library_cache)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(text.encode()) < 3_000_000
    assert "://" not in NAMES.sub("", text).replace("file://", ""), re.findall(r".{30}://.{30}", NAMES.sub("", text))[
        :3
    ]
    addresses = [value for one in parsed(text).iter() for name, value in one.items() if name in FETCHED]
    assert addresses and all(address.startswith("#") for address in addresses)
    (policy,) = parsed(text).xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    assert policy.startswith("default-src 'none';") and "http" not in policy


def test_every_chart_of_a_page_has_a_place_a_spec_and_a_caption(record):
    text = page("A run", [], run_sections(record), "")
    places = parsed(text).xpath("//figure/div/@data-chart")
    specs = parsed(text).xpath("//script[@id='specs']/text()")[0]
    assert len(places) == len(set(places)) == 7
    assert all(f'"{place}": {{' in specs for place in places)
    assert all(caption.text_content().endswith(".") for caption in parsed(text).xpath("//figcaption"))


def test_links_lead_to_sections_whose_headings_are_in_order(record):
    text = page("A run", [], run_sections(record), "")
    anchors = [address.removeprefix("#") for address in parsed(text).xpath("//nav//a/@href")]
    assert anchors == parsed(text).xpath("//section/@id") and len(set(anchors)) == len(anchors)
    assert [one.tag for one in parsed(text).xpath("//h1 | //h2 | //h3")] == ["h1"] + ["h2"] * len(anchors)


@pytest.mark.parametrize(
    "text", [EVIL, "</script><img src=x>", "a & b < c > \"d\" 'e'", "{{ title }}{% for %}", "שלום \u202eabc", "😀"]
)
def test_a_text_stays_text_wherever_it_stands(changed, text):
    evil = {"text": text, "cosine": 0.5, "carried": [[text, text, 0.5]]}
    record = changed(
        about={"name": text, "data": text, "ended": text, "command": text},
        config={text: text},
        worst=[{"question": text, "rank": 2.0, "duplicate": evil, "above": [evil]}],
        word_map={"word": [text, "usb"], "count": [9, 4], "x": [0.0, 1.0], "y": [0.0, 2.0]},
        nearest=[{"word": text, "known": True, "nearest": [[text, 0.5]]}],
    )
    written = page(text, [text], run_sections(record), "")
    plain = page("A run", ["words"], run_sections(changed()), "")
    count = {tag: len(parsed(written).xpath(f"//{tag}")) for tag in ("script", "img", "h1")}
    assert count == {tag: len(parsed(plain).xpath(f"//{tag}")) for tag in ("script", "img", "h1")}
    assert parsed(written).xpath("//h1")[0].text_content() == text
    assert cells(written, "worst_questions")[0][0] == text
    assert cells(written, "nearest_known")[0][0] == text


def test_controls_and_halves_of_characters_are_shown_as_replaced():
    assert shown("a\x00b\x1b[31mc\ud800d\x85") == "a�b�[31mc�d�"
    assert shown("tab\tline\n") == "tab\tline\n"
    page("\x00\ud800", ["\x1b"], [], "").encode()


def test_columns_of_numbers_are_told_from_names_and_sentences():
    table = Table(
        "t", ["a", "b", "c", "d"], [["1", "0.5000 [0.4000, 0.6000]", "x 1", "< 0.001"], ["2", "", "2", "+0.1"]], ""
    )
    assert table.are_numbers == [False, True, False, True]


def test_the_library_cannot_end_its_script_early():
    text = page("A run", [], [], "const end = '</script>';")
    assert "const end = '<\\/script>';" in text


def test_numbers_that_json_lacks_are_left_out_of_charts(changed):
    epochs = [
        {"trained": 0, "losses": {}, "rows": 3, "moments": {"mrr": [0.5, 0.5]}},
        {"trained": 1, "losses": {"loss": float("nan")}, "rows": 3, "moments": {"mrr": [0.5, 0.5]}},
    ]
    text = page("A run", [], run_sections(changed(epochs=epochs)), "")
    specs = parsed(text).xpath("//script[@id='specs']/text()")[0]
    assert "NaN" not in specs and '"value": null' in specs


def test_the_library_is_put_together_once(library_cache):
    first = library(library_cache)
    (entry,) = library_cache.folder.glob("vega-*/vega.js")
    assert "vegaEmbed" in first and entry.read_text(encoding="utf-8") == first == library(library_cache)


def test_images_are_the_charts_of_the_page(record):
    sections = run_sections(record)
    pictures = {name: Image.open(io.BytesIO(png)) for name, png in images(sections, width=300, scale=1)}
    assert list(pictures) == [chart.name for section in sections for chart in section.charts]
    for name, picture in pictures.items():
        colours = len(picture.convert("RGB").getcolors(1 << 20))
        assert picture.format == "PNG" and picture.width >= 300 and colours > 10, name


def test_learning_curves_are_drawn_beside_each_other_in_the_colours_of_their_methods():
    def rows(name, *values):
        ends = {"low": 0.1, "high": 0.9}
        return [
            {"name": name, "size": 10**place, "value": value, "lowest": value - 0.02, "highest": value + 0.02, **ends}
            for place, value in enumerate(values, start=1)
        ]

    panels = {"groups": rows("bm25", 0.5, 0.5) + rows("trained", 0.3, 0.6), "texts": rows("distilled", 0.2, 0.7)}
    charts = curve_charts(panels, "mrr")
    picture = Image.open(io.BytesIO(image(beside([chart.spec for chart in charts])))).convert("RGB")
    left, right = (
        picture.crop((0, 0, picture.width // 2, 600)),
        picture.crop((picture.width // 2, 0, picture.width, 600)),
    )
    first, second, third = ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (0x00, 0x9E, 0x73))
    drawn = [{colour for _, colour in half.getcolors(1 << 20)} for half in (left, right)]
    assert {first, second} <= drawn[0] and third not in drawn[0]
    assert third in drawn[1] and not {first, second} & drawn[1]


def test_an_anchor_is_made_of_the_title():
    assert Section("Questions won by a/b").anchor == "questions-won-by-a-b"
