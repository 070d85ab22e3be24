"""The real command on a small checkout, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

from harness.record.models import RunRecord
from tests.paths import ROOT
from tests.projects import FLAVOR, lay_out

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


def checkout(root: Path, **scripts: str) -> Path:
    """A checkout with one flavor of this Python, and these scripts in the place of its own."""
    return lay_out(
        root,
        flavors={"test-flavor": FLAVOR.replace("3.11", PYTHON)},
        scripts={f"{name}.py": text for name, text in scripts.items()},
    )


def arguments(root: Path, command: str, *options: str, fault: str = "") -> list[str]:
    """The command line of the command, after the Python code `fault`."""
    code = f"{dedent(fault)}\nfrom harness.cli.main import main\nmain()\n"
    return [sys.executable, "-c", code, "--root", str(root), command, *options]


def run_arguments(root: Path, reports: Path, *options: str, fault: str = "") -> list[str]:
    """The command line of a run on the venv engine."""
    where = ("--engine=venv", "--gpu=none", f"--reports={reports}")
    return arguments(root, "run", *where, *options, fault=fault)


def environment(**variables: str) -> dict[str, str]:
    """This process's variables, with the interpreter of the small flavor."""
    named = {"PYTHONPATH": str(ROOT), f"PYTHON_{PYTHON.replace('.', '_')}": sys.executable}
    return {**os.environ, **named, **variables}


def start(command: list[str], **options: Any) -> subprocess.Popen[str]:
    """Starts it; its output is read by `Popen.communicate`."""
    given: dict[str, Any] = {
        "cwd": ROOT,
        "env": environment(),
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
        "start_new_session": True,
    }
    return subprocess.Popen(command, **{**given, **options})


def finish(process: subprocess.Popen[str], seconds: float = 120) -> tuple[int, str, str]:
    """Its exit code, standard output and standard error."""
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    """Waits until something holds."""
    late = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < late, "it never came to that"
        time.sleep(0.02)


def record_of(reports: Path) -> RunRecord:
    """The record of the latest run, as it is on disk."""
    return RunRecord.model_validate_json((reports / "latest" / "record.json").read_bytes())
