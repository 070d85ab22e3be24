"""The whole path: the command, real TensorFlow, real reports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import psutil
import pytest

from harness.catalog import catalog
from harness.record.models import RunRecord
from tests.environments import ROOT, needs_environments
from tests.records import assert_everything_passed, what_failed

pytestmark = pytest.mark.tensorflow


def command(reports: Path, *options: str) -> list[str]:
    return [
        *(sys.executable, "-m", "harness", "run", "--engine=venv", "--gpu=none"),
        *(f"--reports={reports}", *options),
    ]


def run(reports: Path, *options: str) -> tuple[subprocess.CompletedProcess[str], RunRecord]:
    done = subprocess.run(
        command(reports, *options), cwd=ROOT, capture_output=True, text=True, timeout=540
    )
    record = (reports / "latest" / "record.json").read_bytes()
    return done, RunRecord.model_validate_json(record)


# Everything of every flavor takes too long here: the containers' test has the other families, and
# each family has tests of its own.
@needs_environments("tf1-tfkeras", "tf2-legacy")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("flavors", "families"),
    [
        (("tf1-tfkeras",), ("keras_saveload", "canary")),
        (("tf2-legacy",), ("keras_saveload",)),
    ],
)
def test_the_matrix_passes_with_measured_peaks(tmp_path, flavors, families):
    done, record = run(
        tmp_path,
        *(f"--flavors={flavor}" for flavor in flavors),
        *(f"--families={family}" for family in families),
    )
    assert done.returncode == 0, what_failed(tmp_path) + done.stderr
    assert_everything_passed(record, catalog.load(ROOT).select(flavors, families))
    for case in record.cases:
        if case.family != "keras_saveload" or case.skip or not case.scenario.endswith("train"):
            continue
        swapping = next(check for check in case.checks if check.id.value == "swapping_confirmed")
        assert swapping.message.count(" MiB") >= 3  # both peaks, and what was saved
    for flavor in flavors:
        root = ET.parse(tmp_path / "latest" / "junit" / f"{flavor}.xml").getroot()
        assert not root.findall(".//failure")
        assert not root.findall(".//error")


@needs_environments("tf1-tfkeras")
def test_an_interrupted_run_is_130_and_leaves_no_process(tmp_path):
    driver = subprocess.Popen(
        command(tmp_path, "--flavors=tf1-tfkeras", "--families=keras_saveload"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("*/phases/*.load/stdout.log")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    children = psutil.Process(driver.pid).children(recursive=True)
    os.kill(driver.pid, signal.SIGINT)
    output, _ = driver.communicate(timeout=60)
    assert driver.returncode == 130, output
    record = json.loads((tmp_path / "latest" / "record.json").read_text())
    assert record["state"] == "interrupted"
    assert any(phase["outcome"] == "completed" for phase in record["phases"])
    assert (tmp_path / "latest" / "junit" / "tf1-tfkeras.xml").is_file()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []


@needs_environments("tf1-keras22")
def test_repro_ends_with_the_verdicts_on_the_terminal(tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "harness", "repro", "tf1-keras22", "trainsave-loadtrain"),
            *("--engine=venv", "--gpu=none", f"--reports={tmp_path}"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[LMS][0] Added " in done.stdout  # the phase's own log
    assert "swapping confirmed" in done.stdout
    assert "edit took effect" in done.stdout
