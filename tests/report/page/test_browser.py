"""The pages as a reader has them: in Chromium, from a file, and as Jenkins serves them."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from harness.report.page import pages
from tests.report.page import examples
from tests.report.page.conftest import Visit, Visited

pytestmark = [pytest.mark.chromium, pytest.mark.xdist_group("chromium")]

# https://www.jenkins.io/doc/book/system-administration/security/configuring-content-security-policy/
JENKINS = [
    "sandbox; default-src 'none'; img-src 'self'; style-src 'self';",
    "sandbox allow-same-origin; default-src 'none'; img-src 'self'; style-src 'self';",
]
FRONT, CASE = "index.html", f"cases/{examples.FAILED}.html"
DRAWN = "image => image.complete && image.naturalWidth > 700 && image.offsetWidth > 300"
CELL = f"a[href='{CASE}']"


def assert_quiet(visited: Visited, directory: Path) -> None:
    """Nothing in the console, and nothing asked for but files of the run."""
    assert visited.complaints == []
    assert all(request.startswith(directory.as_uri()) for request in visited.requests)


def shown(visited: Visited) -> list[str]:
    """Addresses of the cells that are to be seen."""
    cells = visited.page.locator("#map td a:visible")
    return [cell.get_attribute("href") or "" for cell in cells.all()]


# --- the overview ---------------------------------------------------------------------------------


def test_the_overview_says_the_verdict_and_asks_nobody(written, visit: Visit):
    visited = visit(written / FRONT)
    assert visited.page.locator("h1").inner_text().startswith("FAILED")
    assert visited.page.locator(f"#map {CELL}").inner_text() == "3"
    assert_quiet(visited, written)


@pytest.mark.parametrize(
    ("fields", "count", "hits"),
    [
        ({"text": "weights"}, 1, "weights-session"),
        ({"text": "WEIGHTS tf1"}, 1, "weights-session"),
        ({"text": "nothing like that"}, 0, ""),
        ({"flavor": "tf1-keras22"}, 4, "tf1-keras22."),
        ({"family": "canary"}, 2, ".canary."),
        ({"status": "known"}, 1, "known-defect"),
        ({"status": "skipped", "flavor": "tf1-keras22"}, 2, "tf-checkpoint"),
    ],
)
def test_the_filter(written, visit: Visit, fields, count, hits):
    visited = visit(written / FRONT)
    page = visited.page
    for name, value in fields.items():
        box = page.locator(f"#{name}")
        box.fill(value) if name == "text" else box.select_option(value)
    expect(page.locator("#count")).to_have_text(f"{count} of 12 cases")
    found = shown(visited)
    assert len(found) == count
    assert all(hits in address for address in found)
    assert page.locator("#none").is_visible() is (count == 0)
    address = page.url
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#count")).to_have_text("12 cases")
    assert len(shown(visited)) == 12
    again = visit(address)  # as it was sent to somebody
    assert shown(again) == found
    assert_quiet(visited, written)


def test_the_arrow_keys_move_from_case_to_case(written, visit: Visit):
    visited = visit(written / FRONT)
    page = visited.page
    focused = "document.activeElement.getAttribute('href')"
    assert page.locator("#map a[tabindex='0']").count() == 1
    page.locator("#map a[tabindex='0']").focus()
    first = page.evaluate(focused)
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == first.replace("tf1-tfkeras", "tf1-keras22")
    page.keyboard.press("Home")
    assert page.evaluate(focused) == first
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == CASE
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert page.evaluate(focused) == first
    page.keyboard.press("Enter")
    page.wait_for_url("**/cases/**")
    assert_quiet(visited, written)


# --- a case ---------------------------------------------------------------------------------------


def test_a_case_is_opened_and_its_command_copied(written, visit: Visit):
    visited = visit(written / FRONT, permissions=["clipboard-read", "clipboard-write"])
    page = visited.page
    page.locator(f"#map {CELL}").click()
    page.wait_for_url(f"**/{CASE}")
    assert "37 operations were changed" in page.locator(".checks").inner_text()
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "make repro FLAVOR=tf1-tfkeras SCENARIO=weights-session GPU=none"
    assert_quiet(visited, written)


def test_every_link_of_every_page_leads_to_a_file_of_the_run(written, visit: Visit):
    visited = visit(written / FRONT)
    pages_seen = [written / FRONT, *(written / "cases").glob("*.html")]
    assert len(pages_seen) == 1 + len(examples.run().cases)
    for path in pages_seen:
        visited.page.goto(path.as_uri())
        for address in visited.page.eval_on_selector_all("a", "all => all.map(one => one.href)"):
            target = Path(unquote(urlsplit(address).path))
            assert target.is_file(), address
            assert target.is_relative_to(written), address
    assert_quiet(visited, written)


def test_a_timeline_is_drawn_and_tells_values(written, visit: Visit):
    visited = visit(written / CASE)
    page = visited.page
    plots = page.locator(".uplot")
    assert plots.count() == 2  # the accelerator, and the host below
    drawn = page.evaluate(
        "[...document.querySelectorAll('.uplot canvas')].map(one => new Set(new Uint32Array("
        "one.getContext('2d').getImageData(0, 0, one.width, one.height).data.buffer)).size)"
    )
    assert all(colors > 20 for colors in drawn)
    plots.first.locator(".u-over").hover()
    expect(plots.first.locator(".u-legend")).to_contain_text(
        re.compile(r"\d ms.*\d MiB", re.DOTALL)
    )
    assert_quiet(visited, written)


def test_a_timeline_without_scripts_is_a_drawing(written, visit: Visit):
    visited = visit(written / CASE, java_script_enabled=False)
    assert visited.page.locator("figure img").evaluate(DRAWN)
    assert "swapped 46.0 MiB" in visited.page.locator(".peaks").inner_text()
    assert visited.page.locator(".uplot").count() == 0


# --- everybody can read it ------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("target", [FRONT, CASE])
def test_axe_finds_nothing_and_nothing_overflows(written, visit: Visit, target, width, scheme):
    visited = visit(written / target, width, scheme)
    visited.page.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
    found = Axe().run(visited.page, options={"preload": False})  # no request of its own
    assert found.response["passes"]
    assert found.response["violations"] == [], found.generate_report()
    assert visited.page.evaluate("document.documentElement.scrollWidth") <= width
    assert_quiet(visited, written)


# --- as Jenkins serves it -------------------------------------------------------------------------


class _Jenkins(SimpleHTTPRequestHandler):
    """Serves files as Jenkins serves those of a build."""

    policy = ""
    extensions_map: ClassVar = {**SimpleHTTPRequestHandler.extensions_map, ".log": "text/plain"}

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", self.policy)
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(params=JENKINS)
def jenkins(request: pytest.FixtureRequest, written: Path) -> Iterator[str]:
    handler = type("Handler", (_Jenkins,), {"policy": request.param})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(written)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_under_the_policy_of_jenkins_pages_are_styled_and_whole(jenkins, visit: Visit):
    visited = visit(f"{jenkins}/{FRONT}")
    page = visited.page
    color = "one => getComputedStyle(one).backgroundColor"
    assert page.locator("#map td.failed").first.evaluate(color) == "rgb(195, 32, 47)"
    assert not page.locator("form").is_visible()  # it needs a script
    page.locator(f"#map {CELL}").click()
    page.wait_for_url(f"**/{CASE}")
    assert "37 operations were changed" in page.locator(".checks").inner_text()
    assert page.locator("figure img").evaluate(DRAWN)
    assert not page.get_by_role("button", name="Copy").is_visible()
    page.get_by_role("link", name="stdout.log").first.click()
    assert "epoch 1/1" in page.content()
    assert all(request.startswith(jenkins) for request in visited.requests)


# --- hostile --------------------------------------------------------------------------------------


def test_nothing_that_was_written_by_others_runs(tmp_path, visit: Visit, monkeypatch):
    text = " ".join(examples.HOSTILE)
    monkeypatch.setattr(pages, "timelines", lambda *_: [examples.timeline(text)])
    record = examples.hostile()
    examples.write_logs(record, tmp_path, text)
    pages.write(record, tmp_path)
    visited = visit(tmp_path / FRONT)
    drawn = 0
    for path in [tmp_path / FRONT, *(tmp_path / "cases").glob("*.html")]:
        visited.page.goto(path.as_uri())
        assert "onerror" in visited.page.locator("body").inner_text()  # as text
        assert visited.page.locator("body img:not(figure img), body script:not(#data)").count() == 0
        assert visited.page.title() != "owned"
        drawn += visited.page.locator(".uplot").count()
        for address in visited.page.eval_on_selector_all("a", "all => all.map(one => one.href)"):
            assert Path(unquote(urlsplit(address).path)).is_relative_to(tmp_path)
    assert drawn > 0
    assert_quiet(visited, tmp_path)


def test_a_script_that_got_into_a_page_is_not_run(written, visit: Visit, tmp_path):
    """The policy holds where escaping would not: for text, and for a file that a phase left."""
    (written / "phases" / "left.js").write_text("document.title = 'owned'")
    page = (written / FRONT).read_text()
    bad = "<script>document.title = 'owned'</script><script src='phases/left.js'></script>"
    (written / "bad.html").write_text(page.replace("<main>", f"<main>{bad}"))
    visited = visit(written / "bad.html")
    assert visited.page.title() != "owned"
    assert len(visited.complaints) == 2
    assert all("Content Security Policy" in complaint for complaint in visited.complaints)
    (written / "bad.html").unlink()
