"""What the harness adds to a bare `docker run` of the same tiny phase, in milliseconds.

Runs alternate, so that whatever else the machine does hits both alike. Needs a daemon and
HARNESS_TEST_BASE_IMAGE (tests/containers/make-base-images prints it).

    .venv/bin/python benchmarks/container.py [RUNS]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import docker

from harness.engine.docker.engine import DockerEngine
from harness.engine.protocol import Environment, Launch
from harness.record.models import Outcome

_SCRIPT = 'print("hello")\n'


def harness_run(engine: DockerEngine, launch: Launch) -> float:
    began = time.perf_counter()
    ended = engine.execute(launch, lambda target: None, threading.Event())
    seconds = time.perf_counter() - began
    if ended.outcome is not Outcome.COMPLETED:
        raise SystemExit(f"the phase ended with {ended}")
    return seconds


def bare_run(image: str, scenarios: Path) -> float:
    began = time.perf_counter()
    options = ("--rm", "--network", "none", "--volume", f"{scenarios}:/scenarios:ro")
    command = ["docker", "run", *options, image, "python3", "/scenarios/phase.py"]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    image = os.environ.get("HARNESS_TEST_BASE_IMAGE", "lms-harness-test/python3")
    engine = DockerEngine()
    engine.preflight(None)
    image_id = str(docker.from_env().images.get(image).id)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        for part in ("scenarios", "data", "output", "logs"):
            (directory / part).mkdir()
        (directory / "scenarios" / "phase.py").write_text(_SCRIPT, encoding="ascii")
        launch = Launch(
            key="bench",
            run_id="bench",
            environment=Environment("bench", image_id),
            script="phase.py",
            variables={},
            scenarios=directory / "scenarios",
            data=directory / "data",
            input=None,
            output=directory / "output",
            logs=directory / "logs",
        )
        ours, bare = [], []
        harness_run(engine, launch)
        bare_run(image_id, launch.scenarios)
        for _ in range(runs):
            bare.append(bare_run(image_id, launch.scenarios) * 1e3)
            ours.append(harness_run(engine, launch) * 1e3)
    added = statistics.median(ours) - statistics.median(bare)
    print(f"docker run: median {statistics.median(bare):.0f} ms, best {min(bare):.0f} ms")
    print(f"harness:    median {statistics.median(ours):.0f} ms, best {min(ours):.0f} ms")
    print(f"added:      median {added:+.0f} ms ({runs} alternating runs)")


if __name__ == "__main__":
    main()
