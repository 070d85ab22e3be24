"""The timelines of a case, from files of a run: whole ones, odd ones, and none."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.measure.samples import HEADER, Sample, to_line
from harness.record import times
from harness.record.models import CaseRecord, PhaseUse, RunRecord
from harness.record.times import Points, Times
from harness.report.timeline.model import Mark, Series, Timeline
from harness.report.timeline.timelines import timelines
from tests import records
from tests import timelines as files
from tests.timelines import MIB


def virtual() -> RunRecord:
    return records.record([records.case("one")])


def drawn(record: RunRecord, directory: Path) -> list[Timeline]:
    return timelines(record, record.cases[0], directory)


def named(timeline: Timeline, name: str) -> Series:
    return next(series for series in timeline.series if series.name == name)


def marks(timeline: Timeline, kind: str, series: str = "swapped") -> list[Mark]:
    return [mark for mark in timeline.marks if mark.kind == kind and mark.series == series]


# --- the step, by the framework's records --------------------------------------------------------


def test_a_step_and_its_control_lie_over_each_other(tmp_path: Path) -> None:
    (timeline,) = drawn(virtual(), files.lay_out(virtual(), tmp_path))
    assert (timeline.phase, timeline.axis, timeline.ceiling) == ("load", "seconds", None)
    assert "framework's own records" in timeline.meter
    assert [series.name for series in timeline.series] == [
        *("swapped", "swapped, host", "control", "control, host"),
    ]
    swapped = named(timeline, "swapped")
    assert (swapped.track, swapped.unit) == ("accelerator", "B")
    assert swapped.t == [0, 0.01, 0.02, 0.03, 0.04]  # until the step ends
    assert swapped.value == [0, 23 * MIB, 46 * MIB, 7, 7]
    assert {(peak.series, peak.t, peak.label) for peak in timeline.peaks} >= {
        ("swapped", 0.02, "46.0 MiB"),
        ("control", 0.02, "82.0 MiB"),
    }
    assert [mark.t for mark in marks(timeline, "swap_out")] == [0.011, 0.012]
    assert [mark.t for mark in marks(timeline, "swap_in")] == [0.028]
    assert not marks(timeline, "swap_out", "control")
    assert [mark.t for mark in marks(timeline, "edit")] == [-3.25]
    assert [mark.t for mark in marks(timeline, "load")] == [-3.0]  # the first look at it
    assert [mark.t for mark in marks(timeline, "step_begin")] == [0]
    assert [mark.t for mark in marks(timeline, "step_end")] == [0.04]
    assert [(tensor.name, tensor.bytes) for tensor in timeline.largest] == [
        ("conv2d_Relu_0", 46 * MIB // 4)
    ]


def test_a_compiled_program_has_an_order_and_no_times(tmp_path: Path) -> None:
    record = virtual()
    for phase in record.phases:
        step = files.step(MIB, unit="operations", end=200, began=None, meter="compiled program")
        times.keep(Times(moments=files.told(MIB).moments, series=[step]), _made(tmp_path, phase))
    (timeline,) = drawn(record, tmp_path)
    assert timeline.axis == "operations"
    assert "operation by operation" in timeline.meter
    assert max(named(timeline, "swapped").t) == 30_000
    assert not marks(timeline, "edit")


def test_a_control_by_another_measure_is_left_out(tmp_path: Path) -> None:
    record = virtual()
    files.lay_out(record, tmp_path)
    control = next(phase for phase in record.phases if phase.control_of)
    step = files.step(MIB, unit="operations")
    times.keep(Times(series=[step]), tmp_path / control.directory)
    (timeline,) = drawn(record, tmp_path)
    assert {series.name for series in timeline.series} == {"swapped", "swapped, host"}


def test_of_several_steps_that_of_the_phases_role_counts(tmp_path: Path) -> None:
    record = virtual()
    predict = files.step(9 * MIB, function="predict")
    told = Times(series=[files.step(3 * MIB), files.step(5 * MIB), predict])
    times.keep(told, _made(tmp_path, record.phases[1]))
    (timeline,) = drawn(record, tmp_path)
    assert timeline.peaks[0].value == 5 * MIB


def test_a_step_without_a_point_is_no_timeline(tmp_path: Path) -> None:
    record = virtual()
    empty = files.step(1, accelerator=None, host=Points(at=[], bytes=[]))
    times.keep(Times(series=[empty]), _made(tmp_path, record.phases[1]))
    assert drawn(record, tmp_path) == []


def test_a_case_without_controls_is_judged_by_its_last_phase(tmp_path: Path) -> None:
    record = virtual()
    files.lay_out(record, tmp_path)
    uses = [use.model_copy(update={"control": None}) for use in record.cases[0].phases]
    case = record.cases[0].model_copy(update={"phases": uses})
    (timeline,) = timelines(record, case, tmp_path)
    assert (timeline.phase, [series.name for series in timeline.series]) == (
        *("load", ["swapped", "swapped, host"]),
    )


# --- a phase on a GPU, by samples ----------------------------------------------------------------


def test_samples_are_aligned_at_the_step(tmp_path: Path) -> None:
    record = files.gpu_record()
    files.lay_out(record, tmp_path)
    swapped, control = record.phases[1], record.phases[2]
    files.samples(tmp_path / swapped.directory, 300 * MIB, gap=True)
    files.samples(tmp_path / control.directory, 900 * MIB)
    # The control's step began a second earlier in its phase.
    times.keep(files.told(82 * MIB, began=files.BEGAN - 1), tmp_path / control.directory)
    sampled, traced = drawn(record, tmp_path)
    assert "NVML" in sampled.meter
    assert "0 is the begin of the traced step" in sampled.meter
    assert traced.peaks[0].label == "46.0 MiB"
    peaks = {peak.series: (round(peak.t, 6), peak.value) for peak in sampled.peaks}
    assert peaks["swapped"] == (0.25, 250 * MIB)  # of the process, in one sample of 400
    assert peaks["control"] == (1.25, 850 * MIB)
    assert peaks["swapped, host"][1] == 300 * MIB + 399
    assert len(named(sampled, "swapped").t) <= 400
    bus = {s.name: max(s.value) for s in sampled.series if s.track == "bus"}
    assert set(bus) == {
        *("swapped, PCIe to host", "swapped, PCIe to GPU"),
        *("control, PCIe to host", "control, PCIe to GPU"),
    }
    assert bus["swapped, PCIe to host"] == pytest.approx(20 * MIB, rel=0.01)
    assert bus["control, PCIe to GPU"] == pytest.approx(40 * MIB, rel=0.01)
    ((begin, end),) = sampled.gaps
    assert (round(begin, 6), round(end, 6)) == (7.45, 9.5)
    assert [round(mark.t, 6) for mark in marks(sampled, "edit")] == [-3.25]
    assert [round(mark.t, 6) for mark in marks(sampled, "step_begin")] == [0]
    assert [round(mark.t, 6) for mark in marks(sampled, "swap_out")] == [0.011, 0.012]


@pytest.mark.parametrize("began", [None, 0.0, 5_100.0])
def test_the_clock_of_another_machine_is_no_alignment(tmp_path: Path, began: float | None) -> None:
    record = files.gpu_record()
    told = Times(series=[files.step(MIB, began=began)] if began is not None else [])
    for phase in record.phases:
        files.samples(tmp_path / phase.directory, 300 * MIB)
        times.keep(told, tmp_path / phase.directory)
    sampled = drawn(record, tmp_path)[0]
    assert "0 is the first sample" in sampled.meter
    assert named(sampled, "swapped").t[0] == 0
    assert not sampled.marks


def test_rates_of_counters_that_came_round_and_that_were_set_back(tmp_path: Path) -> None:
    record = files.gpu_record()
    counted = [2**32 - 100, 50, 1_000_050, None, 2_000_050]
    rows = [
        to_line(Sample(t_s=float(at), gpu_used=1, pcie_tx_bytes=sent, pcie_bits=32))
        for at, sent in enumerate(counted)
    ]
    path = _made(tmp_path, record.phases[1]) / "samples.csv"
    path.write_text(HEADER + "".join(rows))
    sampled = drawn(record, tmp_path)[0]
    assert named(sampled, "swapped, PCIe to host").value == [150, 1e6, 5e5, 0]
    assert named(sampled, "swapped, PCIe to host").t == [0, 1, 2, 4]


def test_a_device_that_only_tells_throughput(tmp_path: Path) -> None:
    record = files.gpu_record()
    rows = [to_line(Sample(t_s=at * 0.05, gpu_used=1, pcie_rx_kib_s=at)) for at in range(9)]
    path = _made(tmp_path, record.phases[1]) / "samples.csv"
    path.write_text(HEADER + "".join(rows))
    assert max(named(drawn(record, tmp_path)[0], "swapped, PCIe to GPU").value) == 8 * 1024


# --- what a directory may hold -------------------------------------------------------------------


def _made(directory: Path, phase) -> Path:  # type: ignore[no-untyped-def]
    made = directory / phase.directory
    made.mkdir(parents=True, exist_ok=True)
    return made


ODD = ["", "{", "[]", "null", '{"series": 5}', '{"moments": [{"event": 1}]}', "\x00" * 99, "9" * 99]


@pytest.mark.parametrize("content", ODD)
def test_what_is_no_timeline_is_none(tmp_path: Path, content: str) -> None:
    record = files.gpu_record()
    for phase in record.phases:
        (_made(tmp_path, phase) / times.FILE).write_text(content)
        (tmp_path / phase.directory / "samples.csv").write_text(content)
    assert drawn(record, tmp_path) == []


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_samples_make_it_raise(tmp_path_factory: pytest.TempPathFactory, data) -> None:  # type: ignore[no-untyped-def]
    directory = tmp_path_factory.mktemp("run")
    record = files.gpu_record()
    cells = st.sampled_from(["", "1", "-1", "1e308", "nan", "inf", "x", "9" * 400, "5", "0.1"])
    width = HEADER.count(",") + 1
    rows = data.draw(st.lists(st.lists(cells, min_size=1, max_size=width + 2), max_size=12))
    for phase in record.phases:
        made = _made(directory, phase)
        (made / "samples.csv").write_text(
            HEADER + "".join(",".join(row) + "\n" for row in rows) + data.draw(cells)
        )
        (made / times.FILE).write_text(files.told(MIB).to_json())
    for timeline in drawn(record, directory):
        for series in timeline.series:
            assert len(series.t) == len(series.value) <= 402
            assert series.t == sorted(series.t)


def test_files_that_have_no_end_or_cannot_be_read(tmp_path: Path) -> None:
    record = files.gpu_record()
    for phase in record.phases:
        made = _made(tmp_path, phase)
        os.mkfifo(made / times.FILE)
        (made / "samples.csv").symlink_to("/dev/zero")
    assert drawn(record, tmp_path) == []


def test_a_directory_outside_of_the_run_is_not_read(tmp_path: Path) -> None:
    record = virtual()
    run = tmp_path / "run"
    files.lay_out(record, tmp_path / "elsewhere")
    run.mkdir()
    (run / "link").symlink_to(tmp_path / "elsewhere")
    outside = ["../elsewhere", str(tmp_path / "elsewhere"), "link", "a\x00b", "", "."]
    for place in outside:
        phases = [
            phase.model_copy(update={"directory": f"{place}/{phase.directory}" if place else ""})
            for phase in record.phases
        ]
        assert drawn(record.model_copy(update={"phases": phases}), run) == [], place
    assert drawn(record, tmp_path / "elsewhere")


def test_samples_that_are_no_numbers(tmp_path: Path) -> None:
    record = virtual()
    values = {"n": "many", "gpu_samples": 10**400, "began_s": [], "duration_s": None}
    phases = [phase.model_copy(update={"samples": values}) for phase in record.phases]
    assert drawn(record.model_copy(update={"phases": phases}), tmp_path) == []


def test_a_case_that_names_phases_that_are_not_there(tmp_path: Path) -> None:
    use = PhaseUse(name="load", key="nowhere", control="neither")
    case = CaseRecord(flavor="f", family="g", scenario="s", phases=[use])
    assert timelines(virtual(), case, tmp_path) == []
    assert timelines(virtual(), case.model_copy(update={"phases": []}), tmp_path) == []


def test_a_timeline_is_json_and_back(tmp_path: Path) -> None:
    (timeline,) = drawn(virtual(), files.lay_out(virtual(), tmp_path))
    assert Timeline.model_validate_json(timeline.to_json()) == timeline
    assert json.loads(timeline.to_json())["series"][0]["name"] == "swapped"
