"""A timeline on a terminal, and where there is none."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from harness.report.timeline import chart
from harness.report.timeline.axis import Span
from harness.report.timeline.model import Series, Timeline
from harness.report.timeline.timelines import timelines
from tests import records
from tests import timelines as files


def step(tmp_path: Path) -> Timeline:
    record = records.record([records.case("one")])
    (timeline,) = timelines(record, record.cases[0], files.lay_out(record, tmp_path))
    return timeline


def printed(timeline: Timeline, **console: object) -> str:
    file = io.StringIO()
    chart.show(timeline, Console(file=file, width=80, **console))  # type: ignore[arg-type]
    return file.getvalue()


def test_where_there_is_no_terminal_the_peaks_are_told(tmp_path: Path) -> None:
    text = printed(step(tmp_path))
    assert text.isascii()
    assert "\x1b" not in text
    assert "swapped: peak 46.0 MiB at 20 ms" in text
    assert "control, host: peak 27.3 MiB at 15 ms" in text
    assert "swap-outs: the first at 11 ms, the last at 12 ms" in text
    assert "LMS edited 3.25 s before the step begins" in text


def test_bars_of_both_executions_have_one_scale(tmp_path: Path) -> None:
    text = printed(step(tmp_path), force_terminal=True, color_system=None)
    lines = text.splitlines()
    assert max(len(line) for line in lines) <= 80
    bars = {line[:10].strip(): line[10:] for line in lines}
    assert "█" in bars["82.0 MiB"]
    assert "█" in bars["46.0 MiB"]
    top = [line for line in lines if line.startswith(" " * 10) and "█" in line]
    assert len(top) >= 1  # the control's, which are higher than the swapped's
    assert "·" in bars["out"]
    assert "·" in bars["in"]
    assert "40 ms" in text


def test_a_terminal_without_these_characters_gets_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Console, "encoding", "ascii")
    assert printed(step(tmp_path), force_terminal=True).isascii()


def test_text_is_no_markup(tmp_path: Path) -> None:
    timeline = step(tmp_path).model_copy(update={"phase": "[red]load[/]\x1b[31m"})
    for options in ({}, {"force_terminal": True, "color_system": None}):
        assert "[red]load[/]" in printed(timeline, **options)


def test_a_column_shows_the_greatest_value_that_was_alive_in_it() -> None:
    series = Series(
        name="swapped", track="accelerator", unit="B", t=[0, 1.2, 1.3, 6, 8], value=[3, 9, 2, 5, 0]
    )
    span = Span(0, 8, "s", 1)
    assert chart.heights(series, span, 4) == [9, 2, 2, 5]
    assert chart.heights(series, span, 8) == [3, 9, 2, 2, 2, 2, 5, 5]
