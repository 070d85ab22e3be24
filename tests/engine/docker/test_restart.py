"""A daemon that goes away in mid-run: what it took along is run again, and nothing is left."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.catalog import catalog
from harness.catalog.flavors import Flavor
from harness.engine.docker.engine import DockerEngine
from harness.engine.protocol import Environment, Exit, Launch
from harness.measure.target import Target
from harness.plan import planner
from harness.record.models import Outcome, RunRecord
from harness.run import run
from harness.run.settings import Settings
from tests.engine.docker import private_daemon
from tests.engine.docker.private_daemon import PrivateDaemon
from tests.engines import Silent
from tests.projects import lay_out
from tests.small_runs import wait_for

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def private(base_image: str) -> Iterator[PrivateDaemon]:
    with private_daemon.running(base_image) as daemon:
        yield daemon


class Ready(DockerEngine):
    """Every flavor is the base image; knows when a phase runs, and how its run is stopped."""

    def __init__(self, image: str) -> None:
        super().__init__()
        self.cancel = threading.Event()
        self.begun = threading.Event()
        self._image = image

    def prepare(
        self,
        flavor: Flavor,
        accelerator: str,
        progress: Callable[[str], None],
        cancel: threading.Event,
    ) -> Environment:
        return Environment(flavor.id, self._image)

    def execute(
        self, launch: Launch, started: Callable[[Target], None], cancel: threading.Event
    ) -> Exit:
        self.cancel = cancel

        def begun(target: Target) -> None:
            started(target)
            self.begun.set()

        return super().execute(launch, begun, cancel)


_SLEEPS = "import time; time.sleep(3); open('/output/there', 'x'); print('done')"


class Matrix:
    """A run of five phases of three seconds each, in a thread."""

    def __init__(self, tmp_path: Path, engine: DockerEngine) -> None:
        root = lay_out(
            tmp_path / "checkout",
            scripts={f"{name}.py": _SLEEPS for name in ("save", "load", "predict")},
        )
        self.observer = Silent()
        self._plan = planner.make(catalog.load(root))
        self._settings = Settings(root=root, reports=tmp_path / "reports", data=root, jobs=2)
        self._engine = engine
        self._found: list[RunRecord] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def record(self) -> RunRecord:
        self._thread.join(240)
        assert self._found
        return self._found[0]

    def _run(self) -> None:
        record, _ = run.execute(self._plan, self._engine, self._settings, None, self.observer)
        self._found.append(record)


@pytest.fixture
def engine(
    private: PrivateDaemon, base_image: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ready]:
    monkeypatch.setenv("DOCKER_HOST", private.address)
    yield Ready(base_image)
    if private.stopped:
        private.start()
    for name in private.containers():
        private.remove_container(name)


def clear(private: PrivateDaemon, engine: Ready) -> None:
    """Has the daemon back, and the engine remove what it could not remove at its time."""
    if private.stopped:
        private.start()
    private.send(signal.SIGCONT)
    wait_for(engine._daemon.answers)
    assert engine._disposal._left
    engine.close()
    assert private.containers() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_matrix_outlives_a_restart_of_the_daemon(
    tmp_path: Path, private: PrivateDaemon, engine: Ready, number: signal.Signals
) -> None:
    matrix = Matrix(tmp_path, engine)
    wait_for(lambda: len(matrix.observer.finished) == 1 and private.containers())
    time.sleep(1)
    private.stop(number)
    time.sleep(2)
    private.start()
    record = matrix.record()
    directory = tmp_path / "reports" / record.id
    assert record.state == "finished"
    others = [phase.reason for phase in record.phases if phase.outcome is not Outcome.COMPLETED]
    assert others == []
    attempts = [attempt for phase in record.phases for attempt in phase.attempts]
    assert attempts
    assert {attempt.outcome for attempt in attempts} == {Outcome.ENGINE_ERROR}
    assert all("went away" in attempt.reason for attempt in attempts)
    assert all((directory / attempt.directory).is_dir() for attempt in attempts)
    said = [line for line in matrix.observer.messages if "attempt 1 does not count" in line]
    assert len(said) == len(attempts)
    assert any("waiting for it" in message for message in matrix.observer.messages)
    assert private.containers() == []


def test_a_daemon_that_does_not_come_back_is_waited_for_within_a_bound(
    tmp_path: Path, private: PrivateDaemon, engine: Ready
) -> None:
    engine._back_s = 3
    matrix = Matrix(tmp_path, engine)
    assert engine.begun.wait(60)
    private.stop(signal.SIGKILL)
    began = time.monotonic()
    record = matrix.record()
    assert time.monotonic() - began < 60
    assert record.state == "finished"
    outcomes = {phase.outcome for phase in record.phases}
    assert outcomes == {Outcome.ENGINE_ERROR, Outcome.NOT_RUN}
    clear(private, engine)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_run_that_is_stopped_does_not_wait_for_a_daemon(
    tmp_path: Path, private: PrivateDaemon, engine: Ready, number: signal.Signals
) -> None:
    """It is gone, or it is there and does not answer."""
    matrix = Matrix(tmp_path, engine)
    assert engine.begun.wait(60)
    time.sleep(1)
    if number is signal.SIGSTOP:
        private.send(number)
    else:
        private.stop(number)
        wait_for(lambda: any("waiting for it" in line for line in matrix.observer.messages))
    began = time.monotonic()
    engine.cancel.set()
    record = matrix.record()
    seconds = time.monotonic() - began
    clear(private, engine)
    assert seconds < 8, "the two seconds that are asked for, and what this machine takes"
    assert record.state == "interrupted"
    assert Outcome.INTERRUPTED in {phase.outcome for phase in record.phases}
    assert not {Outcome.FAILED, Outcome.KILLED} & {phase.outcome for phase in record.phases}
