"""The save/load cases in containers: a real daemon, images built from the pinned files."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from harness import catalog
from harness.engine.daemon import ERRORS, LABEL, Daemon
from harness.image import base_reference
from harness.record import RunRecord

ROOT = Path(__file__).resolve().parent.parent.parent
FLAVORS = ("tf1-tfkeras", "tf1-keras22", "tf1-keras23")

pytestmark = [pytest.mark.docker, pytest.mark.tensorflow]


@pytest.fixture(scope="module")
def bases(daemon: Daemon) -> None:
    """The flavors' base images are there; nothing is pulled for a test."""
    for flavor in catalog.load(ROOT).select(FLAVORS).flavors:
        reference, variable = base_reference(flavor, flavor.image[0])
        try:
            daemon.client().inspect_image(reference)
        except ERRORS:
            pytest.skip(
                f"no base image {reference} for {flavor.id}; tests/containers/make-base-images"
                f" makes stand-ins, {variable} names another"
            )


@pytest.mark.usefixtures("bases")
def test_every_save_load_case_passes_in_containers(tmp_path, daemon):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "harness", "run", "--engine=docker", "--gpu=none"),
            *(f"--flavors={flavor}" for flavor in FLAVORS),
            *("--families=keras_saveload", f"--reports={tmp_path}"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    record = RunRecord.model_validate_json((tmp_path / "latest" / "record.json").read_bytes())
    judged = [case for case in record.cases if case.skip is None]
    assert len(judged) == 23
    for case in judged:
        swapping = next(check for check in case.checks if check.id.value == "swapping_confirmed")
        assert swapping.message.startswith("confirmed: ")
    for flavor in record.flavors:
        assert flavor.provenance["environment"].startswith("sha256:")
        root = ET.parse(tmp_path / "latest" / "junit" / f"{flavor.id}.xml").getroot()
        assert not root.findall(".//failure")
        assert not root.findall(".//error")
    for phase in record.phases:
        assert phase.details["image"] == next(
            flavor.provenance["environment"]
            for flavor in record.flavors
            if flavor.id == phase.flavor
        )
    left = daemon.client().containers(all=True, filters={"label": [f"{LABEL}.run={record.id}"]})
    assert left == []
