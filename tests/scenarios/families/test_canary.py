"""Each canary is wrong in exactly the way that its check looks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.catalog import catalog
from harness.record.checks import CheckId
from tests.scenarios.phases import (
    FUNCTIONS,
    MUTATION,
    SCENARIOS,
    SESSIONS,
    Ended,
    run_phase,
    run_plain,
)

LOAD = "keras_saveload/mnist_cnn_keras_loadtrain_repaired"


def test_every_fault_expects_its_own_check() -> None:
    scenarios = catalog.load(SCENARIOS.parent).select(families=["canary"]).scenarios
    of_the_harness = {
        "weights_before_lms": CheckId.EDIT_TOOK_EFFECT,
        "lms_silently_off": CheckId.LMS_EDITED_GRAPH,
        "stale_artifact": CheckId.STATE_RESTORED,
        "truncated_file": CheckId.PHASES_COMPLETE,
        "corrupted_swap_in": CheckId.RESULT_UNCHANGED,
        "traced_too_early": CheckId.EDIT_TOOK_EFFECT,
        "swapping_switched_off": CheckId.SWAPPING_CONFIRMED,
    }
    expected = {scenario.id: scenario.expects for scenario in scenarios}
    assert None not in expected.values()
    assert of_the_harness.items() <= expected.items()
    for scenario in scenarios:
        if scenario.id in of_the_harness:
            with_control = ("corrupted_swap_in", "swapping_switched_off")
            assert scenario.control == (scenario.id in with_control)


@pytest.mark.parametrize("size", [0, 1, 1001])
def test_truncated_file_is_the_first_half(size: int, tmp_path: Path) -> None:
    content = (bytes(range(256)) * 4)[:size]
    source = tmp_path / "in"
    source.mkdir()
    (source / "mnistsavedmodel.h5").write_bytes(content)
    script = SCENARIOS / "families" / "canary" / "truncate.py"
    ended = run_plain([str(script)], tmp_path / "run", INPUT_DIR=str(source))
    assert ended.code == 0, ended.log
    assert [marker["event"] for marker in ended.markers] == ["done"]
    assert (ended.output / "mnistsavedmodel.h5").read_bytes() == content[: size // 2]


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "flavor",
    [
        pytest.param(name, marks=pytest.mark.slow if name != "tf1-tfkeras" else ())
        for name in SESSIONS
    ],
)
def test_faults_show(flavor: str, whole_model: Callable[[str], Ended], tmp_path: Path) -> None:
    saved = whole_model(flavor)

    frozen = run_phase(
        flavor, "canary/weights_before_lms", tmp_path / "frozen", saved, LMS_EDIT_IN_PLACE="1"
    )
    assert frozen.code == 0, frozen.log
    assert frozen.one("lms_edited")["swap_out"] > 0
    assert MUTATION in frozen.log
    assert frozen.one("trace")["swap_out"] == 0
    assert frozen.digests("restored") == saved.digests("saved")

    # The same script is sound where our provider may move to a fresh session.
    healed = run_phase(flavor, "canary/weights_before_lms", tmp_path / "healed", saved)
    assert MUTATION not in healed.log
    assert healed.one("trace")["swap_out"] > 0
    assert healed.results == frozen.results

    corruption_shows(flavor, saved, healed, tmp_path)


@pytest.mark.tensorflow
@pytest.mark.slow
@pytest.mark.parametrize("flavor", FUNCTIONS)
def test_function_that_was_traced_too_early_shows(
    flavor: str, whole_model: Callable[[str], Ended], tmp_path: Path
) -> None:
    saved = whole_model(flavor)
    stale = run_phase(
        flavor, "canary/traced_too_early", tmp_path / "stale", saved, LMS_EDIT_IN_PLACE="1"
    )
    assert stale.code == 0, stale.log
    assert not stale.of("lms_edited"), "an edit is announced that never was"
    assert MUTATION not in stale.log
    trace = stale.one("trace", function="train")
    assert [trace[name] for name in ("graph_swap_out", "graph_swap_in", "swap_in")] == [0, 0, 0]
    assert stale.digests("restored") == saved.digests("saved")

    # The same script is sound where our provider may make a fresh function.
    healed = run_phase(flavor, "canary/traced_too_early", tmp_path / "healed", saved)
    assert healed.one("trace", function="train")["graph_swap_in"] > 0
    corruption_shows(flavor, saved, healed, tmp_path)


def corruption_shows(flavor: str, saved: Ended, sound: Ended, directory: Path) -> None:
    corrupt = run_phase(flavor, LOAD, directory / "corrupt", saved, LMS_FAULT="values_wrong")
    assert corrupt.code == 0, corrupt.log
    assert corrupt.one("trace")["swap_in"] > 0
    losses = [m["value"] for m in corrupt.of("metric", name="loss")]
    expected = [m["value"] for m in sound.of("metric", name="loss")]
    assert None not in losses
    assert losses != pytest.approx(expected, rel=1e-5, abs=1e-6)
    for of in ("weights", "optimizer"):
        assert corrupt.digests("restored")[of] == saved.digests("saved")[of]


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "flavor", ["tf1-tfkeras", pytest.param("tf2-tfkeras", marks=pytest.mark.slow)]
)
def test_stale_artifact_is_of_an_earlier_epoch(flavor: str, tmp_path: Path) -> None:
    saved = run_phase(flavor, "canary/train_save_stale", tmp_path / "save")
    assert saved.code == 0, saved.log
    loaded = run_phase(flavor, LOAD, tmp_path / "load", saved)
    assert loaded.code == 0, loaded.log
    before, after = saved.digests("saved"), loaded.digests("restored")
    assert set(before) == set(after) == {"weights", "optimizer", "random", "predictions"}
    assert not set(before.items()) & set(after.items())
