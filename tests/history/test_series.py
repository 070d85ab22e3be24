from __future__ import annotations

from harness.history import series
from harness.record.checks import CheckId, Status
from tests import records


def point(started: str, **values):
    return series.Point(**{"run": started, "started": started, "status": Status.PASSED, **values})


def test_a_point_has_the_worst_check_and_the_numbers_of_the_step():
    points = dict(series.points(records.run()))
    good = points["tf1-tfkeras.keras_saveload.trainsave-loadtrain"]
    assert (good.status, good.check, good.message) == (Status.PASSED, None, "")
    assert good.numbers["peak_bytes"] == 48234496
    assert "control_peak_bytes" not in good.numbers
    bad = points["tf1-tfkeras.keras_saveload.weights-session"]
    assert (bad.status, bad.check) == (Status.FAILED, CheckId.EDIT_TOOK_EFFECT)
    assert bad.message.startswith("37 operations")


def test_a_case_that_was_skipped_or_has_no_verdict_is_no_point():
    names = [name.rpartition(".")[2] for name, _ in series.points(records.run())]
    assert not {"tf-checkpoint", "never-reached"} & set(names)


def test_the_last_points_are_by_the_start_of_their_runs():
    points = [point("3"), point("1"), point("2")]
    assert [entry.run for entry in series.last(points, 2)] == ["2", "3"]
    assert series.last(points, 0) == []


def test_a_number_that_a_run_does_not_have_is_a_gap():
    points = [
        point("1", numbers={"b.step_ms": 5.0, "b.peak_bytes": 1.0}),
        point("2"),
        point("3", numbers={"b.peak_bytes": 9.0}),
    ]
    assert series.names(points) == ["b.peak_bytes", "b.step_ms"]
    assert series.values(points, "b.peak_bytes") == [1.0, None, 9.0]


def test_a_sparkline_goes_from_the_lowest_to_the_highest():
    line = series.sparkline([0.0, None, 7.0, 14.0])
    assert (line[0], line[1], line[3], len(line)) == ("▁", " ", "█", 4)
    assert series.sparkline([5.0, 5.0]) == "▁▁"
    assert series.sparkline([53911824.0, 53911568.0]) == "▁▁"  # 256 bytes are no news
    assert series.sparkline([-1.0, 1.0]) == "▁█"
    assert series.sparkline([None, None]) == "  "
    assert series.sparkline([]) == ""
