"""What `harness doctor` says of the Docker engine on this machine."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from harness.catalog import pins
from tests.paths import ROOT


def doctor(**environ: str) -> str:
    kept = {name: value for name, value in os.environ.items() if "BASE_IMAGE" not in name}
    done = subprocess.run(
        [sys.executable, "-m", "harness", "doctor"],
        cwd=ROOT,
        env={**kept, **environ},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.docker
def test_each_base_is_said_to_be_pinned_or_not(daemon: object, base_image: str) -> None:
    lines = doctor(BASE_IMAGE_TF1_TFKERAS=base_image).splitlines()
    (local,) = (line for line in lines if " base tf1-tfkeras virtual " in line)
    assert local.startswith("ok")
    assert "not pinned: made on this machine, no registry digest" in local
    (project,) = (line for line in lines if " base keras3-jax virtual " in line)
    digest = pins.load(ROOT / "docker")["python:3.11-slim-bookworm"].digest
    assert f"pinned by docker/bases.toml ({digest[:19]}…)" in project
    unknown = [line for line in lines if "tensorflow/tensorflow:1.15.5-gpu-py3" in line]
    assert unknown
    assert all("pinned" in line for line in unknown)


@pytest.mark.docker
def test_the_files_of_the_checkout_are_what_the_daemon_is_asked_for(daemon: object) -> None:
    (line,) = (line for line in doctor().splitlines() if "engine docker" in line)
    assert line.startswith("ok")
