"""What is made of a group's statuses; groups that really run are in tests/run/test_group.py."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from harness.engine import group, log_file
from harness.engine.protocol import Environment, Exit, Launch
from harness.record.models import Outcome

KEY = "ab" * 16
COMPLETED = Exit(Outcome.COMPLETED, 0, "", {"container": "c"})


def launch(number: int, tmp_path: Path, **changes) -> Launch:
    made = Launch(
        key=f"f.state.v{number}.save",
        run_id="run",
        environment=Environment("f", "python", preload=("keras",)),
        script="families/state/save.py",
        variables={"LMS_PROVIDER": "builtin", "VARIANT_MODEL": f"v{number}"},
        scenarios=tmp_path / "scenarios",
        data=tmp_path,
        input=None,
        output=tmp_path / f"phases/{number}/artifacts",
        logs=tmp_path / f"phases/{number}",
        deadline_s=100.0,
    )
    return replace(made, **changes)


def status(phase: object, **fields: object) -> dict[str, object]:
    told = {"key": KEY, "phase": phase, "began": 1.5, "seconds": 2.5, "stopped": None, "oom": False}
    return {**told, "code": 0, **fields}


def ends(
    tmp_path: Path, *lines: object, count: int = 2, ended: Exit = COMPLETED
) -> list[group.End]:
    said = tmp_path / "stdout.log"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in ({"key": KEY}, *lines)]
    said.write_text("\n".join(texts) + "\n")
    return group.ends([launch(number, tmp_path) for number in range(count)], said, ended)


def outcomes(found: list[group.End]) -> list[Outcome]:
    return [end.exit.outcome for end in found]


def test_a_group_is_a_launch_with_a_request(tmp_path):
    (tmp_path / "g" / "input").mkdir(parents=True)
    phases = [launch(0, tmp_path), launch(1, tmp_path, input=tmp_path / "g" / "input" / "1")]
    made = group.launch_of(phases, "f.state.save.1", tmp_path / "g")
    assert (made.key, made.script, made.logs) == ("f.state.save.1", group.SCRIPT, tmp_path / "g")
    assert (made.input, made.output) == (tmp_path / "g" / "input", tmp_path / "g" / "output")
    assert made.variables == {"LMS_PROVIDER": "builtin"}
    assert made.deadline_s > 200
    request = json.loads((tmp_path / "g" / "input" / "group.json").read_text())
    assert request["preload"] == ["keras"]
    assert request["log_limit"] == log_file.LIMIT
    assert request["left_out"] % 7 == "\n[lms-harness] 7 bytes of this log are left out here\n"
    assert [phase["input"] for phase in request["phases"]] == [False, True]
    assert [phase["variables"]["VARIANT_MODEL"] for phase in request["phases"]] == ["v0", "v1"]
    assert request["phases"][0]["script"] == "families/state/save.py"


@pytest.mark.parametrize(
    ("fields", "outcome", "code", "words"),
    [
        ({}, Outcome.COMPLETED, 0, ""),
        ({"code": 3}, Outcome.FAILED, 3, "exit code 3"),
        ({"code": None, "signal": 11}, Outcome.FAILED, 139, "segmentation fault"),
        ({"code": None, "signal": 9}, Outcome.KILLED, 137, "ended by a signal (SIGKILL, killed)"),
        ({"code": None, "signal": 9, "oom": True}, Outcome.OUT_OF_MEMORY, 137, "memory limit"),
        ({"code": None, "signal": 6, "oom": True}, Outcome.FAILED, 134, "aborted"),
        ({"stopped": "deadline"}, Outcome.TIMED_OUT, None, "still running after 100 s"),
        ({"code": None, "error": "no\nmemory"}, Outcome.ENGINE_ERROR, None, "phase: no memory"),
        ({"code": "0"}, Outcome.ENGINE_ERROR, None, "nothing of its exit is told"),
        ({"code": 1000}, Outcome.ENGINE_ERROR, None, "nothing of its exit is told"),
        ({"code": None, "signal": 10**30}, Outcome.ENGINE_ERROR, None, "nothing of its exit"),
    ],
)
def test_a_status_is_an_exit(tmp_path, fields, outcome, code, words):
    (end,) = ends(tmp_path, status(0, **fields), count=1)
    assert (end.exit.outcome, end.exit.code) == (outcome, code)
    assert words in end.exit.reason
    assert end.exit.details == {"container": "c"}
    assert (end.began_s, end.seconds) == (1.5, 2.5)


@pytest.mark.parametrize("number", [-1, "1", None, True, 10**400, float("nan"), float("inf")])
def test_times_that_cannot_be_are_not_known(tmp_path, number):
    (end,) = ends(tmp_path, status(0, began=number, seconds=number), count=1)
    assert end.exit.outcome is Outcome.COMPLETED
    assert {end.began_s, end.seconds} <= {None, 1.0}


def test_lines_that_are_not_the_groups_own_are_nothing(tmp_path):
    forged = status(1, key="cd" * 16, code=0)
    found = ends(
        tmp_path,
        {"phase": 1, "code": 0},
        forged,
        "{no line" + json.dumps(status(1)),
        "[" * 5000,
        json.dumps(status(1)) + "x",
        [KEY],
        status(0),
        status(7),
        status("1"),
    )
    assert outcomes(found) == [Outcome.COMPLETED, Outcome.ENGINE_ERROR]
    assert found[1].exit.reason == "its group has not said how it ended"


@pytest.mark.parametrize("forged", [status(1), status(1, code=7)])
def test_two_ends_of_one_phase_are_none(tmp_path, forged):
    """A phase that has found out the key cannot take its end back, nor that of another."""
    for lines in ([forged, status(0), status(1, code=7)], [status(0), status(1, code=7), forged]):
        found = ends(tmp_path, *lines)
        assert outcomes(found) == [Outcome.COMPLETED, Outcome.ENGINE_ERROR]
        assert found[1].exit.reason == "its group has told its end twice"


@pytest.mark.parametrize("first", ["", "{", '{"key": 7}', '{"key": ""}', "\x00" * 9000])
def test_without_a_key_nothing_is_believed(tmp_path, first):
    said = tmp_path / "stdout.log"
    said.write_text(f"{first}\n{json.dumps(status(0))}\n")
    (end,) = group.ends([launch(0, tmp_path)], said, COMPLETED)
    assert end.exit.outcome is Outcome.ENGINE_ERROR
    said.unlink()
    (end,) = group.ends([launch(0, tmp_path)], said, COMPLETED)
    assert end.exit.outcome is Outcome.ENGINE_ERROR


@pytest.mark.parametrize(
    ("ended", "outcome"),
    [
        (Exit(Outcome.KILLED, 137, "ended by a signal (killed)"), Outcome.KILLED),
        (Exit(Outcome.OUT_OF_MEMORY, 137, "its limit"), Outcome.OUT_OF_MEMORY),
        (Exit(Outcome.TIMED_OUT, None, "still running"), Outcome.TIMED_OUT),
        (Exit(Outcome.INTERRUPTED, None, "the run was stopped"), Outcome.INTERRUPTED),
        (Exit(Outcome.ENGINE_ERROR, None, "no daemon"), Outcome.ENGINE_ERROR),
        (Exit(Outcome.FAILED, 1, "exit code 1"), Outcome.ENGINE_ERROR),
    ],
)
def test_what_had_not_ended_ends_as_the_group(tmp_path, ended, outcome):
    found = ends(tmp_path, status(0, code=4), ended=ended)
    assert outcomes(found) == [Outcome.FAILED, outcome]
    assert found[1].exit.reason == f"its group ended: {ended.reason}"
    assert found[1].seconds is None


def test_signals_without_a_name_are_told(tmp_path):
    last = signal.NSIG - 1
    (end,) = ends(tmp_path, status(0, code=None, signal=last), count=1)
    assert (end.exit.outcome, end.exit.code) == (Outcome.KILLED, 128 + last)
