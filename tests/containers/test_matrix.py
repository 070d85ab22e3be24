"""The matrix in containers: a real daemon, images built from the pinned files."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from harness.catalog import catalog
from harness.engine.docker.daemon import ERRORS, LABEL, Daemon
from harness.engine.docker.image import base_reference
from harness.record.models import RunRecord
from tests.paths import ROOT
from tests.records import assert_everything_passed, what_failed

SESSION, FUNCTION = "tf1-tfkeras", "tf2-tfkeras"
KERAS_TEAM = ("tf1-keras22", "tf1-keras23")
FAMILIES = catalog.load(ROOT).families

# What a case shows of a framework is the same on each engine, and the tests of scenarios show it
# there. Here is what a container can get wrong: a flavor of each way of building an image, every
# family on one of them, replicas in function mode, and variants, whose phases run in groups. The
# phases of ResNet50 and proofs take longest and ask nothing of a container that others do not.
ELSEWHERE = ("keras_state", "resnet50_generator", "proof_cnn")
PARTS = [
    ((SESSION,), tuple(family for family in FAMILIES if family not in ELSEWHERE), ("*",)),
    ((SESSION,), ("keras_state",), ("rnn-*",)),
    ((FUNCTION,), ("keras_saveload", "distribute"), ("trainsave-*", "mirrored_keras-*")),
    (KERAS_TEAM, ("keras_saveload",), ("trainsave-*", "trainsaveweights-*")),
]

# Images are built, and phases run one after another on a small machine: longer than any other test.
pytestmark = [
    pytest.mark.docker,
    pytest.mark.tensorflow,
    pytest.mark.slow,
    pytest.mark.timeout(2700),
]


@pytest.fixture(scope="module")
def bases(daemon: Daemon) -> None:
    """The flavors' base images are there; nothing is pulled for a test."""
    for flavor in catalog.load(ROOT).select((SESSION, FUNCTION, *KERAS_TEAM)).flavors:
        reference, variable = base_reference(flavor, flavor.image[0])
        try:
            daemon.client().inspect_image(reference)
        except ERRORS:
            pytest.skip(
                f"no base image {reference} for {flavor.id}; tests/containers/make-base-images"
                f" makes stand-ins, {variable} names another"
            )


@pytest.mark.usefixtures("bases")
@pytest.mark.parametrize(("flavors", "families", "scenarios"), PARTS)
def test_every_case_passes_in_containers(tmp_path, daemon, flavors, families, scenarios):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "harness", "run", "--engine=docker", "--gpu=none"),
            *(f"--flavors={flavor}" for flavor in flavors),
            *(f"--families={family}" for family in families),
            *(f"--scenarios={scenario}" for scenario in scenarios),
            f"--reports={tmp_path}",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=2400,
    )
    assert done.returncode == 0, what_failed(tmp_path) + done.stderr
    record = RunRecord.model_validate_json((tmp_path / "latest" / "record.json").read_bytes())
    assert_everything_passed(record, catalog.load(ROOT).select(flavors, families, scenarios))
    for flavor in record.flavors:
        assert flavor.provenance["environment"].startswith("sha256:")
        pin = flavor.provenance["base image pin"]
        not_pinned = f"base not pinned: {flavor.provenance['base image']} "
        told = any(note.startswith(not_pinned) for note in record.notes)
        assert told == pin.startswith("base not pinned: "), pin
        root = ET.parse(tmp_path / "latest" / "junit" / f"{flavor.id}.xml").getroot()
        assert not root.findall(".//failure")
        assert not root.findall(".//error")
    for phase in record.phases:
        assert phase.details["image"] == next(
            flavor.provenance["environment"]
            for flavor in record.flavors
            if flavor.id == phase.flavor
        )
    places = {phase.key: phase.details.get("group") for phase in record.phases}
    compared = [use for case in record.cases for use in case.phases if use.control is not None]
    beside = {use.control for use in compared if places[str(use.control)] == places[use.key]}
    assert beside == {use.control for use in compared}  # each with one of those it is compared with
    assert not compared or any(places[use.key] for use in compared)
    left = daemon.client().containers(all=True, filters={"label": [f"{LABEL}.run={record.id}"]})
    assert left == []
