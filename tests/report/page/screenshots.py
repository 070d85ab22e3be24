"""Screenshots of pages, as docs/reports.md shows them: `docs/pages/*.webp`.

python -m tests.report.page.screenshots RUN OTHER CASE

RUN is the directory of the run whose overview is shown, CASE a case with a timeline in the run
OTHER. A canary is shown with the checks behind it, as a case that nobody meant to fail. Ten
thousand cases are made up.
"""

from __future__ import annotations

import base64
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from benchmarks.report import build
from harness.record import store
from harness.record.models import RunRecord
from harness.report.page import links, pages
from tests.paths import ROOT

OUTPUT = ROOT / "docs" / "pages"
QUALITY = 55
WIDTHS = {1280: 900, 400: 800}  # and the height
CASE_HEIGHTS = {1280: 2130, 400: 800}


def main(run: Path, other: Path, case: str) -> None:
    """Takes them all; says how large they are."""
    OUTPUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver:
        overview, shown, many = (Path(name) / part for part in ("overview", "run", "many"))
        shutil.copytree(other, shown, symlinks=True, ignore=shutil.ignore_patterns("artifacts"))
        pages.write(store.load(run), overview)
        record = _without_excuse(store.load(shown), case)
        pages.write(record, shown)
        pages.write(build(10_000), many)
        (page,) = (links.page_of(one) for one in record.cases if one.id == case)
        chromium = driver.chromium.launch(executable_path=shutil.which("chromium"))
        for width, height in WIDTHS.items():
            for scheme in ("light", "dark"):
                tail = f"{width}-{scheme}.webp"
                shoot(chromium, overview / "index.html", f"overview-{tail}", width, height, scheme)
                shoot(
                    chromium,
                    many / "index.html",
                    f"many-{tail}",
                    width,
                    height,
                    scheme,
                    "#heat-map",
                )
                target, end = shown / links.CASES / page, f"case-{tail}"
                place = "" if width > 1000 else "#timelines"
                shoot(chromium, target, end, width, CASE_HEIGHTS[width], scheme, place)
        chromium.close()
    sizes = {path.name: path.stat().st_size for path in OUTPUT.glob("*.webp")}
    for picture, size in sorted(sizes.items()):
        print(f"{size:>8,} {picture}")
    print(f"{sum(sizes.values()):>8,} in all")


def _without_excuse(record: RunRecord, name: str) -> RunRecord:
    cases = [
        case.model_copy(update={"expects": None, "checks": case.behind, "behind": []})
        if case.id == name and case.behind
        else case
        for case in record.cases
    ]
    return record.model_copy(update={"cases": cases})


def shoot(
    browser: Browser, page: Path, name: str, width: int, height: int, scheme: Any, place: str = ""
) -> None:
    """Takes a picture of a page, from its top or from a place on."""
    size = {"width": width, "height": height}
    context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
    window = context.new_page()
    window.goto(page.as_uri())
    if place:
        window.locator(place).evaluate("one => one.scrollIntoView()")
    window.wait_for_timeout(500)
    session = context.new_cdp_session(window)
    taken = session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
    (OUTPUT / name).write_bytes(base64.b64decode(taken["data"]))
    context.close()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
