"""What a run does when it is stopped: each kind of waiting ends soon, and is told."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from harness.base.claim import Claim
from harness.record.checks import Status
from harness.record.models import Outcome
from tests.small_runs import (
    PYTHON,
    arguments,
    checkout,
    environment,
    finish,
    record_of,
    run_arguments,
    start,
    wait_for,
)

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
# Two seconds are asked for; the rest is this machine's.
SOON_S = 5.0


def stopped(process: subprocess.Popen[str], *numbers: int) -> tuple[float, int, str, str]:
    """Sends signals; the seconds until it ended, its exit code, and what it printed."""
    began = time.monotonic()
    for number in numbers:
        os.kill(process.pid, number)
        time.sleep(0.3)
    code, out, err = finish(process)
    return time.monotonic() - began, code, out, err


def interrupted(reports: Path) -> None:
    """The record says that the run was interrupted, and nothing of a broken build."""
    record = record_of(reports)
    assert record.state == "interrupted"
    assert [flavor.unavailable for flavor in record.flavors] == [None]
    assert all(case.skip is None for case in record.cases)


@pytest.mark.parametrize("number", SIGNALS)
def test_an_environment_that_is_made(tmp_path: Path, number: int) -> None:
    root, reports = checkout(tmp_path / "checkout"), tmp_path / "reports"
    asked = tmp_path / "asked"
    hangs = tmp_path / "python"
    hangs.write_text(f"#!/bin/sh\ntouch {asked}\nexec sleep 60\n")
    hangs.chmod(0o755)
    variables = environment(**{f"PYTHON_{PYTHON.replace('.', '_')}": str(hangs)})
    process = start(run_arguments(root, reports), env=variables)
    wait_for(asked.exists)
    seconds, code, out, err = stopped(process, number)
    assert (code, err) == (130, "")
    assert seconds < SOON_S
    assert "stopping: making the environment of test-flavor" in out
    interrupted(reports)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_lock_that_another_run_holds(tmp_path: Path, number: int) -> None:
    root, reports = checkout(tmp_path / "checkout"), tmp_path / "reports"
    finish(start(run_arguments(root, reports, "--scenarios=save-load")))
    (lock,) = (root / ".cache" / "environments").glob("*.lock")
    claim = Claim(lock)
    assert claim.take()
    process = start(run_arguments(root, reports), stdout=(tmp_path / "out").open("w"))
    wait_for(lambda: "waiting" in (tmp_path / "out").read_text())
    seconds, code, _, err = stopped(process, number)
    claim.release()
    assert (code, err) == (130, "")
    assert seconds < SOON_S
    assert "stopped while" in (tmp_path / "out").read_text()
    interrupted(reports)


@pytest.fixture
def silent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, threading.Event]]:
    """A socket that takes connections and never answers; set when something was asked."""
    path = f"/tmp/lms-silent-{os.getpid()}.sock"
    asked = threading.Event()
    connections = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def accept() -> None:
            try:
                while True:
                    connections.append(listener.accept()[0])
                    asked.set()
            except OSError:
                pass

        threading.Thread(target=accept, daemon=True).start()
        yield f"unix://{path}", asked
        listener.shutdown(socket.SHUT_RDWR)
    for connection in connections:
        connection.close()
    Path(path).unlink()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_daemon_that_does_not_answer(
    tmp_path: Path, silent: tuple[str, threading.Event], number: int
) -> None:
    root = checkout(tmp_path / "checkout")
    address, asked = silent
    command = arguments(root, "run", "--engine=docker", "--gpu=none", f"--reports={tmp_path}/r")
    process = start(command, env=environment(DOCKER_HOST=address))
    assert asked.wait(60)
    seconds, code, _, err = stopped(process, number)
    assert code == 130, err
    assert "Traceback" not in err
    assert seconds < SOON_S


@pytest.mark.parametrize("number", SIGNALS)
def test_a_download_that_does_not_come(tmp_path: Path, number: int) -> None:
    root = checkout(tmp_path / "checkout")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/set"
        fault = f"""
            from harness.run import data
            data.DATA_SETS = (data.DataSet("Set", "set.npz", {url!r}, "0" * 64),)
        """
        process = start(arguments(root, "data", fault=fault))
        connection, _ = listener.accept()
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n"
        connection.sendall(head + bytes(2**21))
        wait_for(lambda: list((root / ".cache" / "data").glob("*.part")))
        seconds, code, _, err = stopped(process, number)
        connection.close()
    assert code == 130
    assert "downloading" in err
    assert seconds < SOON_S
    assert list((root / ".cache" / "data").iterdir()) == []


# --- phases ---------------------------------------------------------------------------------------

_STUBBORN = """
    import os, signal, time
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    open({there!r}, "a").write(f"{{os.getpid()}}\\n")
    time.sleep(90)
