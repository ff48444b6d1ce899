"""A headless browser for tests of pages; they skip where there is none."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager

import pytest

# nothing that a browser does of its own accord
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PLACE = os.environ.get("KNOTWORK_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"


@contextmanager
def chromium():
    playwright = pytest.importorskip("playwright.sync_api")
    if not os.path.exists(PLACE):
        pytest.skip(f"no browser at {PLACE}")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=PLACE, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


class Shown:
    """A page in the browser, its errors, and all that it asked for."""

    def __init__(self, browser, file, **options):
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.said, self.asked = [], []
        self.page.on("console", lambda message: message.type == "error" and self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.address = file.as_uri()
        self.page.goto(self.address)

    def outside(self):
        """What it asked for beside itself."""
        own = (self.address, "data:", "blob:")
        return [address for address in self.asked if not address.startswith(own)]

    def run(self, script, *told):
        return self.page.evaluate(script, *told)
