"""The picture: well-formed whatever is in it, and the numbers at their places."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.report.timeline import axis, svg
from harness.report.timeline.model import Mark, Moved, Series, Timeline, peak_of, series_of
from harness.report.timeline.timelines import timelines
from tests import records
from tests import timelines as files
from tests.records import ANYTHING

MIB = 1 << 20
NAME = "{http://www.w3.org/2000/svg}"


def step(tmp_path: Path) -> Timeline:
    record = records.record([records.case("one")])
    (timeline,) = timelines(record, record.cases[0], files.lay_out(record, tmp_path))
    return timeline


def small(**values: object) -> Timeline:
    series = [series_of("swapped", "accelerator", "B", [0.0, 1.0], [5.0, 2.0])]
    return Timeline.model_validate({"phase": "load", "meter": "m", "series": series, **values})


def texts(document: str) -> list[str]:
    return [text.text or "" for text in ElementTree.fromstring(document).iter(f"{NAME}text")]


def test_both_executions_with_their_peaks_and_both_memories(tmp_path: Path) -> None:
    shown = texts(svg.render(step(tmp_path)))
    for words in ("swapped", "control", "memory of the accelerator", "memory of the host", "ms"):
        assert words in shown
    assert {"46.0 MiB", "82.0 MiB", "15.3 MiB", "out", "in"} <= set(shown)
    assert any("LMS edited 3.25 s before the step begins" in line for line in shown)
    assert any("conv2d_Relu_0 11.5 MiB" in line for line in shown)


def test_a_reader_who_cannot_see_it_is_told_the_peaks(tmp_path: Path) -> None:
    root = ElementTree.fromstring(svg.render(step(tmp_path)))
    assert root.get("role") == "img"
    (description,) = root.iter(f"{NAME}desc")
    assert "control: peak 82.0 MiB at 20 ms" in (description.text or "")


def test_the_greatest_value_is_the_highest_point(tmp_path: Path) -> None:
    timeline = step(tmp_path)
    root = ElementTree.fromstring(svg.render(timeline))
    lowest_y = {}
    for path in root.iter(f"{NAME}path"):
        if path.get("class") in ("swapped", "control") and "V" in path.get("d", ""):
            ys = [float(y) for y in re.findall(r"V([\d.]+)", path.get("d", ""))]
            lowest_y.setdefault(path.get("class"), min(ys))
    circles = [c for c in root.iter(f"{NAME}circle") if float(c.get("cy", 0)) < 220]
    assert {c.get("class"): float(c.get("cy", 0)) for c in circles} == lowest_y
    assert lowest_y["control"] < lowest_y["swapped"]
    # 46 of 82: heights above the panel's floor have the ratio of the bytes.
    floor = 44 + 170
    ratio = (floor - lowest_y["swapped"]) / (floor - lowest_y["control"])
    assert ratio == pytest.approx(46 / 82, abs=0.01)


def test_a_ceiling_gaps_the_bus_and_moments() -> None:
    bus = [
        Series(name="swapped, PCIe to host", track="bus", unit="B/s", t=[0, 1], value=[9e9, 0]),
        Series(name="swapped, PCIe to GPU", track="bus", unit="B/s", t=[0, 1], value=[4e9, 0]),
    ]
    edit = Mark(t=0.5, kind="edit", label="LMS edited", series="swapped")
    timeline = small(ceiling=7, gaps=[(0.2, 0.4), (5, 6)], marks=[edit])
    document = svg.render(timeline.model_copy(update={"series": [*timeline.series, *bus]}))
    root = ElementTree.fromstring(document)
    assert "PCIe (dashed: to the GPU)" in texts(document)
    assert "8,583.1 MiB/s" in texts(document)
    assert any(line.startswith("ceiling") for line in texts(document))
    gaps = [shape for shape in root.iter(f"{NAME}rect") if shape.get("class") == "gap"]
    assert len(gaps) == 2  # the one in the span, in both panels
    assert len([p for p in root.iter(f"{NAME}path") if p.get("class") == "moment"]) == 2
    assert "swapped dashed" in {p.get("class") for p in root.iter(f"{NAME}path")}


@settings(max_examples=80, deadline=None)
@given(ANYTHING, ANYTHING)
def test_hostile_text_stays_text(phase: str, name: str) -> None:
    timeline = small(
        phase=phase or "p",
        meter=f"<script>alert(1)</script>{name}",
        largest=[Moved(name=name or "n", bytes=1)],
        marks=[Mark(t=0.5, kind="edit", label=f'"/><x onload="1"{name}', series="swapped")],
    )
    root = ElementTree.fromstring(svg.render(timeline))
    shapes = {"svg", "title", "desc", "style", "rect", "path", "text", "circle"}
    assert {element.tag.removeprefix(NAME) for element in root.iter()} <= shapes
    assert not [k for element in root.iter() for k in element.keys() if k.startswith("on")]  # noqa: SIM118


_NUMBERS = st.floats(0, 2.0**63)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-(2.0**63), 2.0**63), _NUMBERS), max_size=8).map(sorted),
    st.none() | st.integers(0, 2**63 - 1),
)
def test_any_series_makes_a_picture(points: list[tuple[float, float]], ceiling: int | None) -> None:
    t, value = [at for at, _ in points], [size for _, size in points]
    series = [series_of("control", "host", "B", t, value)]
    peaks = [peak_of(series[0])] if t else []
    document = svg.render(small(series=series, peaks=peaks, ceiling=ceiling))
    ElementTree.fromstring(document)
    assert "nan" not in document
    assert "inf" not in document.replace("infinite", "")


def test_one_timeline_is_one_text_and_loads_nothing(tmp_path: Path) -> None:
    timeline = step(tmp_path)
    document = svg.render(timeline)
    assert document == svg.render(timeline.model_copy())
    assert "http" not in document.replace("http://www.w3.org/2000/svg", "")
    assert "<script" not in document


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 8))
def test_ticks_are_few_and_within(begin: float, length: float, wanted: int) -> None:
    found = axis.ticks(begin, begin + length, wanted)
    assert len(found) <= 2 * wanted + 2
    assert all(begin - 1e-6 * length <= at <= begin + length + 1e-6 * length for at in found)


def test_round_numbers() -> None:
    assert axis.ticks(0, 90 * MIB, 4, MIB) == [0, 25 * MIB, 50 * MIB, 75 * MIB]
    assert axis.ticks(-12, 28, 4) == [-10, 0, 10, 20]
    assert axis.ticks(0, 0, 4) == []
