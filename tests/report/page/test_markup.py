"""Values are escaped wherever they stand, and no script runs but ours."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
import zipfile

import pytest

from harness.report.page import markup
from tests.paths import ROOT

# npm: uplot 1.6.32, dist/ and LICENSE
UPLOT = {
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}


@pytest.mark.parametrize("name", UPLOT)
def test_uplot_is_as_it_was_published(name):
    content = (markup.STATIC / "uplot" / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == UPLOT[name]


def test_everything_static_is_copied():
    there = {
        path.relative_to(markup.STATIC).as_posix()
        for path in markup.STATIC.rglob("*")
        if path.is_file()
    }
    assert there == set(markup.STATIC_FILES)


def test_styles_and_scripts_ask_nobody_for_anything():
    for name in markup.STATIC_FILES:
        if name != "uplot/LICENSE":
            text = (markup.STATIC / name).read_text(encoding="utf-8")
            text = text.replace("/*! https://github.com/leeoniya/uPlot (v1.6.32) */", "")
            assert not re.search(r"https?:|url\(|@import|fetch\(|eval\(|XMLHttp", text), name


def test_the_policy_allows_the_script_that_is_there_and_no_other():
    page = markup.render("fallback.html.j2", "../", ["case.js"], problem="x")
    (script,) = re.findall(r"<script>(.*?)</script>", page)
    assert "../page/case.js" in script
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)[0]
    policy = policy.replace("&#39;", "'")
    assert f"script-src 'sha256-{digest}' 'strict-dynamic';" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


@pytest.mark.parametrize("text", ["<b>", "&", '"', "'", "</script>", "<!--"])
def test_text_is_escaped(text):
    page = markup.render("fallback.html.j2", "", [], problem=f"x{text}y")
    assert f"x{text}y" not in page


def test_no_template_has_inline_style_or_an_event_handler():
    for template in (markup.STATIC.parent / "templates").glob("*.j2"):
        text = template.read_text(encoding="utf-8")
        assert not re.search(r"<style|\sstyle=|\son\w+=|\|safe\b", text), template.name


@pytest.mark.slow
def test_a_wheel_has_templates_styles_and_scripts(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "harness"):
        (source / name).symlink_to(ROOT / name)
    wheel = ("wheel", "--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(tmp_path))
    subprocess.run([sys.executable, "-m", "pip", *wheel, str(source)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {f"harness/report/page/static/{name}" for name in markup.STATIC_FILES}
    wanted |= {
        f"harness/report/page/templates/{path.name}"
        for path in (markup.STATIC.parent / "templates").iterdir()
    }
    assert wanted <= names
