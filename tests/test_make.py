"""What reaches the driver of what is given to `make`: every value as it is, and nothing is run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

# What make would run, what a shell would run, what both would take out of a path.
HOSTILE = "$(shell touch MADE)$${x}$x`touch RUN`$(touch RAN) \"q\" 's' #c \\ %d, é"
# The option of the driver behind each variable.
HANDED = {
    "GPU": "HARNESS_GPU",
    "ENGINE": "HARNESS_ENGINE",
    "FLAVORS": "HARNESS_FLAVORS",
    "FAMILIES": "HARNESS_FAMILIES",
    "SCENARIOS": "HARNESS_SCENARIOS",
    "DEPTH": "HARNESS_DEPTH",
    "SHARDS": "HARNESS_SHARDS",
    "KIND": "KIND",
    "SHARE": "HARNESS_SHARE",
    "JOBS": "HARNESS_JOBS",
    "KEEP": "HARNESS_KEEP",
    "STRICT": "HARNESS_STRICT",
    "N": "HARNESS_REPEATS",
    "REPEAT": "HARNESS_REPEAT",
    "REPORTS": "HARNESS_REPORTS",
    "ACTIVATIONS_MIB": "HARNESS_ACTIVATIONS_MIB",
    "RUN": "HARNESS_RUN",
    "ALL": "HARNESS_ALL",
    "PROVIDERS": "HARNESS_PROVIDERS",
    "LMS_PROVIDER": "LMS_PROVIDER",
    "LMS_PATH": "LMS_PATH",
    "LMS_PARAMS": "LMS_PARAMS",
    "DATA_DIR": "DATA_DIR",
    "FLAVOR": "FLAVOR",
    "SCENARIO": "SCENARIO",
    "SEED": "SEED",
    "PACKAGE": "HARNESS_PACKAGE",
    "GOOD": "HARNESS_GOOD",
    "BAD": "HARNESS_BAD",
    "CHECK": "HARNESS_CHECK",
    "MESSAGE": "HARNESS_MESSAGE",
    "FIXED": "HARNESS_FIXED",
    "VERSIONS": "HARNESS_VERSIONS",
    "RESUME": "HARNESS_RESUME",
    "FAILED": "HARNESS_FAILED",
    "SHARD": "HARNESS_SHARD",
    "DURATIONS": "HARNESS_DURATIONS",
    "DIRS": "HARNESS_DIRS",
    "BASELINE": "HARNESS_BASELINE",
    "BASE": "BASE",
    "CASE": "CASE",
    "LAST": "HARNESS_LAST",
    "OUTPUT": "HARNESS_OUTPUT",
    "FORCE": "HARNESS_FORCE",
    "REBUILD": "HARNESS_REBUILD",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A Makefile whose driver says what it was given, in a directory with nothing else."""
    directory = tmp_path / "check $out"
    (directory / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", directory)
    for name in ("requirements.txt", "pyproject.toml", ".venv/.ready"):  # the last is the newest
        (directory / name).touch()
    driver = directory / ".venv" / "bin" / "harness"
    driver.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        "print(json.dumps({'arguments': sys.argv[1:], 'environment': dict(os.environ)}))\n"
    )
    driver.chmod(0o755)
    return directory


def make(directory: Path, *arguments: str, **environ: str) -> dict[str, object]:
    """What the driver was given; whatever the directory did not hold before was run."""
    before = sorted(directory.rglob("*"))
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        ["make", "-s", *arguments],
        cwd=directory,
        env={**kept, **environ},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(directory.rglob("*")) == before, "something of a value was run"
    said: dict[str, object] = json.loads(done.stdout)
    return said


def test_every_variable_of_the_usage_is_among_them():
    section = (ROOT / "docs" / "usage.md").read_text().split("## Variables")[1].split("\n## ")[0]
    cells = " ".join(re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE))
    assert set(re.findall(r"[A-Z_]{1,}(?==|`|,)", cells)) <= {*HANDED}


@pytest.mark.parametrize("name", HANDED)
@pytest.mark.parametrize("place", ["command line", "environment"])
def test_a_value_reaches_the_driver_as_it_is(checkout: Path, name: str, place: str):
    given = {name: HOSTILE}
    if place == "environment":
        said = make(checkout, "list", **given)
    else:
        said = make(checkout, "list", *(f"{key}={value}" for key, value in given.items()))
    assert said["environment"][HANDED[name]] == HOSTILE


@pytest.mark.parametrize("target", ["repro", "proof"])
def test_arguments_are_handed_on_as_they_are(checkout: Path, target: str):
    said = make(checkout, target, f"FLAVOR={HOSTILE}", f"SCENARIO={HOSTILE}")
    assert said["arguments"][1:] == ["--", HOSTILE, HOSTILE]


def test_runs_and_cases_are_handed_on_as_they_are(checkout: Path):
    said = make(checkout, "compare", f"BASE={HOSTILE}", f"RUN={HOSTILE}")
    assert said["arguments"] == ["compare", "--", HOSTILE, HOSTILE]
    said = make(checkout, "baseline", f"RUN={HOSTILE}")
    assert said["arguments"] == ["baseline", "accept", "--", HOSTILE]
    assert make(checkout, "history")["arguments"] == ["history"]
    said = make(checkout, "history", f"CASE={HOSTILE}")
    assert said["arguments"] == ["history", "--", HOSTILE]


@pytest.mark.parametrize("name", ["SHELL", "WANT_SHELL", "ODD", "VENV_", "MAKE_TERMOUT", "CC"])
def test_nothing_of_any_other_variable_is_run(checkout: Path, name: str):
    make(checkout, "list", f"{name}={HOSTILE}")


def test_a_python_with_a_dollar_and_a_blank_in_its_path_installs(checkout: Path):
    (checkout / ".venv" / ".ready").unlink()
    python = checkout / "my $python"
    python.write_text('#!/bin/sh\necho "$0 $1" >> asked\nexit 1\n')
    python.chmod(0o755)
    done = subprocess.run(
        ["make", "-s", "list", f"PYTHON={python}"], cwd=checkout, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert f"make: {python} is older than Python 3.10" in done.stdout
    assert (checkout / "asked").read_text() == f"{python} -c\n"


def test_a_python_is_a_program_and_no_command_line(checkout: Path):
    (checkout / ".venv" / ".ready").unlink()
    subprocess.run(
        ["make", "-s", "list", f"PYTHON={HOSTILE}; touch RAN;"], cwd=checkout, capture_output=True
    )
    assert not {"MADE", "RUN", "RAN"} & {path.name for path in checkout.iterdir()}
