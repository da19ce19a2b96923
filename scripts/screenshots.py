"""Takes the pictures of the page for the docs: `python scripts/screenshots.py ADDRESS` of a running server."""

import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
QUESTION = "how do i boot from a usb stick"
WIDE: dict[str, Any] = {"viewport": {"width": 1200, "height": 860}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 360, "height": 740},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
    "color_scheme": "dark",
}


def main(address: str) -> None:
    """Writes page.png, wide and light with two encoders, and page_phone.png, dark with one."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        _take(browser, address, IMAGES / "page.png", WIDE)
        _take(browser, address, IMAGES / "page_phone.png", PHONE)
        browser.close()


def _take(browser: Browser, address: str, path: Path, options: dict[str, Any]) -> None:
    with browser.new_context(**options) as context:
        page = context.new_page()
        page.goto(address)
        if options is PHONE and page.get_by_label("Compare two encoders").is_visible():
            page.get_by_label("Compare two encoders").uncheck()
        page.get_by_label("Was it asked already?").press_sequentially(QUESTION)
        page.locator("#columns[aria-busy=false] .hit").first.wait_for()
        hits = page.locator(".column").first.locator(".hit")
        if options is WIDE:
            hits.nth(1).get_by_role("button", name="Duplicate", exact=True).click()
            hits.nth(2).get_by_role("button", name="Not a duplicate").click()
        page.get_by_label("Was it asked already?").focus()
        page.mouse.move(0, 0)
        page.evaluate("scrollTo(0, 0)")
        page.wait_for_timeout(400)  # until the bars stand still
        page.screenshot(path=path)
    print(f"wrote {path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python scripts/screenshots.py ADDRESS, such as http://127.0.0.1:8000/")
    main(sys.argv[1])
