"""HTML from facts: every value is escaped, and every script is known by its hash.

Jenkins serves archived files under `sandbox; default-src 'none'; img-src 'self'; style-src 'self';`
(https://www.jenkins.io/doc/book/system-administration/security/configuring-content-security-policy/;
newer ones: `sandbox allow-same-origin; ...`): no script and no inline style, but style sheets and
images of the same origin. So all that a page says is in its HTML, styles and pictures are files,
and scripts only add to it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from harness.base.text import mib, plural
from harness.report.timeline import axis
from harness.report.timeline.model import Timeline

STATIC = Path(__file__).parent / "static"
PLOT_SCRIPTS = ("uplot/uPlot.iife.min.js", "plots.js")
STATIC_FILES = (
    "style.css",
    "heat_map.js",
    "case.js",
    *PLOT_SCRIPTS,
    "uplot/uPlot.min.css",
    "uplot/LICENSE",
)
"""What pages need beside them, as paths below `STATIC` and `ASSETS`."""
ASSETS = "page"  # the directory of styles and scripts, below the run directory

_LOADER = (
    "for(const name of %s){const script=document.createElement('script');"
    "script.src=name;script.async=false;document.head.append(script)}"
)


def render(template: str, up: str, scripts: list[str], **values: Any) -> str:
    """Returns a page.

    Args:
        template: its name.
        up: the run directory as seen from the page, `""` or `"../"`.
        scripts: names of its scripts below `static/`, in order.
    """
    loader, policy = _loader(up, tuple(scripts))
    return (
        _environment()
        .get_template(template)
        .render(up=up, assets=f"{up}{ASSETS}", loader=loader, policy=policy, **values)
    )


def fragment(template: str, **values: Any) -> Markup:
    """Returns a part of a page that many have in common."""
    return Markup(_environment().get_template(template).render(**values))


@cache
def _loader(up: str, scripts: tuple[str, ...]) -> tuple[Markup, str]:
    """The inline script that loads the others, and the policy that allows it alone.

    With 'strict-dynamic' a script that is allowed by its hash may load others, and nothing else
    may: were text of a log ever taken for HTML, it could not even load a file that a phase left.
    """
    text = _LOADER % json.dumps([f"{up}{ASSETS}/{name}" for name in scripts])
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}' 'strict-dynamic'; style-src 'self';"
        " img-src 'self'; base-uri 'none'; form-action 'none'"
    )
    return Markup(text), policy


def _told(timeline: Timeline) -> list[str]:
    """What a plot cannot show, in sentences; the caption has the first one."""
    return axis.words(timeline, axis.Span.of(timeline))[1:]


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        auto_reload=False,  # else each page looks whether its templates were changed
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"mib": mib, "plural": plural, "told": _told}
    return environment
