"""The page in a real browser: with the keyboard alone, on a phone, in the dark, without its server, and so on."""

import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from click.testing import CliRunner
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route, expect, sync_playwright
from starlette.applications import Starlette
from starlette.routing import Mount

from askagain.cli.main import askagain
from askagain.corpus.tsv import read_cells
from askagain.evaluation.thresholds import Thresholds
from askagain.models.bag_encoder import BagEncoder
from askagain.search.index_list import Hybrid
from askagain.search.index_writer import IndexWriter
from askagain.search.questions import Question
from askagain.serving.access import Access
from askagain.serving.app import build_app
from askagain.serving.limits import Limits
from askagain.serving.metrics import ServerMetrics
from askagain.serving.run import bind
from askagain.serving.service import ServedIndex
from askagain.text.features import Features
from askagain.text.ngrams import NgramTokenizer
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.vocabulary import WordVocabulary

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium here: apt-get install chromium"),
    pytest.mark.xdist_group("page"),  # one browser
]

LEAVE = ("quit", "leave", "exit")  # the same to the encoder
WORDS = [*LEAVE, "vim", "nano", "undo", "commit", "merge", "branch", "mount", "disk", "usb", "script", "לצאת"]
SCRIPT = "<script>alert(1)</script> in a script"
IMAGE = "<img src=x onerror=alert(2)> & usb"
HEBREW = "איך לצאת vim"
TITLES = [
    "How to quit vim", "Leave vim", "exit\u2028the\tnano", "undo a commit", "how to undo the commit", "merge a branch",
    "mount a usb disk", "merge branch " + "x" * 500, SCRIPT, IMAGE, HEBREW,
]  # fmt: skip


class Server:
    """The application on a port of its own, in a thread; it can be stopped and started again."""

    def __init__(self, build: Callable[[], Starlette]) -> None:
        self._build, self._port = build, 0
        self.start()

    def start(self) -> None:
        listening = bind("127.0.0.1", self._port)
        self._port = listening.getsockname()[1]
        self.address = f"http://127.0.0.1:{self._port}/"
        config = uvicorn.Config(self._build(), log_config=None, access_log=False, timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listening],), daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)

    close = stop


def words_encoder(seed: int | None = None) -> BagEncoder:
    """A direction for each word, those of `LEAVE` the same; with a seed random ones."""
    table = np.eye(len(WORDS), dtype=np.float32)
    table[: len(LEAVE)] = table[0]
    if seed is not None:
        table = np.random.default_rng(seed).standard_normal((len(WORDS), 5)).astype(np.float32)
    features = Features("words", WordVocabulary(WORDS), NgramTokenizer())
    return BagEncoder(TextPreprocessor(stopwords=["the", "how", "to", "a"]), features, table, normalize=True)


OPEN = Access(None, everything=False, hosts={"127.0.0.1"})


def app_of(*folders: Path, access: Access = OPEN) -> Starlette:
    indexes = [ServedIndex(folder.name, folder, is_writable=False) for folder in folders]
    return build_app(indexes, access, Limits(), ServerMetrics())


