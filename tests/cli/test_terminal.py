"""Whoever reads the output is no part of a run: what can become of a terminal in mid-run."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.record.models import Outcome
from tests.small_runs import (
    arguments,
    checkout,
    environment,
    finish,
    record_of,
    run_arguments,
    start,
    wait_for,
)

# Every phase waits until the test has done something to the terminal.
_WAIT = """
    import os, time
    while not os.path.exists({gate!r}):
        time.sleep(0.02)
    print("done")
"""
_CODE = 1  # of any such run: its scripts swap nothing


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    return tmp_path / "reports"


def project(tmp_path: Path) -> tuple[Path, Path]:
    """A checkout, and the file that its phases wait for."""
    gate = tmp_path / "gate"
    waits = _WAIT.format(gate=str(gate))
    return checkout(tmp_path / "checkout", save=waits, load=waits, predict=waits), gate


def whole(reports: Path) -> None:
    """The record is that of a run to its end."""
    record = record_of(reports)
    assert record.state == "finished"
    assert {phase.outcome for phase in record.phases} == {Outcome.COMPLETED}
    assert len(record.phases) == 5
    assert len(record.cases) == 2
    assert list((reports / "latest" / "junit").glob("*.xml"))


def begun(reports: Path) -> None:
    """Waits until a phase runs."""
    wait_for(lambda: list(reports.glob("*/phases/*/stdout.log")))


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_has_left_is_not_missed(tmp_path: Path, reports: Path, stream: str) -> None:
    root, gate = project(tmp_path)
    reader, writer = os.pipe()
    process = start(run_arguments(root, reports), **{stream: writer})
    os.close(writer)
    begun(reports)
    os.close(reader)
    gate.touch()
    code, out, err = finish(process)
    assert code == _CODE, (out, err)
    assert "Traceback" not in (err or "")
    whole(reports)


def test_a_terminal_that_went_away_is_not_missed(tmp_path: Path, reports: Path) -> None:
    root, gate = project(tmp_path)
    master, slave = os.openpty()
    process = start(run_arguments(root, reports), stdout=slave, stderr=slave)
    os.close(slave)
    begun(reports)
    os.close(master)
    gate.touch()
    assert process.wait(120) == _CODE
    whole(reports)


@pytest.mark.parametrize(
    ("variables", "redirection"),
    [
        ({}, ">/dev/full"),
        ({}, ">/dev/full 2>&1"),
        ({}, ">&-"),
        ({}, ">&- 2>&- <&-"),
        ({"PYTHONIOENCODING": "ascii"}, ""),
        ({"PYTHONIOENCODING": "latin-1", "LC_ALL": "C"}, "2>&1"),
        ({"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}, ""),
    ],
)
def test_output_that_cannot_be_written_is_lost_alone(
    tmp_path: Path, reports: Path, variables: dict[str, str], redirection: str
) -> None:
    root, gate = project(tmp_path)
    gate.touch()
    # A note of the run that no such encoding has, from the directory's name.
    odd = tmp_path / "…ü…"
    command = run_arguments(root, odd, "--flavors=test-*")
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirection}', "sh", *command],
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == _CODE, (done.stdout, done.stderr)
    assert b"Traceback" not in done.stderr
    whole(odd)


@pytest.fixture
def stuck() -> Iterator[int]:
    """A full pipe that nobody reads."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, bytes(4096))
    yield writer
    os.close(reader)
    os.close(writer)


def test_a_reader_that_reads_no_more_is_not_waited_for(
    tmp_path: Path, reports: Path, stuck: int
) -> None:
    root, gate = project(tmp_path)
    gate.touch()
    process = start(run_arguments(root, reports), stdout=stuck)
    assert process.wait(120) == _CODE
    whole(reports)


def test_a_command_that_only_tells_has_failed_where_nobody_could_read_it(tmp_path: Path) -> None:
    root, _ = project(tmp_path)
    with open("/dev/full", "w") as full:
        code, _, err = finish(start(arguments(root, "list"), stdout=full))
    assert code == 2
    assert err == "harness: standard output: No space left on device\n"
    reader, writer = os.pipe()
    os.close(reader)
    code, _, err = finish(start(arguments(root, "list"), stdout=writer))
    os.close(writer)
    assert (code, err) == (2, "")


def test_a_reader_that_is_slow_gets_everything(tmp_path: Path) -> None:
    root, _ = project(tmp_path)
    _, expected, _ = finish(start(arguments(root, "list")))
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writer, False)
    filling = bytes(4096)
    os.write(writer, filling)
    process = start(arguments(root, "list"), stdout=writer)
    os.close(writer)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(3)
    with open(reader, "rb") as stream:
        told = stream.read()
    assert process.wait(60) == 0
    assert told[len(filling) :].decode() == expected
