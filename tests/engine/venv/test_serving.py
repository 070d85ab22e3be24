"""Serving phases of the venv engine, with real processes and real HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from harness.engine import serving
from harness.engine.protocol import Client, Environment, Launch
from harness.engine.venv import process
from harness.engine.venv.engine import VenvEngine
from harness.record.models import Outcome
from tests.engine import serving_cases
from tests.engine.serving_cases import ASK, CASES, CLIENT, Case
from tests.paths import ROOT


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE_S", serving_cases.GRACE_S)


def launch(tmp_path: Path, server: str, client: str, **changes: object) -> Launch:
    for name in ("scenarios", "data", "input", "output", "logs/client/artifacts"):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    (tmp_path / "scenarios" / "serve.py").write_text(server)
    (tmp_path / "scenarios" / "client.py").write_text(client)
    given: dict[str, object] = {
        "key": "flavor.family.scenario.serve",
        "run_id": "run",
        "environment": Environment("flavor", sys.executable),
        "script": "serve.py",
        "variables": {"LMS_PROVIDER": "builtin", "ACCELERATOR": "gpu", "KERAS": "keras"},
        "scenarios": tmp_path / "scenarios",
        "data": tmp_path / "data",
        "input": tmp_path / "input",
        "output": tmp_path / "output",
        "logs": tmp_path / "logs",
        "deadline_s": 20.0,
        "client": Client("client.py", tmp_path / "logs/client/artifacts", tmp_path / "logs/client"),
    }
    return Launch(**{**given, **changes})  # type: ignore[arg-type]


def of_scenarios(directory: Path) -> list[psutil.Process]:
    """Processes that still run a script below a directory."""
    found = []
    for candidate in psutil.process_iter(["cmdline", "status"]):
        words = candidate.info["cmdline"] or []
        if any(str(directory) in word for word in words) and candidate.info["status"] != "zombie":
            found.append(candidate)
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_each_end_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    monkeypatch.setattr(serving, "READY_S", case.ready_s or serving.READY_S)
    phase = launch(tmp_path, case.server, case.client, **case.changes)
    begin, targets = time.monotonic(), []
    ended = VenvEngine(tmp_path / "cache").execute(phase, targets.append, threading.Event())
    serving_cases.check(case, ended, phase.logs)
    assert time.monotonic() - begin < 15
    assert len(targets) == 1
    assert targets[0].pids() == set()
    assert of_scenarios(phase.scenarios) == []
    assert list((tmp_path / "cache/scratch").iterdir()) == []
    assert list((tmp_path / "cache/scratch").iterdir()) == []
    json.dumps(ended.details)


def test_contract_of_server_and_client(tmp_path: Path) -> None:
    phase = launch(tmp_path, serving_cases.server(), CLIENT, threads=1)
    ended = VenvEngine(tmp_path / "cache").execute(phase, lambda target: None, threading.Event())
    assert ended.outcome is Outcome.COMPLETED, ended.reason
    assert phase.client is not None
    seen = json.loads((phase.client.logs / "stdout.log").read_text())
    server, client = seen["server"]["environ"], seen["client"]["environ"]
    assert (server["SERVER_HOST"], server["SERVER_PORT"]) == ("127.0.0.1", "0")
    assert client["SERVER_URL"].startswith("http://127.0.0.1:")
    assert "SERVER_HOST" not in client
    assert "SERVER_URL" not in server
    assert (server["LMS_PROVIDER"], client["LMS_PROVIDER"]) == ("builtin", "off")
    assert (server["ACCELERATOR"], client["ACCELERATOR"]) == ("gpu", "virtual")
    assert client["CUDA_VISIBLE_DEVICES"] == ""
    assert server["INPUT_DIR"] == client["INPUT_DIR"] == str(phase.input)
    assert client["OUTPUT_DIR"] == str(phase.client.output)
    for name in ("KERAS", "DATA_DIR", "PYTHONPATH", "OMP_NUM_THREADS"):
        assert server[name] == client[name]
    assert server["HOME"] != client["HOME"]
    assert seen["server"]["cwd"] != seen["client"]["cwd"]
    assert [path.name for path in phase.output.iterdir()] == ["server"]
    assert [path.name for path in phase.client.output.iterdir()] == ["client"]
    assert ended.details["client"]["pid"] != ended.details["pid"]


def test_a_forked_server_serves_a_client_that_starts_cold(tmp_path: Path) -> None:
    look = "import sys; print('decimal' in sys.modules)\n"
    environment = Environment("flavor", sys.executable, preload=("decimal",))
    phase = launch(
        tmp_path, look + serving_cases.server(), look + ASK + "ask()", environment=environment
    )
    (phase.scenarios / "forks").mkdir()
    (phase.scenarios / "forks" / "server.py").write_text(
        (ROOT / "scenarios" / "forks" / "server.py").read_text()
    )
    engine = VenvEngine(tmp_path / "cache")
    try:
        for _ in range(2):  # the fork server goes on
            ended = engine.execute(phase, lambda target: None, threading.Event())
            assert ended.outcome is Outcome.COMPLETED, ended.reason
            assert phase.client is not None
            assert (phase.logs / "stdout.log").read_text().startswith("True\n")
            assert (phase.client.logs / "stdout.log").read_text() == "False\n"
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("server", "client"),
    [
        (serving_cases.server(), "import time; print('up', flush=True); time.sleep(60)"),
        (serving_cases.server(ready=""), ""),
    ],
    ids=["client runs", "not ready"],
)
def test_cancel_stops_both(tmp_path: Path, server: str, client: str) -> None:
    phase, cancel = launch(tmp_path, server, client), threading.Event()
    log, words = (
        (phase.logs / "client" / "stdout.log", "up")
        if client
        else (
            phase.logs / "stdout.log",
            "environment",
        )
    )

    def watch() -> None:
        for _ in range(400):
            if log.exists() and words in log.read_text():
                break
            time.sleep(0.05)
        cancel.set()

    threading.Thread(target=watch).start()
    begin = time.monotonic()
    ended = VenvEngine(tmp_path / "cache").execute(phase, lambda target: None, cancel)
    assert (ended.outcome, ended.reason) == (Outcome.INTERRUPTED, "the run was stopped")
    assert time.monotonic() - begin < 30
    assert "asked to stop" in (phase.logs / "stdout.log").read_text()
    assert of_scenarios(phase.scenarios) == []
    if client:
        assert (phase.logs / "client" / "stdout.log").read_text() == "up\n"


def test_a_client_that_cannot_be_started_is_an_engine_error(tmp_path: Path) -> None:
    phase = launch(tmp_path, serving_cases.server(), "")
    gone = Client("client.py", tmp_path / "gone", tmp_path / "gone")
    phase = Launch(**{**phase.__dict__, "client": gone})
    ended = VenvEngine(tmp_path / "cache").execute(phase, lambda target: None, threading.Event())
    assert ended.outcome is Outcome.ENGINE_ERROR
    assert "could not start" in ended.reason
    assert of_scenarios(phase.scenarios) == []


def test_a_shell_is_the_server_s_place(tmp_path: Path) -> None:
    phase = launch(tmp_path, "", "")
    done = subprocess.run(
        [sys.executable, "-c", serving_cases.SHELL, str(tmp_path), sys.executable, "run", "venv"],
        input="echo $SERVER_HOST:$SERVER_PORT; exit 3\n",
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )
    start = f"{sys.executable} -s -u {phase.scenarios}"
    assert done.stdout.splitlines() == [
        f"the phase: {start}/serve.py",
        f"its client: SERVER_URL=http://127.0.0.1:PORT {start}/client.py",
        "127.0.0.1:0",
    ], done.stderr
    assert done.returncode == 3