@pytest.fixture(scope="module")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three: `first` with probabilities, `second` with another encoder and a second ranker, `empty`."""
    folder = tmp_path_factory.mktemp("indexes")
    questions = [Question(f"q{place}", title, title) for place, title in enumerate(TITLES)]
    learned = Thresholds(0.5, [0.0, 1.0], [0.0, 0.9], 1000, {}).save(folder)
    IndexWriter.create(folder / "first", words_encoder(), questions, beside=[learned])
    IndexWriter.create(folder / "second", words_encoder(1), questions, hybrid=Hybrid("bm25", 0.1))
    IndexWriter.create(folder / "empty", words_encoder(), [])
    return folder


@pytest.fixture(scope="module")
def one(indexes: Path) -> Iterator[str]:
    with closing(Server(lambda: app_of(indexes / "first"))) as server:
        yield server.address


@pytest.fixture(scope="module")
def two(indexes: Path) -> Iterator[str]:
    with closing(Server(lambda: app_of(indexes / "first", indexes / "second"))) as server:
        yield server.address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens an address. At the end nothing may have failed, opened a dialog, or gone to another host.

    `fails`: what the console may complain of. Further words are options of the browser's context.
    """
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def open_page(address: str, fails: str | None = None, **options) -> Page:
        contexts.append(browser.new_context(**({"viewport": {"width": 1200, "height": 900}} | options)))
        page = contexts[-1].new_page()
        page.set_default_timeout(8000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: (problems.append(f"a dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: request.url.startswith((address, "blob:")) or problems.append(request.url))

        def complain(message) -> None:
            if message.type in ("error", "warning") and (fails is None or not re.search(fails, message.text)):
                problems.append(message.text)

        page.on("console", complain)
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems


def ask(page: Page, question: str, answered: bool = True) -> None:
    page.get_by_label("Was it asked already?").fill(question)
    if answered:
        expect(page.locator("#columns")).to_have_attribute("aria-busy", "false")


def hits(page: Page, place: int = 0) -> Locator:
    return page.locator(".column").nth(place).get_by_role("listitem")


def texts(page: Page, place: int = 0) -> list[str]:
    return page.locator(".column").nth(place).locator(".hit .text").all_text_contents()


def test_questions_are_found_while_one_types(visit, one):
    page = visit(one)
    page.keyboard.type("quit", delay=5)  # the box has the focus from the start
    expect(hits(page).first).to_contain_text("quit vim")
    page.keyboard.type(" vim", delay=5)
    expect(page.get_by_role("status").first).to_have_text(re.compile(r"^\d+ questions found$"))
    expect(hits(page).first).to_contain_text("90 % a duplicate")
    expect(hits(page).first).to_contain_text("cosine 1.00")
    assert texts(page)[:2] == ["How to quit vim", "Leave vim"]
    assert hits(page).first.locator("mark").all_text_contents() == ["quit", "vim"]
    assert "undo a commit" not in texts(page)  # a cosine of 0 is no hit
    expect(page.locator("#latency")).to_have_text(re.compile(r"^in \d+ ms$"))
    expect(page.locator(".no-probabilities").first).to_be_hidden()
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    expect(hits(page)).to_have_count(0)


def test_strength_of_a_word_is_told_by_its_line_too(visit, one):
    page = visit(one)
    ask(page, "vim undo undo undo undo commit")
    mark = hits(page).get_by_text("undo", exact=True).first
    expect(mark).to_have_attribute("title", re.compile(r"^\d\d\s% of the match$"))
    lines = page.evaluate(
        """[...document.querySelectorAll("mark")].map((mark) => [mark.className, getComputedStyle(mark)])
           .map(([name, style]) => [name, style.textDecorationLine, style.textDecorationThickness])"""
    )
    assert {line for _, line, _ in lines} == {"underline"}
    assert len({name for name, _, _ in lines}) == len({thickness for _, _, thickness in lines}) >= 2


def test_an_older_answer_never_comes_over_a_newer_one_and_the_last_one_stays_meanwhile(visit, one):
    page = visit(one)
    ask(page, "merge")
    expect(hits(page).first).to_contain_text("merge")
    held: list[Route] = []
    page.route("**/search", lambda route: held.append(route))
    for question in ("vim", "undo"):
        ask(page, question, answered=False)
        deadline = time.monotonic() + 5
        while not any(question in (route.request.post_data or "") for route in held):
            assert time.monotonic() < deadline
            page.wait_for_timeout(10)
    expect(hits(page).first).to_contain_text("merge")
    older, newer = held[0], held[-1]
    newer.continue_()
    expect(hits(page).first).to_contain_text("undo")
    older.continue_()
    page.wait_for_timeout(200)
    assert all("undo" in text for text in texts(page))


def test_two_encoders_stand_side_by_side_and_what_both_found_is_linked(visit, two):
    page = visit(two)
    ask(page, "quit vim")
    expect(page.get_by_role("region", name="Found in first")).to_be_visible()
    expect(page.get_by_role("region", name="Found in second")).to_be_visible()
    first, second = texts(page, 0), texts(page, 1)
    shared = set(first) & set(second)
    assert shared
    for place, text in enumerate(first):
        said = f"also no. {second.index(text) + 1} of the other" if text in shared else "only here"
        expect(hits(page, 0).nth(place)).to_contain_text(said)
    left, right = (page.locator(".column").nth(place).bounding_box() for place in (0, 1))
    assert left["y"] == right["y"] and left["x"] + left["width"] <= right["x"]
    hits(page, 0).first.hover()
    expect(page.locator(".column").nth(1).locator(".outlined .text")).to_have_text(first[0])
    # The second one has learned no probabilities, and says how it would.
    expect(hits(page, 1).first).not_to_contain_text("duplicate of")
    expect(page.locator(".column").nth(1)).to_contain_text("askagain threshold --encoder RUN --data DIR")
    page.get_by_label("Compare two encoders").uncheck()
    expect(page.get_by_role("region", name="Found in second")).to_be_hidden()
    expect(hits(page, 0).first).not_to_contain_text("the other")
    page.get_by_role("combobox", name="Index").first.select_option("second")
    expect(page.get_by_role("region", name="Found in second")).to_be_visible()
    assert texts(page, 0) == second


def test_the_second_ranker_is_offered_where_there_is_one(visit, one, two):
    page = visit(two)
    ask(page, "quit vim")
    page.get_by_label("With the second ranker").check()
    expect(hits(page, 1).first).to_contain_text("fused score")
    expect(hits(page, 0).first).to_contain_text("cosine")
    page = visit(one)
    expect(page.locator("#hybrid-choice")).to_be_hidden()
    expect(page.locator("#compare-choice")).to_be_hidden()
    expect(page.get_by_role("heading", name="first")).to_be_visible()


def test_marks_are_downloaded_as_files_that_the_project_trains_on(visit, one, tmp_path):
    page = visit(one)
    for question, right, wrong in (
        ("quit\n vim", ["How to quit vim", "Leave vim"], ["לצאת"]),
        ("leave nano", ["the"], []),
        ("undo commit", ["undo a commit", "how to undo"], []),
        ("How to quit vim", ["How to quit vim"], []),  # of itself: no group of it
        ("leave the vim", ["Leave vim"], []),  # which joins it to the first group
        ("merging branch", ["merge a branch"], ["xxx"]),
    ):
        ask(page, question)
        for name, marked in (("Duplicate", right), ("Not a duplicate", wrong)):
            for text in marked:
                hit = hits(page).filter(has_text=text).first
                hit.get_by_role("button", name=name, exact=True).click()
                expect(hit.get_by_role("button", name=name, exact=True)).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#marked")).to_have_text("8 marked as duplicate, in 4 groups; 2 as not a duplicate")
    for name in ("train.tsv", "pairs.tsv"):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Download {name}").click()
        assert download.value.suggested_filename == name
        download.value.save_as(tmp_path / name)

    groups = [set(cells) for cells in read_cells(tmp_path / "train.tsv", min_columns=2)]
    expected = [
        {"quit vim", "How to quit vim", "Leave vim", "leave the vim"},
        {"leave nano", "exit the nano"},
        {"undo commit", "undo a commit", "how to undo the commit"},
        {"merging branch", "merge a branch"},
    ]
    assert sorted(groups, key=sorted) == sorted(expected, key=sorted)
    described = CliRunner().invoke(askagain, ["describe", str(tmp_path), "--json"])
    assert described.exit_code == 0, described.output
    converted = CliRunner().invoke(
        askagain, ["convert", "groups", str(tmp_path / "pairs.tsv"), "-o", str(tmp_path / "folder")]
    )
    assert converted.exit_code == 0, converted.output
    folder = tmp_path / "folder"
    kept = {text for path in folder.glob("*.t*") for cells in read_cells(path) for text in cells}
    assert HEBREW in kept  # marked as no duplicate: a text to tell apart


def test_marks_outlast_the_page_until_they_are_forgotten(visit, one):
    page = visit(one)
    ask(page, "undo commit")
    right, wrong = (hits(page).first.get_by_role("button").nth(place) for place in (0, 1))
    right.click()
    wrong.click()  # takes the place of the other mark
    expect(right).to_have_attribute("aria-pressed", "false")
    expect(wrong).to_have_attribute("aria-pressed", "true")
    page.reload()
    ask(page, "undo commit")
    expect(wrong).to_have_attribute("aria-pressed", "true")
    wrong.click()
    expect(page.locator("#marks")).to_be_hidden()
    right.click()
    page.evaluate("window.confirm = () => true")
    page.get_by_role("button", name="Forget all marks").click()
    expect(right).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_label("Was it asked already?")).to_be_focused()


def test_an_empty_index_and_an_unknown_question_are_told(visit, indexes, one):
    with closing(Server(lambda: app_of(indexes / "empty"))) as server:
        page = visit(server.address)
        ask(page, "quit vim")
        expect(page.get_by_text("The index has no questions yet").first).to_be_visible()
        expect(page.get_by_role("status").first).to_have_text("0 questions found")
    page = visit(one)
    ask(page, "zyzzyva")
    expect(page.get_by_text("Nothing like it was asked here").first).to_be_visible()
    expect(hits(page)).to_have_count(0)


def test_long_questions_are_searched_for_and_longer_ones_than_the_limit_are_not_sent(visit, one):
    page = visit(one)
    ask(page, ("how to quit vim " * 625)[:10_000])
    expect(hits(page).first).to_contain_text("vim")
    assert 100 < page.locator("#question").bounding_box()["height"] < 250  # grows, up to some lines
    ask(page, "😀" * 100_000)  # 200,000 to JavaScript, 100,000 to the server
    expect(page.get_by_text("Nothing like it was asked here").first).to_be_visible()
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    ask(page, "x" * 100_001)
    expect(page.get_by_role("alert")).to_contain_text("100,001 characters; at most 100,000")
    ask(page, "merge")
    expect(page.get_by_role("alert")).to_be_hidden()
    assert len(sent) == 1


def test_right_to_left_texts_run_right_to_left(visit, one):
    page = visit(one)
    ask(page, "איך לצאת")
    expect(page.locator("#question")).to_have_css("direction", "rtl")
    expect(hits(page).first.locator(".text")).to_have_text(HEBREW)
    expect(hits(page).first.locator(".text")).to_have_css("direction", "rtl")
    assert hits(page).first.locator("mark").all_text_contents() == ["לצאת"]
    ask(page, "quit vim")
    expect(page.locator("#question")).to_have_css("direction", "ltr")


def test_titles_are_text_whatever_they_hold(visit, one):
    page = visit(one)
    for question, title in (("script", SCRIPT), ("usb", IMAGE)):
        ask(page, question)
        expect(hits(page).filter(has_text=title)).to_have_count(1)
    assert page.locator("#columns").locator("script, img").count() == 0
    ask(page, "<script>alert(3)</script> script \ud83d")  # with half of an emoji
    expect(hits(page).first.locator(".text")).to_have_text(SCRIPT)


def test_scripts_in_the_page_itself_would_not_run(visit, one):
    page = visit(one, fails="Content Security Policy")
    page.evaluate(
        """document.body.append(Object.assign(document.createElement("script"), { textContent: "window.ran = 1" }))"""
    )
    assert page.evaluate("window.ran") is None


def test_the_page_waits_for_a_server_that_is_gone(visit, indexes):
    with closing(Server(lambda: app_of(indexes / "first"))) as server:
        page = visit(server.address, fails="Failed to load resource")
        ask(page, "merge")
        expect(hits(page).first).to_contain_text("merge")
        server.stop()
        ask(page, "undo commit")
        expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
        expect(page.get_by_label("Was it asked already?")).to_have_value("undo commit")
        expect(hits(page).first).to_contain_text("merge")  # what was found last stays
        server.start()
        expect(hits(page).first).to_contain_text("undo")
        expect(page.get_by_role("alert")).to_be_hidden()


@pytest.mark.parametrize("status", [429, 503])
def test_the_page_asks_again_when_a_busy_server_says(visit, one, status):
    page = visit(one, fails="Failed to load resource")
    headers = {"retry-after": "1"}
    page.route("**/search", lambda route: route.fulfill(status=status, headers=headers, json={}), times=1)
    ask(page, "undo commit")
    expect(page.get_by_role("alert")).to_contain_text("asked again in 1 s")
    expect(hits(page).first).to_contain_text("undo")
    expect(page.get_by_role("alert")).to_be_hidden()


@pytest.mark.parametrize(
    ("status", "said"), [(401, "A token is needed"), (413, "too long"), (500, "The server refused: status 500")]
)
def test_refusals_are_told(visit, one, status, said):
    page = visit(one, fails="Failed to load resource")
    body = '{"error": {"message": "too long"}}' if status == 413 else "<html>"
    page.route("**/search", lambda route: route.fulfill(status=status, body=body))
    ask(page, "undo commit")
    expect(page.get_by_role("alert")).to_contain_text(said)


def test_a_browser_that_was_given_the_token_as_password_can_search(visit, indexes):
    access = Access("a-long-enough-token", everything=True, hosts=())
    with closing(Server(lambda: app_of(indexes / "first", access=access))) as server:
        given = {"username": "anyone", "password": "a-long-enough-token"}
        page = visit(server.address, fails="401", http_credentials=given)
        ask(page, "undo commit")
        expect(hits(page).first).to_contain_text("undo")


def test_the_keyboard_is_enough(visit, two):
    page = visit(two)
    ask(page, "quit vim")
    expect(hits(page, 1).first).to_be_visible()
    focused = page.locator(":focus")
    page.keyboard.press("ArrowDown")
    expect(hits(page, 0).nth(0).get_by_role("button", name="Duplicate", exact=True)).to_be_focused()
    page.keyboard.press("d")
    expect(focused).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("n")
    refused = hits(page, 0).nth(1).get_by_role("button", name="Not a duplicate")
    expect(refused).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("ArrowRight")
    expect(refused).to_be_focused()
    page.keyboard.press("Enter")  # takes it back
    expect(refused).to_have_attribute("aria-pressed", "false")
    twin = texts(page, 0)[1]
    page.keyboard.press("ArrowRight")
    expect(page.locator(".column").nth(1).locator(".hit:focus-within .text")).to_have_text(twin)
    page.keyboard.press("Escape")
    expect(page.get_by_label("Was it asked already?")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Was it asked already?")).to_have_value("quit vim")

    names = []
    for _ in range(8):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert names[:2] == ["compare", "hybrid"]
    assert names[3:7] == ["Duplicate", "Not a duplicate"] * 2


def test_controls_and_regions_have_names(visit, two):
    page = visit(two)
    ask(page, "quit vim")
    expect(hits(page, 1).first).to_be_visible()
    hits(page).first.get_by_role("button").first.click()
    for role in ("banner", "main", "search", "contentinfo"):
        expect(page.get_by_role(role)).to_have_count(1)
    assert page.evaluate("document.documentElement.lang") == "en"
    nameless = page.evaluate(
        """[...document.querySelectorAll("button, input, select, textarea, a, summary")]
           .filter((one) => one.checkVisibility() && !(one.labels?.length || one.textContent.trim()))
           .map((one) => one.outerHTML)"""
    )
    assert nameless == []
    button = hits(page).nth(1).get_by_role("button").first
    described = page.locator(f"#{button.get_attribute('aria-describedby')}")
    expect(described).to_have_text(texts(page)[1])
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))
    assert page.locator("#status").get_attribute("role") == "status"  # which is read out politely
    assert page.locator(".bar:not([aria-hidden])").count() == 0


CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (color) => rgb(color).slice(0, 3).map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, place) => sum + one * [0.2126, 0.7152, 0.0722][place], 0);
  const ground = (element) => {
    const color = getComputedStyle(element).backgroundColor;
    return rgb(color)[3] === 255 ? color : ground(element.parentElement);
  };
  const results = [];
  for (const element of document.querySelectorAll("body *")) {
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!hasText || !element.checkVisibility()) continue;
    const pair = [luminance(getComputedStyle(element).color), luminance(ground(element))].sort((a, b) => b - a);
    results.push([element.tagName, element.className, (pair[0] + 0.05) / (pair[1] + 0.05)]);
  }
  return results;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read_in_light_and_dark(visit, two, scheme):
    page = visit(two, fails="Failed to load resource", color_scheme=scheme)
    ask(page, "vim undo undo undo undo commit")
    expect(hits(page, 1).first).to_be_visible()
    hits(page).nth(0).get_by_role("button").nth(0).click()
    hits(page).nth(1).get_by_role("button").nth(1).click()
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    page.route("**/search", lambda route: route.abort())
    ask(page, "quit")
    expect(page.get_by_role("alert")).to_be_visible()
    contrasts = page.evaluate(CONTRASTS)
    assert {"MARK", "BUTTON", "STRONG", "CODE", "SUMMARY"} <= {tag for tag, _, _ in contrasts}
    assert {"share-1", "share-2", "share-3"} <= {name for _, name, _ in contrasts}
    assert [one for one in contrasts if one[2] < 4.5] == []
    page.goto(f"{two}docs")
    assert [one for one in page.evaluate(CONTRASTS) if one[2] < 4.5] == []