"""


def stubborn(tmp_path: Path) -> tuple[Path, Path]:
    """A checkout whose phases end by a kill alone, and the file with their pids."""
    there = tmp_path / "there"
    return checkout(tmp_path / "checkout", save=_STUBBORN.format(there=str(there))), there


@pytest.mark.parametrize("number", SIGNALS)
def test_a_phase_gets_its_grace_period(tmp_path: Path, number: int) -> None:
    root, there = stubborn(tmp_path)
    reports = tmp_path / "reports"
    process = start(run_arguments(root, reports))
    wait_for(there.exists)
    seconds, code, out, err = stopped(process, number)
    assert (code, err) == (130, "")
    assert 4.5 < seconds < 20
    assert "stopping: ending 1 phase" in out
    record = record_of(reports)
    assert record.state == "interrupted"
    assert [phase.outcome for phase in record.phases].count(Outcome.INTERRUPTED) == 1
    assert not any(psutil.pid_exists(int(pid)) for pid in there.read_text().split())


def test_a_second_interrupt_ends_it_at_once(tmp_path: Path) -> None:
    root, there = stubborn(tmp_path)
    reports = tmp_path / "reports"
    process = start(run_arguments(root, reports))
    wait_for(there.exists)
    seconds, code, _, err = stopped(process, signal.SIGINT, signal.SIGINT)
    assert (code, err) == (130, "")
    assert seconds < 4.0
    record = record_of(reports)
    assert record.state == "interrupted"
    assert [phase.outcome for phase in record.phases].count(Outcome.INTERRUPTED) == 1
    assert not any(psutil.pid_exists(int(pid)) for pid in there.read_text().split())


def test_a_second_signal_of_another_kind_hurries_nothing(tmp_path: Path) -> None:
    """A terminal that is closed sends two."""
    root, there = stubborn(tmp_path)
    process = start(run_arguments(root, tmp_path / "reports"))
    wait_for(there.exists)
    seconds, code, _, _ = stopped(process, signal.SIGHUP, signal.SIGTERM, signal.SIGHUP)
    assert code == 130
    assert seconds > 4.5


def test_a_hangup_that_is_ignored_stays_so(tmp_path: Path) -> None:
    """`nohup` is asked for by whoever wants the run to go on."""
    there, gate = tmp_path / "there", tmp_path / "gate"
    waits = f"""
        import os, time
        open({str(there)!r}, "w")
        while not os.path.exists({str(gate)!r}):
            time.sleep(0.02)
    """
    root, reports = checkout(tmp_path / "checkout", save=waits), tmp_path / "reports"
    process = start(["nohup", *run_arguments(root, reports)])
    wait_for(there.exists)
    os.kill(process.pid, signal.SIGHUP)
    time.sleep(0.5)
    gate.touch()
    code, _, _ = finish(process)
    assert code == 1  # its scripts swap nothing
    assert record_of(reports).state == "finished"


def test_one_error_for_each_case(tmp_path: Path) -> None:
    root, there = stubborn(tmp_path)
    reports = tmp_path / "reports"
    process = start(run_arguments(root, reports))
    wait_for(there.exists)
    stopped(process, signal.SIGINT, signal.SIGINT)
    record = record_of(reports)
    assert len(record.cases) == 2
    for case in record.cases:
        errors = [check for check in case.checks if check.status is Status.ERROR]
        assert len(errors) == 1
        assert "interrupted" in errors[0].message or "stopped" in errors[0].message
        assert case.status is Status.ERROR
        assert not any(check.status is Status.PASSED for check in case.checks)
    suite = ET.parse(reports / "latest" / "junit" / "test-flavor.xml").getroot()
    for case in record.cases:
        tests = suite.findall(f".//testcase[@classname='{case.id}']")
        assert len(tests) == 8
        assert sum(test.find("error") is not None for test in tests) == 1
