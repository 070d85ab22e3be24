"""Pages in Debian's Chromium: one browser for all tests, and what a page did meanwhile."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from harness.report.page import pages
from tests.report.page import examples

Visit = Callable[..., "Visited"]


@dataclass
class Visited:
    """A page that is open, what it complained of, and what it asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium; skips where there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no chromium on PATH: apt-get install chromium")
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Opens a page, by its file or its address, in a window of its own."""
    contexts = []

    def open_page(
        target: Path | str, width: int = 1280, scheme: Any = "light", **options: Any
    ) -> Visited:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, **options
        )
        contexts.append(context)
        visited = Visited(context.new_page())
        visited.page.on("console", lambda message: visited.complaints.append(message.text))
        visited.page.on("pageerror", lambda error: visited.complaints.append(str(error)))
        visited.page.on("dialog", lambda dialog: visited.complaints.append(dialog.message))
        visited.page.on("request", lambda request: visited.requests.append(request.url))
        visited.page.goto(target.as_uri() if isinstance(target, Path) else target)
        return visited

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with logs and timelines, and its pages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "timelines", lambda *_: [examples.timeline()])
        directory = tmp_path_factory.mktemp("run")
        record = examples.run()
        examples.write_logs(record, directory)
        (directory / "record.json").write_text("{}")
        (directory / "summary.md").write_text("")
        pages.write(record, directory)
    return directory