def test_dark_is_darker_than_light(visit, one):
    grounds = {}
    for scheme in ("light", "dark"):
        page = visit(one, color_scheme=scheme)
        color = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        grounds[scheme] = sum(map(int, re.findall(r"\d+", color)))
    assert grounds["light"] > 600 > 200 > grounds["dark"]


@pytest.mark.parametrize("width", [320, 360, 640])  # of phones, and of a screen of 1,280 at a zoom of 200 %
def test_small_windows_need_no_scrolling_sideways(visit, two, width):
    page = visit(two, viewport={"width": width, "height": 700})
    ask(page, "merge branch")
    expect(hits(page, 1).first).to_be_visible()
    hits(page).first.get_by_role("button").first.click()
    expect(page.get_by_role("button", name="Download train.tsv")).to_be_visible()
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    upper, lower = (page.locator(".column").nth(place).bounding_box() for place in (0, 1))
    assert upper["y"] + upper["height"] <= lower["y"]
    widths = "[document.documentElement.scrollWidth, innerWidth]"
    assert page.evaluate(widths) == [width, width]
    page.goto(f"{two}docs")
    assert page.evaluate(widths) == [width, width]


def test_nothing_moves_for_people_who_want_that(visit, one):
    for motion, expected in (("reduce", "0s"), ("no-preference", "0.2s")):
        page = visit(one, reduced_motion=motion)
        ask(page, "quit vim")
        expect(page.locator(".bar > span").first).to_have_css("transition-duration", expected)


def test_the_page_works_below_a_path_of_another_server(visit, indexes):
    with closing(Server(lambda: Starlette(routes=[Mount("/below", app_of(indexes / "first"))]))) as server:
        page = visit(f"{server.address}below/")
        ask(page, "quit vim")
        expect(hits(page).first).to_contain_text("quit vim")
        page.get_by_role("link", name="API").click()
        expect(page.get_by_role("heading", name="POST /search")).to_be_visible()
        page.get_by_role("link", name="Try it").click()
        expect(page.get_by_label("Was it asked already?")).to_be_visible()
        page.wait_for_load_state("networkidle")  # the server goes on until the page has all that it asks for
