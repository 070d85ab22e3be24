"""The steps of a day with a GPU: their order and choice, and commands that the harness takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.gpu import steps
from benchmarks.gpu.steps import Settings, Step
from harness.catalog import catalog
from harness.cli.main import cli
from harness.plan import sensitivity
from tests.paths import ROOT

SETTINGS = Settings(Path("/day"), "/usr/bin/python3", xla_flags="--xla_a=1 --xla_b")
ALL = steps.steps(SETTINGS)


def test_the_first_ones_tell_most():
    names = [step.name for step in ALL]
    assert names[:5] == ["install", "sanity", "prove-torch", "prove-jax", "prove-jax-flags"]
    assert names[-2:] == ["rest-torch", "rest-jax"]
    without = steps.steps(Settings(Path("/day"), "/usr/bin/python3"))
    assert [step.name for step in without] == [name for name in names if name != "prove-jax-flags"]


@pytest.mark.parametrize(
    "step", [step for step in ALL if "harness" in step.command], ids=lambda step: step.name
)
def test_the_harness_takes_its_command(step: Step):
    """The command line is parsed as it would be there, and not run."""
    python, minus_m, harness, name, *arguments = step.command
    assert (python, minus_m, harness) == (SETTINGS.python, "-m", "harness")
    command = cli.commands[name]
    context = command.make_context(name, list(arguments), resilient_parsing=False)
    assert context.params["gpu"] == "0"


def test_what_they_name_is_there():
    selected = catalog.load(ROOT).select(list(steps.FLAVORS.values()))
    assert {entry.id for entry in selected.flavors} == set(steps.FLAVORS.values())
    known = {entry.id for entry in selected.scenarios}
    assert {steps.SCENARIO, *steps.SAVELOAD, *steps.CANARIES} <= known
    assert set(steps.FAULTS) <= {sensitivity.SOUND, *(e.id for e in sensitivity.INJECTIONS)}


def test_steps_that_are_named_are_run_in_their_own_order():
    found = steps.chosen(ALL, ["prove-jax=200", "sanity"])
    assert [(step.name, step.limit_s) for step in found] == [("sanity", 95), ("prove-jax", 200)]


@pytest.mark.parametrize(
    ("word", "problem"),
    [("prove-tf", "no step prove-tf: there are install, "), ("sanity=soon", "could not convert")],
)
def test_a_wrong_word_is_refused(word: str, problem: str):
    with pytest.raises(ValueError, match=problem):
        steps.chosen(ALL, [word])


def step(name: str) -> Step:
    return next(entry for entry in ALL if entry.name == name)


def test_other_flags_are_tried_where_the_proof_failed_alone():
    flags = step("prove-jax-flags")
    assert flags.reason_against({"prove-jax": 0}) == "prove-jax did not fail"
    assert flags.reason_against({"prove-jax": 2}) == ""
    assert flags.variables == {"PYTHON_keras3_jax": "/day/python-jax-flags"}
    # Named, it is run whatever became of others.
    assert steps.chosen(ALL, ["prove-jax-flags"])[0].reason_against({}) == ""


def test_the_rest_waits_for_both_proofs():
    rest = step("rest-torch")
    assert rest.reason_against({"prove-torch": 0, "prove-jax": 0}) == ""
    assert rest.reason_against({"prove-torch": 0, "prove-jax": 1}) == "first look at prove-jax"
