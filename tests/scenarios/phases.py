"""Runs phase scripts by hand, in the real environments of the flavors."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.base.error import HarnessError
from harness.catalog import catalog
from tests.environments import python_of

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
FAKE_TFLMS = Path(__file__).resolve().parents[1] / "resources" / "tflms"
MUTATION = "after it was run by a session"

# The catalog's flavors; `<FLAVOR>_PYTHON` in the environment names another interpreter for one.
FLAVORS = {flavor.id: flavor for flavor in catalog.load(SCENARIOS.parent).flavors}
# Those of TensorFlow's Keras 2 and of keras-team's: by how their models run.
SESSIONS = [name for name, flavor in FLAVORS.items() if flavor.mode == "session"]
FUNCTIONS = [
    name
    for name, flavor in FLAVORS.items()
    if flavor.mode == "function" and flavor.keras == "tf.keras"
]
KERAS3 = [
    name for name, flavor in FLAVORS.items() if "keras3" in flavor.features and not flavor.providers
]


@dataclass(frozen=True)
class Ended:
    """A process that ended: exit code, standard output and error in one, and its artifacts."""

    code: int
    log: str
    output: Path

    @property
    def markers(self) -> list[dict[str, Any]]:
        lines = (line.partition(":::LMS ")[2] for line in self.log.splitlines())
        return [json.loads(line) for line in lines if line]

    def of(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """Markers of an event, with these values."""
        return [
            marker
            for marker in self.markers
            if marker["event"] == event and fields.items() <= marker.items()
        ]

    def one(self, event: str, **fields: Any) -> dict[str, Any]:
        """The one marker of an event."""
        (marker,) = self.of(event, **fields)
        return marker

    def peaks_over_time(self, function: str) -> tuple[int | None, int | None]:
        """The greatest values of a step's series, of the accelerator and of the host."""
        told = self.one("series", function=function)
        points = (told["accelerator"], told["host"])
        accelerator, host = (None if each is None else max(each["bytes"]) for each in points)
        return accelerator, host

    @property
    def results(self) -> list[Any]:
        """Metrics and final predictions: what swapping must not change."""
        metrics = [(m["name"], m["split"], m["value"]) for m in self.of("metric")]
        return [*metrics, self.one("digest", stage="final", of="predictions")["sha256"]]

    def digests(self, stage: str) -> dict[str, str]:
        return {marker["of"]: marker["sha256"] for marker in self.of("digest", stage=stage)}


@functools.cache
def interpreter(flavor: str) -> str:
    """The Python of a flavor; skips the test where there is none."""
    variable = f"{flavor.upper().replace('-', '_')}_PYTHON"
    named = os.environ.get(variable)
    if named:
        return named
    found = python_of(flavor)
    if isinstance(found, HarnessError):
        pytest.skip(f"{variable} is not set, and there is no environment of {flavor}: {found}")
    return found


def run_phase(
    flavor: str, script: str, directory: Path, source: Ended | None = None, **variables: str
) -> Ended:
    """Runs `<family>/<script>` as the harness would, on the virtual accelerator."""
    path = SCENARIOS / "families" / f"{script}.py"
    return _run(interpreter(flavor), [str(path)], flavor, directory, source, variables)


def run_code(flavor: str, code: str, directory: Path, **variables: str) -> Ended:
    """Runs Python text where a phase would run."""
    return _run(interpreter(flavor), ["-c", code], flavor, directory, None, variables)


def run_plain(arguments: list[str], directory: Path, **variables: str) -> Ended:
    """Runs a script that needs no framework with this Python."""
    return _run(sys.executable, arguments, "tf1-tfkeras", directory, None, variables)


def _run(
    python: str,
    arguments: list[str],
    flavor: str,
    directory: Path,
    source: Ended | None,
    variables: dict[str, str],
) -> Ended:
    output = directory / "artifacts"
    output.mkdir(parents=True)
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(directory),
        "PYTHONPATH": str(SCENARIOS),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONWARNINGS": "ignore",
        "LMS_PROVIDER": "builtin",
        "ACCELERATOR": "virtual",
        "KERAS": FLAVORS[flavor].keras,
        "EXECUTION_MODE": FLAVORS[flavor].mode,
        **FLAVORS[flavor].variables,
        "OUTPUT_DIR": str(output),
        **({"INPUT_DIR": str(source.output)} if source else {}),
        **variables,
    }
    ended = subprocess.run(
        [python, *arguments],
        cwd=directory,
        env={name: value for name, value in environment.items() if value},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    return Ended(ended.returncode, ended.stdout, output)
