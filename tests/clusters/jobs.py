"""Jobs for tests, and what the scripts of a generated file do where nothing is real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import Any

from harness.clusters.job import Job, Part

# What a shell, YAML, Groovy, GitHub, Kubernetes or Slurm would take for something of its own.
HOSTILE = (
    "--scenarios=a*[!'\"$(touch RAN)`touch RAN`\\u0027]*",
    "--data=/x/${{ secrets.TOKEN }}/$(HOME)/$$/'''/\\'/%A: #é😀",
    "--lms-path=-e; touch RAN & exit 0 | x",
)

_HARNESS = f"""#!{sys.executable}
import json, os, sys
with open("called.jsonl", "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
for argument in sys.argv:
    if argument.startswith("--reports=") and "run" in sys.argv:
        place = argument.partition("=")[2] + "/20260101-000000-aaaa"
        os.makedirs(place)
        open(place + "/record.json", "w").close()
        os.symlink("/etc", place + "/link")
sys.exit(int(os.environ.get("CODE", 0)))
"""


def job(**changes: Any) -> Job:
    """A job of two shards with a GPU each."""
    values: dict[str, Any] = {
        "parts": (Part(2, ("--flavors=tf1-tfkeras",), "tf1-tfkeras"),),
        "options": ("--gpu=auto", "--engine=venv"),
        "gpu": True,
        "docker": False,
        "flavors": ("tf1-tfkeras",),
        "root": Path("/checkout"),
        "python": Path("/checkout/.venv/bin/python"),
        "reports": PurePosixPath("/reports"),
    }
    return Job(**{**values, **changes})


class Place:
    """A directory in which a command line named `harness` says what it was given.

    Attributes:
        harness: the file of that command.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.harness = directory / ".venv" / "bin" / "harness"
        programs = directory / "programs"
        programs.mkdir(parents=True)
        self.harness.parent.mkdir(parents=True)
        (directory / ".venv" / ".ready").touch()
        self.program(self.harness, _HARNESS)
        self.program(programs / "nvidia-smi", "#!/bin/sh\n")
        self._path = f"{programs}{os.pathsep}{os.environ['PATH']}"

    @staticmethod
    def program(path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def without_gpu(self) -> None:
        """What asks for GPUs finds none."""
        self.program(self.directory / "programs" / "nvidia-smi", "#!/bin/sh\nexit 9\n")

    def run(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs a script as a service does: a shell that stops at an error."""
        done = subprocess.run(
            ["sh", "-e", "-c", script],
            cwd=self.directory,
            env={"PATH": self._path, **variables},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert not list(self.directory.rglob("RAN*"))
        return done

    @property
    def calls(self) -> list[list[str]]:
        """The arguments of each call of `harness`."""
        file = self.directory / "called.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
