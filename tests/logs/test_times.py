"""What a log says about time: markers with one and without, and more of it than anybody needs."""

from __future__ import annotations

import json
from typing import Any

from harness.logs.kept import MOMENTS_LIMIT, SERIES_LIMIT
from harness.logs.parser import parse
from harness.record.times import Moment, Times

STEP = {"function": "train", "unit": "microseconds"}


def mark(event: str, **fields: Any) -> bytes:
    return b":::LMS " + json.dumps({"event": event, **fields}).encode() + b"\n"


def test_a_log_without_times_has_none() -> None:
    facts = parse(mark("lms_edited", swap_out=1, swap_in=1) + mark("done"))
    assert facts.times == Times()
    assert facts.done
    assert not facts.problems


def test_moments_and_steps() -> None:
    facts = parse(
        mark("lms_edited", t=5.5, swap_out=1, swap_in=1)
        + mark("series", t=9.0, began=8.0, accelerator={"at": [0], "bytes": [7]}, **STEP)
        + mark("trace", t=9.1, function="train", peak_accelerator=7)
        + mark("done", t=9.2)
    )
    assert not facts.problems
    assert [(moment.event, moment.t) for moment in facts.times.moments] == [
        *(("lms_edited", 5.5), ("series", 9.0), ("trace", 9.1), ("done", 9.2)),
    ]
    (step,) = facts.times.series
    assert (step.began, step.line) == (8.0, 2)
    assert facts.traces[0].peak_accelerator == 7
    assert facts.markers == 4


def test_a_wrong_time_is_a_malformed_marker_and_says_nothing() -> None:
    facts = parse(mark("trace", t="soon", function="train") + mark("series", **STEP, end=-1))
    assert [problem.kind for problem in facts.problems] == ["malformed_marker"] * 2
    assert facts.problems[0].text.startswith("trace: t is not seconds from 0 to 2^63-1: ")
    assert not facts.traces
    assert facts.times == Times()


def test_of_too_many_the_first_and_the_last_are_kept() -> None:
    metrics = [mark("metric", t=float(t), name="loss", value=0.5) for t in range(MOMENTS_LIMIT + 9)]
    steps = [mark("series", began=float(t), **STEP) for t in range(SERIES_LIMIT + 9)]
    facts = parse(b"".join([*metrics, *steps, mark("done", t=1e6)]))
    told = [moment for moment in facts.times.moments if moment.event == "metric"]
    assert (len(told), told[0].t, told[-1].t) == (MOMENTS_LIMIT, 0, MOMENTS_LIMIT + 8)
    assert facts.times.moments[-1] == Moment(event="done", t=1e6)
    began = [step.began for step in facts.times.series]
    assert (len(began), began[0], began[-1]) == (SERIES_LIMIT, 0, SERIES_LIMIT + 8)
    assert facts.dropped == 9
