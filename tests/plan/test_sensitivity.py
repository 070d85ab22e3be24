"""The faults that are injected, and the plan of them."""

from __future__ import annotations

import pytest

from harness.base.error import UsageError
from harness.catalog import catalog
from harness.plan import planner, sensitivity
from tests.paths import ROOT
from tests.projects import lay_out


def test_a_fault_is_in_the_load_alone_and_all_else_is_shared() -> None:
    whole = catalog.load(ROOT).select(["tf1-tfkeras"], (), ())
    made = planner.make(sensitivity.catalog(whole))
    assert len(made.cases) == 1 + len(sensitivity.INJECTIONS)
    assert len(made.tasks) == 3 + len(sensitivity.INJECTIONS)  # a save, a sound load, its control
    broken = {key: task for key, task in made.tasks.items() if "LMS_FAULT" in task.variables}
    assert len(broken) == len(sensitivity.INJECTIONS)
    assert {task.provider for task in broken.values()} == {"builtin"}
    sound, *faulty = made.cases
    assert sound.scenario.expects is None
    for case, injection in zip(faulty, sensitivity.INJECTIONS, strict=True):
        (save, load) = case.uses
        assert made.tasks[load.key].variables["LMS_FAULT"] == injection.fault
        assert (save.key, load.control) == (sound.uses[0].key, sound.uses[1].control)
        assert load.reference == save.key
        assert case.scenario.expects is injection.expects


def test_a_checkout_without_the_scenario_is_refused_with_one_line(tmp_path) -> None:
    with pytest.raises(UsageError, match="no scenario 'trainsave-loadtrain_repaired' to inject"):
        sensitivity.catalog(catalog.load(lay_out(tmp_path)))
