"""Marker lines: what is read from them, and what a malformed one is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.logs import markers
from harness.logs.markers import MalformedError
from harness.record.facts import Claim, Digest, Edit, Metric, Trace
from harness.record.times import POINTS_LIMIT, Moment, StepSeries

SHA = "ab" * 32


def read(event: str, **fields: Any) -> markers.Fact:
    return markers.fact(json.dumps({"event": event, **fields}).encode(), 7)[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b'{"event": "unheard"}', "event 'unheard' is not known"),
        (b'{"event": 3}', "event 3 is not known"),
        (b'{"event": "\\ud800"}', r"event '\ud800' is not known"),
        (b'{"event": "lms_edited", "swap_out": 1}', "lms_edited: swap_in is missing"),
        (
            b'{"event": "lms_edited", "swap_out": -1, "swap_in": 1}',
            "lms_edited: swap_out is not a whole number from 0 to 2^63-1",
        ),
        (
            b'{"event": "lms_edited", "swap_out": 1, "swap_in": 1, "ms": Infinity}',
            "lms_edited: ms is not a finite number from 0",
        ),
        (b'{"event": "metric", "name": "loss"}', "metric: value is missing"),
        (b'{"event": "metric", "name": "loss", "value": "low"}', "metric: value is not a number"),
        (b'{"event": "metric", "name": "", "value": 1}', "metric: name is not a text"),
        (
            b'{"event": "digest", "of": "bias", "stage": "saved", "sha256": "00"}',
            "digest: of is not one of weights, optimizer, predictions, random",
        ),
        (
            b'{"event": "digest", "of": "weights", "stage": "saved", "sha256": "00"}',
            "digest: sha256 is not 64 hexadecimal digits",
        ),
        (b'{"event": "trace", "function": "both"}', "trace: function is not train or predict"),
        (b'{"event": "claim", "text": "a"}', "claim: expected is missing"),
        (
            b'{"event": "claim", "text": "a", "expected": [1]}',
            "claim: expected is not a single value",
        ),
        (b'{"event": "ready"}', "ready: port is missing"),
        (b'{"event": "ready", "port": 65536}', "ready: port is not a number from 1 to 65535"),
        (b'{"event": "note"}', "note: text is missing"),
        (b"[1]", "not a JSON object"),
    ],
)
def test_one_line_says_which_event_and_which_field(text: bytes, words: str) -> None:
    with pytest.raises(MalformedError) as caught:
        markers.fact(text, 1)
    assert str(caught.value) == words


@pytest.mark.parametrize("port", [0, 65536, -1, "5000", 5000.0, True, None, 2**70, float("nan")])
def test_a_port_is_a_true_integer(port: object) -> None:
    text = json.dumps({"event": "ready", "port": port}).encode()
    with pytest.raises(MalformedError, match=r"^ready: port is not a number from 1 to 65535$"):
        markers.fact(text, 1)
    with pytest.raises(MalformedError):
        markers.ready_port(text)


def test_ready_port() -> None:
    assert markers.ready_port(b' {"event": "ready", "port": 80}') == 80
    assert markers.ready_port(b'{"event": "done"}') is None
    assert markers.ready_port(b"{") is None


def test_some_writers_know_no_integers() -> None:
    edit = read("lms_edited", swap_out=12.0, swap_in=3, bytes_in=1e9)
    assert isinstance(edit, Edit)
    assert (edit.swap_out, edit.bytes_in, edit.operations) == (12, 10**9, 15)
    assert isinstance(edit.swap_out, int)


@pytest.mark.parametrize("value", [12.5, True, "12", 2**63, float("inf"), [1]])
def test_no_count(value: object) -> None:
    with pytest.raises(MalformedError, match="bytes_out is not a whole number"):
        read("lms_edited", swap_out=1, swap_in=1, bytes_out=value)


def test_what_is_no_text_is_left_out_where_it_may_be() -> None:
    trace = read("trace", function="train", meter=3)
    assert isinstance(trace, Trace)
    assert (trace.meter, trace.steps) == ("allocations", None)
    metric = read("metric", name="loss", value=1, split=4)
    assert isinstance(metric, Metric)
    assert metric.split is None


@pytest.mark.parametrize(("said", "steps"), [(14, 14), (0, 0), (None, None)])
def test_a_trace_tells_the_steps_of_its_phase(said: int | None, steps: int | None) -> None:
    trace = read("trace", function="train", steps=said)
    assert isinstance(trace, Trace)
    assert trace.steps == steps
    with pytest.raises(MalformedError, match="trace: steps is not a whole number"):
        read("trace", function="train", steps=-1)


def test_the_last_of_two_keys_counts() -> None:
    fact, problem, _ = markers.fact(b'{"event":"metric","name":"a","value":NaN,"value":2}', 1)
    assert isinstance(fact, Metric)
    assert (fact.value, problem) == (2.0, None)


def test_the_largest_counts_stay_readable() -> None:
    edit = read("lms_edited", swap_out=2**63 - 1, swap_in=2**63 - 1)
    assert isinstance(edit, Edit)
    assert edit.operations == 2**63 - 1


def test_numbers_keep_their_kind() -> None:
    claim = read("claim", text="a", expected=True, found=1)
    assert isinstance(claim, Claim)
    assert (claim.expected, claim.found, claim.holds) == (True, 1, False)
    assert read("claim", text="a", expected=1, found=1.5).found == 1.5  # type: ignore[union-attr]


def test_what_a_tensor_says_beside_its_fields_is_ignored() -> None:
    each = [{"name": "a", "shape": [2], "sha256": SHA, "dtype": "float32"}]
    digest = read("digest", of="weights", stage="final", sha256=SHA, each=each)
    assert isinstance(digest, Digest)
    assert digest.each is not None
    assert (digest.each[0].name, digest.each[0].projections) == ("a", None)


@pytest.mark.parametrize("event", ["done", "note", "metric", "environment", "ready"])
def test_a_marker_tells_when_it_was_written(event: str) -> None:
    fields = {"text": "a", "name": "loss", "value": 0.5, "python": "3.7.9", "port": 80}
    told = json.dumps({"event": event, "t": 4021.5, **fields}).encode()
    assert markers.fact(told, 1).moment == Moment(event=event, t=4021.5)
    untold = json.dumps({"event": event, **fields}).encode()
    assert markers.fact(untold, 1).moment is None
    assert markers.fact(untold, 1).fact == markers.fact(told, 1).fact


def test_the_moment_says_what_the_marker_is_about() -> None:
    digest = {"event": "digest", "of": "weights", "stage": "restored", "sha256": SHA, "t": 1}
    told = markers.fact(json.dumps(digest).encode(), 1).moment
    assert told == Moment(event="digest", detail="restored weights", t=1.0)


@pytest.mark.parametrize(
    "t", ["1.0", "NaN", float("nan"), float("inf"), -1, -1e-9, 1e300, 10**400, True, [1], {}]
)
def test_a_time_is_a_number_of_seconds(t: object) -> None:
    with pytest.raises(MalformedError, match=r"^done: t is not seconds from 0 to 2\^63-1$"):
        read("done", t=t)


STEP = {
    "function": "train",
    "unit": "microseconds",
    "began": 12.5,
    "end": 900,
    "accelerator": {"at": [0, 5, 5, 9], "bytes": [0, 100, 80, 0]},
    "host": None,
    "swap_out": [4],
    "swap_in": [7.0],
    "largest": [{"name": "relu_0", "bytes": 20, "dtype": "float32"}],
}


def test_a_step_over_time() -> None:
    step = read("series", meter="allocations", **STEP)
    assert isinstance(step, StepSeries)
    assert step.accelerator is not None
    assert (step.accelerator.at, step.accelerator.bytes) == ([0, 5, 5, 9], [0, 100, 80, 0])
    assert (step.began, step.host, step.swap_in, step.line) == (12.5, None, [7], 7)
    assert [(tensor.name, tensor.bytes) for tensor in step.largest] == [("relu_0", 20)]


MANY = [0] * (POINTS_LIMIT + 1)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"unit": "days"}, "unit is not microseconds or operations"),
        ({"function": "both"}, "function is not train or predict"),
        ({"began": "now"}, "began is not seconds from 0 to 2^63-1"),
        ({"end": -1}, "end is not a whole number from 0 to 2^63-1"),
        ({"accelerator": {"at": [0], "bytes": [1, 2]}}, "accelerator is not points in the order"),
        ({"accelerator": {"at": [2, 1], "bytes": [1, 2]}}, "accelerator is not points in the ord"),
        ({"host": {"at": [0], "bytes": [-1]}}, "host is not points in the order of time"),
        ({"host": {"at": [0.5], "bytes": [1]}}, "host is not points in the order of time"),
        ({"host": {"at": MANY, "bytes": MANY}}, "host is not points in the order of time"),
        ({"host": [1]}, "host is not points in the order of time"),
        ({"swap_out": MANY}, "swap_out is not an array of at most 1024 whole numbers"),
        ({"swap_in": [None]}, "swap_in is not an array of at most 1024 whole numbers"),
        ({"largest": [{"name": "a"}]}, "largest is not an array of tensors"),
        ({"largest": "all"}, "largest is not an array of tensors"),
    ],
)
def test_no_step_over_time(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(MalformedError) as caught:
        read("series", **{**STEP, **fields})
    assert str(caught.value).startswith(f"series: {words}")


def test_values_beyond_the_limit_are_left_out() -> None:
    values = [0.5] * (markers.VALUES_LIMIT + 1)
    digest = read("digest", of="predictions", stage="saved", sha256=SHA, values=values)
    assert isinstance(digest, Digest)
    assert digest.values is None


_TOKENS = st.sampled_from(
    [
        "NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        "9" * 400,
        "9" * 5000,
        "[" * 2000,
        '{"a":' * 500,
        '"\\ud800"',
        '"\\u0000"',
        "true",
        "null",
        "12.0",
        "-0.0",
        '""',
        '"weights"',
        "[1, null]",
        '"operations"',
        '{"at": [0, 1], "bytes": [0, 9]}',
        "1e18",
    ]
)


@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from(
        ["lms_edited", "metric", "digest", "trace", "claim", "environment", "ready", "series"]
    ),
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "swap_out",
                    "swap_in",
                    "ms",
                    "name",
                    "value",
                    "epoch",
                    "of",
                    "stage",
                    "sha256",
                    "values",
                    "function",
                    "text",
                    "expected",
                    "found",
                    "versions",
                    "port",
                    "event",
                    "t",
                    "unit",
                    "began",
                    "accelerator",
                    "swap_out",
                    "largest",
                ]
            ),
            _TOKENS,
        ),
        max_size=8,
    ),
)
def test_nothing_but_malformed_is_raised(event: str, fields: list[tuple[str, str]]) -> None:
    body = "".join(f', "{name}": {token}' for name, token in fields)
    try:
        fact, _, moment = markers.fact(f'{{"event": "{event}"{body}}}'.encode(), 1)
    except MalformedError as problem:
        text = str(problem)
        assert len(text) < 400
        assert "\n" not in text
    else:
        str(fact).encode()
        assert moment is None or 0 <= moment.t < 2**63
