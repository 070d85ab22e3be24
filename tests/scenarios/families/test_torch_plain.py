"""torch without Keras: where an optimizer's state is, before a save and after a load."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.catalog import catalog, providers
from harness.catalog.catalog import Catalog
from harness.plan import planner, scale
from tests.scenarios.phases import SCENARIOS, run_phase

FAMILY, FLAVOR, PROVIDER = "torch_plain", "torch-plain", "paged_optimizer"
TENSORS, STATE = 16, 28_495_952  # of Adam, two for each parameter; bytes


@pytest.fixture(scope="module")
def own() -> Catalog:
    whole = catalog.load(SCENARIOS.parent)
    return whole.swapping_by(providers.chosen(whole.shipped, [PROVIDER]))


def test_only_models_without_keras_run_on_the_flavor_and_only_there(own: Catalog) -> None:
    cases = [pair for pair in own.pairs() if pair.inapplicable is None]
    assert {pair.flavor.id for pair in cases} == {FLAVOR}
    assert {pair.scenario.family for pair in cases} == {FAMILY}
    assert len(cases) == 3
    reasons = {
        pair.inapplicable
        for pair in own.pairs()
        if pair.flavor.id == FLAVOR
        and pair.scenario.family != FAMILY
        and pair.provider.id == PROVIDER
    }
    assert reasons == {"models are torch's own modules: no Keras takes part"}


def test_our_own_provider_has_no_case_of_it() -> None:
    default = catalog.load(SCENARIOS.parent)
    assert not [
        pair
        for pair in default.pairs()
        if pair.inapplicable is None and FAMILY in (pair.scenario.family, pair.flavor.id)
    ]


def test_the_class_is_that_of_the_accelerator(own: Catalog) -> None:
    selected = own.select(flavors=[FLAVOR])
    goal = scale.Goal(activations_mib=1024, memory_bytes=80 << 30)
    effects = [
        {case.way.effect for case in planner.make(selected, goal=chosen).cases if case.way}
        for chosen in (None, goal)
    ]
    assert effects == [{"moves"}, {"pages"}]


@pytest.mark.slow
@pytest.mark.tensorflow
def test_state_is_out_before_the_save_and_after_the_load(tmp_path: Path) -> None:
    saved = run_phase(FLAVOR, f"{FAMILY}/train_save", tmp_path / "save", LMS_PROVIDER=PROVIDER)
    assert saved.code == 0, saved.log
    loaded, control, unhooked, claiming = (
        run_phase(
            FLAVOR,
            f"{FAMILY}/{script}",
            tmp_path / name,
            saved,
            **{"LMS_PROVIDER": PROVIDER, **variables},
        )
        for name, script, variables in (
            ("load", "load_train", {}),
            ("control", "load_train", {"LMS_PROVIDER": "off"}),
            ("unhooked", "load_train_unhooked", {}),
            ("claiming", "load_train", {"LMS_FAULT": "never_swapped"}),
        )
    )
    for ended in (loaded, control, unhooked, claiming):
        assert ended.code == 0, ended.log
        assert ended.digests("restored") == saved.digests("saved")
        assert ended.results == loaded.results  # nothing of this is arithmetic
    moved = {"swap_out": TENSORS, "swap_in": TENSORS, "bytes_out": STATE, "bytes_in": STATE}
    peaks = {}
    for ended in (saved, loaded):
        trace = ended.one("trace", function="train")
        assert moved.items() <= trace.items()
        assert moved.items() <= ended.one("lms_edited", provider=PROVIDER).items()
        peaks[ended.output] = trace["peak_accelerator"]
    assert peaks[saved.output] == peaks[loaded.output]
    for ended in (control, unhooked, claiming):
        trace = ended.one("trace", function="train")
        assert (trace["swap_out"], trace["swap_in"]) == (0, 0)
        # All of the state, and nothing else, is there in the whole of the step.
        assert abs(trace["peak_accelerator"] - peaks[loaded.output] - STATE) < 1024
    assert not control.of("lms_edited")
    # What it says is what it says before a save; only the meter knows.
    assert moved.items() <= unhooked.one("lms_edited", provider=PROVIDER).items()
    assert claiming.one("lms_edited", provider=PROVIDER)["swap_out"] > 0


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "variables",
    [{"KERAS_BACKEND": "jax"}, {"KERAS_BACKEND": ""}, {"EXECUTION_MODE": "function"}],
)
def test_without_keras_there_is_torch_or_one_line(
    variables: dict[str, str], tmp_path: Path
) -> None:
    ended = run_phase(FLAVOR, f"{FAMILY}/train_save", tmp_path, **variables)
    assert ended.code == 2
    assert ended.log.splitlines()[-1] == (
        "error: KERAS is none: KERAS_BACKEND has to be torch, and EXECUTION_MODE eager"
    )
