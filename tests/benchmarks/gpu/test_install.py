"""The environment of a day with a GPU: carried wheels in front of the machine's packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import wheels
from tests.paths import ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder in which the command can be run, with no wheel yet."""
    (tmp_path / ".whl").mkdir()
    (tmp_path / "benchmarks").symlink_to(ROOT / "benchmarks")
    return tmp_path


def install(checkout: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu.install", "environment"],
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


def imported(checkout: Path, module: str) -> str:
    """What the environment's interpreter says of a module, started as a phase is."""
    code = f"import {module}; print({module}.__file__, getattr({module}, 'VERSION', ''))"
    python = checkout / "environment" / "bin" / "python"
    done = subprocess.run([python, "-s", "-c", code], capture_output=True, text=True, cwd="/")
    return done.stdout + done.stderr


def test_wheels_are_in_front_of_the_packages_that_are_there(checkout):
    wheels.wheel(checkout / ".whl", "carried", "1.0", requires=["psutil>=5"])
    # It is on the machine as well, in another version.
    wheels.wheel(checkout / ".whl", "click", "99.0")
    code, output = install(checkout)
    # Only that version has no such modules.
    assert code == 1
    assert "ImportError" in output or "AttributeError" in output, output
    assert str(checkout) in imported(checkout, "carried")
    assert imported(checkout, "click").split()[-1] == "99.0"
    assert str(checkout) not in imported(checkout, "psutil")


def test_all_that_is_needed_is_there(checkout):
    wheels.wheel(checkout / ".whl", "carried", "1.0", requires=["psutil>=5"])
    code, output = install(checkout)
    assert code == 0, output
    assert "harness can be imported; 0 problems with requirements" in output
    assert "torch          " in output


def test_what_is_missing_is_named(checkout):
    needs = ["nowhere", "psutil>=999", "left-out; sys_platform == 'plan9'"]
    wheels.wheel(checkout / ".whl", "carried", "1.0", requires=needs)
    code, output = install(checkout)
    assert code == 1
    assert "PROBLEM: carried 1.0 needs nowhere, here is None" in output
    assert "PROBLEM: carried 1.0 needs psutil>=999, here is " in output
    assert "left-out" not in output
    assert "Traceback" not in output


def test_nothing_was_carried(checkout):
    code, output = install(checkout)
    assert (code, output.strip()) == (
        4,
        "install: no wheel is in .whl: run benchmarks.gpu.carry first",
    )
