"""References of real frameworks: what they are compared with, and what a loss of swaps comes to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.catalog import catalog
from harness.catalog.scenarios import Scenario
from harness.checks import swapping_as_before
from harness.checks.evidence import Evidence, Reference
from harness.checks.finding import check
from harness.logs.parser import parse
from harness.plan import planner
from harness.record.checks import Check, CheckId, Status
from harness.record.models import Outcome, PhaseRecord
from tests.scenarios.phases import SCENARIOS, Ended, run_phase

# One flavor for each way to run a model and to swap it.
MODES = ["tf1-tfkeras", "tf2-tfkeras", "keras3-torch", "keras3-jax"]
TRAINING = "keras_saveload/mnist_cnn_keras_loadtrain_repaired"


def losing(flavor: str, name: str, directory: Path, source: Ended) -> Ended:
    """A phase whose provider loses half of its swaps without a word."""
    return run_phase(flavor, name, directory, source, LMS_FAULT="swaps_lost:50:evenly")


def record(name: str, role: str, ended: Ended) -> PhaseRecord:
    assert ended.code == 0, ended.log
    return PhaseRecord(
        key=name,
        flavor="any",
        family="keras_saveload",
        script=f"{name}.py",
        role=role,
        provider="builtin",
        outcome=Outcome.COMPLETED,
        exit_code=0,
        directory=name,
        facts=parse([ended.log.encode()]),
    )


def judged(role: str, load: Ended, reference: Ended, declared: bool = False) -> Check:
    """The check of a load phase, beside the execution in which nothing was loaded."""
    phases = (
        {"id": "save", "script": "save.py", "role": "train"},
        {"id": "load", "script": "load.py", "role": role},
    )
    scenario = Scenario(id="one", family="keras_saveload", description="one", phase=phases)
    save, loaded = record("save", "train", reference), record("load", role, load)
    evidence = Evidence(
        scenario=scenario,
        phases=tuple(zip(scenario.phase, (save, loaded), strict=True)),
        controls={},
        provider="builtin",
        accelerator="virtual",
        references={"load": Reference("save", save, declared)},
    )
    return check(CheckId.SWAPPING_AS_BEFORE, swapping_as_before.findings(evidence))


@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", MODES)
def test_swaps_that_are_lost_after_the_load_fail_the_check(
    flavor: str, whole_model: Callable[[str], Ended], tmp_path: Path
) -> None:
    saved = whole_model(flavor)
    sound = judged("train", run_phase(flavor, TRAINING, tmp_path / "load", saved), saved)
    assert sound.status is Status.PASSED, sound.message
    assert sound.message.startswith("load: as in save: ")

    broken = judged("train", losing(flavor, TRAINING, tmp_path / "losing", saved), saved)
    assert broken.status is Status.FAILED, broken.message
    assert "a step are no longer swapped out" in broken.message
    assert broken.numbers["bytes_out"] < 0.95 * broken.numbers["reference_bytes_out"]
    assert broken.numbers["swap_out"] > 0  # it still swaps


@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", ["tf1-tfkeras", "tf2-tfkeras"])
def test_a_prediction_is_compared_with_a_reference_of_its_own(
    flavor: str, whole_model: Callable[[str], Ended], tmp_path: Path
) -> None:
    name = "keras_saveload/mnist_cnn_keras_loadpredict"
    reference = run_phase(flavor, name, tmp_path / "reference", LMS_REFERENCE="1")
    assert not reference.of("digest", stage="restored")
    load = run_phase(flavor, name, tmp_path / "load", whole_model(flavor))
    sound = judged("predict", load, reference, declared=True)
    assert sound.status is Status.PASSED, sound.message
    broken = judged(
        "predict", losing(flavor, name, tmp_path / "losing", whole_model(flavor)), reference, True
    )
    assert broken.status is Status.FAILED, broken.message


def references() -> list[tuple[str, str]]:
    """`(flavor, key)` of every reference that scenarios declare, once for each script."""
    made = planner.make(catalog.load(SCENARIOS.parent))
    keys = [
        use.reference
        for flavor in ("tf1-tfkeras", "tf2-tfkeras", "keras3-tensorflow")
        for case in made.cases
        for use in case.uses
        if case.flavor.id == flavor and use.reference_declared and use.reference
    ]
    tasks = [made.tasks[key] for key in keys]
    found = {
        task.script: (task.flavor, task.key)
        for task in reversed(tasks)
        if task.variables.get("LMS_REFERENCE") == "1"
    }
    return sorted(found.values())


@pytest.mark.tensorflow
@pytest.mark.parametrize(("flavor", "key"), references())
def test_a_reference_loads_nothing_and_traces_a_step_that_swaps(
    flavor: str, key: str, tmp_path: Path
) -> None:
    task = planner.make(catalog.load(SCENARIOS.parent)).tasks[key]
    name = Path(task.script).with_suffix("").relative_to("families").as_posix()
    ended = run_phase(flavor, name, tmp_path / "reference", **task.variables)
    assert ended.code == 0, ended.log
    assert task.input is None
    assert ended.markers[-1]["event"] == "done"
    assert not ended.of("digest", stage="restored")
    step = ended.one("trace", function=task.role)
    assert step["batch"] >= 1
    assert min(step["swap_out"], step["swap_in"]) > 0
