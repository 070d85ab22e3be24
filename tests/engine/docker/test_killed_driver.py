"""A driver that is killed while its phase runs, or that seems to be: what the next one removes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.docker import private_daemon
from tests.engine.docker.private_daemon import PrivateDaemon
from tests.paths import ROOT

pytestmark = pytest.mark.docker

_DRIVER = """
import sys, threading
from pathlib import Path
from harness.engine.docker.engine import DockerEngine
from harness.engine.protocol import Environment, Launch
place = Path(sys.argv[1])
for name in ("scenarios", "data", "output", "logs"):
    (place / name).mkdir(parents=True)
(place / "scenarios" / "phase.py").write_text("import time; time.sleep(600)")
launch = Launch(
    key="family.scenario.load",
    run_id="killed",
    environment=Environment("flavor", sys.argv[2]),
    script="phase.py",
    variables={"LMS_PROVIDER": "builtin"},
    scenarios=place / "scenarios",
    data=place / "data",
    input=None,
    output=place / "output",
    logs=place / "logs",
    deadline_s=600,
)
print(DockerEngine().execute(launch, lambda target: print("begun", flush=True), threading.Event()))
"""
# The boot time in /proc/stat, of which start times in seconds are made, moves with the clock.
_NEXT = """
import sys, time
from pathlib import Path
import psutil
step, now, created = float(sys.argv[1]), time.time, psutil.Process.create_time
time.time = lambda: now() + step
psutil.Process.create_time = lambda self: created(self) + step
from harness.engine.docker.engine import DockerEngine
for line in DockerEngine().reap():
    print(line)
"""


# A daemon of its own: where a driver is taken for dead, those of other runs would be as well.
@pytest.fixture(scope="module")
def private(base_image: str) -> Iterator[PrivateDaemon]:
    with private_daemon.running(base_image) as daemon:
        yield daemon


@pytest.fixture
def driver(
    private: PrivateDaemon, base_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[subprocess.Popen[str]]:
    """A driver whose phase runs."""
    monkeypatch.setenv("DOCKER_HOST", private.address)
    process = subprocess.Popen(
        [sys.executable, "-c", _DRIVER, str(tmp_path / "run"), base_image],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "begun\n"
        yield process
    finally:
        process.kill()
        process.communicate()
        for name in private.containers():
            private.remove_container(name)


def removed(step_s: float = 0.0) -> list[str]:
    """What the next driver removes, after a step of the wall clock."""
    done = subprocess.run(
        [sys.executable, "-c", _NEXT, str(step_s)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def running(private: PrivateDaemon) -> list[bool]:
    """Of each container whether it runs."""
    with contextlib.closing(private.client()) as client:
        return [client.inspect_container(name)["State"]["Running"] for name in private.containers()]


def test_the_next_run_removes_the_container_of_a_killed_driver(
    private: PrivateDaemon, driver: subprocess.Popen[str]
) -> None:
    assert removed() == [], "of a living driver"
    driver.kill()
    driver.wait()
    assert running(private) == [True], "nobody has ended it"
    (line,) = removed()
    assert line.startswith("container ")
    assert private.containers() == []


@pytest.mark.parametrize("step_s", [-3600, -5, 5, 3600])
def test_a_step_of_the_clock_makes_nobody_dead_and_nobody_alive(
    private: PrivateDaemon, driver: subprocess.Popen[str], step_s: float
) -> None:
    assert removed(step_s) == [], "of a living driver"
    assert running(private) == [True]
    driver.kill()
    driver.wait()
    assert len(removed(step_s)) == 1
    assert private.containers() == []
