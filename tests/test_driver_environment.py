"""The driver's own environment, which `make` makes, and makes again where it is broken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

# Python, less the network: what `pip` would install is a driver that says that it runs.
_PYTHON = f"""#!{sys.executable}
import subprocess, sys
from pathlib import Path
real = {sys.executable!r}
if sys.argv[1:3] != ["-m", "venv"]:
    sys.exit(subprocess.run([real, *sys.argv[1:]]).returncode)
subprocess.run([real, "-m", "venv", "--without-pip", *sys.argv[3:]], check=True)
directory = Path(sys.argv[-1], "bin").absolute()
for name, content in (
    ("pip", "#!/bin/sh\\n"),
    ("harness", "#!%s/python3\\nimport sys; print('driver', sys.argv[1])\\n" % directory),
):
    (directory / name).write_text(content)
    (directory / name).chmod(0o755)
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    directory = tmp_path / "checkout"
    directory.mkdir()
    shutil.copy(ROOT / "Makefile", directory)
    for name in ("requirements.txt", "pyproject.toml"):
        (directory / name).touch()
    (directory / "python").write_text(_PYTHON)
    (directory / "python").chmod(0o755)
    assert make(directory) == ["make: installing the harness into .venv (once)", "driver list"]
    assert make(directory) == ["driver list"]
    return directory


def make(directory: Path) -> list[str]:
    done = subprocess.run(
        ["make", "-s", "list", "PYTHON=./python"],
        cwd=directory,
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


AGAIN = [
    "make: .venv is broken: the interpreter of .venv/bin/harness does not run",
    "make: installing the harness into .venv (once)",
    "driver list",
]


@pytest.mark.parametrize("how", ["dangling", "gone", "no interpreter", "without its driver"])
def test_an_environment_whose_interpreter_does_not_run_is_made_again(
    checkout: Path, how: str
) -> None:
    interpreter = checkout / ".venv/bin/python3"
    if how == "without its driver":
        (checkout / ".venv/bin/harness").unlink()
    else:
        interpreter.unlink()
    if how == "dangling":
        interpreter.symlink_to("/usr/bin/python3.0")
    elif how == "no interpreter":
        interpreter.write_text("")
    assert make(checkout) == AGAIN
    assert make(checkout) == ["driver list"]


def test_a_checkout_that_was_moved_is_not_the_old_one_s(checkout: Path, tmp_path: Path) -> None:
    checkout.rename(tmp_path / "moved")
    assert make(tmp_path / "moved") == AGAIN
    assert make(tmp_path / "moved") == ["driver list"]
