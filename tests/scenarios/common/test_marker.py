from __future__ import annotations

import json
import time
from typing import Any

import pytest

from common import marker
from harness.logs import parser


class Scalar:
    """What numpy's scalars have."""

    def __init__(self, value: object) -> None:
        self._value = value

    def item(self) -> object:
        return self._value


def content(line: str) -> dict[str, Any]:
    assert line.startswith(":::LMS ")
    return json.loads(line[len(":::LMS ") :])


def test_line_is_the_event_and_its_fields() -> None:
    line = marker.format_line("metric", name="loss", value=0.5, epoch=1, split="train")
    assert content(line) == {
        "event": "metric",
        "name": "loss",
        "value": 0.5,
        "epoch": 1,
        "split": "train",
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Scalar(float("-inf"))])
def test_number_that_is_not_finite_is_null(value: object) -> None:
    line = marker.format_line("metric", value=value, values=[value, 1.0])
    assert content(line)["value"] is None
    assert content(line)["values"] == [None, 1.0]


def test_text_stays_on_one_line() -> None:
    line = marker.format_line("note", text="a\nb :::LMS c\u2028é")
    assert len(line.splitlines()) == 1
    assert content(line)["text"] == "a\nb :::LMS c\u2028é"


def test_value_without_json_form_is_refused() -> None:
    with pytest.raises(TypeError, match="no JSON value"):
        marker.format_line("note", text=object())


def test_emitted_line_is_read_by_the_harness(
    capfd: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    marker.emit("metric", name="loss", value=Scalar(2.5), epoch=1, split="test")
    marker.emit("done")
    path = tmp_path / "log"
    path.write_text(capfd.readouterr().out)
    facts = parser.parse(path)
    assert [(m.name, m.value, m.split) for m in facts.metrics] == [("loss", 2.5, "test")]
    assert facts.done
    assert not facts.problems


def test_emitted_line_tells_the_time(capfd: pytest.CaptureFixture[str]) -> None:
    before = time.monotonic()
    marker.emit("lms_edited", swap_out=1, swap_in=1)
    marker.emit("done")
    after = time.monotonic()
    told = [content(line)["t"] for line in capfd.readouterr().out.splitlines()]
    assert before - 1e-6 <= told[0] <= told[1] <= after + 1e-6
