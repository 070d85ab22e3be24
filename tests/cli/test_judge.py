"""`judge_log`: what a log alone allows, on recorded logs."""

from __future__ import annotations

import pytest

from harness.checks.log_alone import judge_log
from harness.logs.parser import parse
from harness.record.checks import CheckId, Status
from harness.record.facts import LogFacts
from harness.report.totals import CHECKS
from tests.paths import RESOURCES

LOGS = RESOURCES / "logs"


def letters(facts: LogFacts, provider: str = "graph") -> str:
    checks = judge_log(facts, provider)
    assert [check.id for check in checks] == list(CHECKS)
    assert [check.status for check in checks[3:]] == [Status.SKIPPED] * (len(CHECKS) - 3)
    assert all(check.message for check in checks)
    return "".join(check.status.value[0] for check in checks[:3])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["tflms-v2-absl"], "ppp"),
        (["tflms-v2-info"], "ppp"),
        (["tflms-v1"], "ppp"),
        (["tflms-v2-off"], "pfs"),
        (["tflms-v1-off"], "pfs"),
        (["tf1-keras-no-marker"], "pes"),
        (["tf1-keras-no-marker", "tflms-v2-absl"], "ppp"),
        (["tflms-v2-absl", "seed-mutation"], "ppf"),
        (["tflms-v2-absl", "tf1-mutation-input"], "ppf"),
        (["tflms-v2-absl", "tf1-mutation-control"], "ppf"),
        (["tflms-v2-absl", "tf1-mutation-attribute"], "ppf"),
        (["tflms-v2-absl", "tf1-mutation-initialiser"], "ppp"),
        (["tflms-v2-absl", "tf2-mutation-harmless"], "ppp"),
        (["seed-mutation"], "pef"),
        (["tf1-no-gpu", "tflms-v2-absl"], "ppp"),
        (["gpu-back-off", "tflms-v2-absl"], "ppp"),
        (["python-caught", "tflms-v2-absl"], "ppp"),
        (["gpu-errors", "tflms-v2-absl"], "fpp"),
        (["tf1-out-of-memory"], "fes"),
        (["tf1-keras-nan"], "fes"),
        (["python-chained"], "fes"),
    ],
)
def test_recorded(names: list[str], expected: str) -> None:
    assert letters(parse(*(LOGS / f"{name}.log" for name in names))) == expected


@pytest.mark.parametrize("form", ["updating_input", "adding_control_input"])
def test_tflms_on_keras_2_3(form: str) -> None:
    """Phases that ended well after the foreign library had edited a graph that had run."""
    facts = parse(LOGS / f"tflms_keras23_{form}.log")
    assert letters(facts) == "ppf"
    check = judge_log(facts)[2]
    assert check.id is CheckId.EDIT_TOOK_EFFECT
    assert f"{form.replace('_', ' ')}" in check.message


def test_lms_not_expected() -> None:
    assert letters(parse(LOGS / "tf1-keras-no-marker.log"), "off") == "pss"


def test_empty() -> None:
    assert letters(parse(b"")) == "ees"


def test_markers() -> None:
    edited = b':::LMS {"event": "lms_edited", "swap_out": 3, "swap_in": 4}\n'
    assert letters(parse(edited)) == "fpp"
    assert letters(parse(edited, b':::LMS {"event": "done"}\n')) == "ppp"
    assert letters(parse(edited, b':::LMS {"event": "done"}\n', b":::LMS {\n")) == "epp"


def test_message_names_the_line() -> None:
    check = judge_log(parse(LOGS / "tflms-v2-absl.log", LOGS / "tf1-mutation-input.log"))[2]
    assert "first at line 14: updating input tensor of loss/Reshape (Reshape)" in check.message
    assert check.lines[0].startswith("log:14: ")
    assert "W tensorflow/c/c_api.cc:326] Operation '{name:'loss/Reshape'" in check.lines[0]


def test_no_gpu_is_noted() -> None:
    check = judge_log(parse(LOGS / "tf1-no-gpu.log"))[0]
    assert "no GPU was seen (line 2)" in check.message
