"""Each canary is wrong in exactly the way that its check looks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness import catalog
from harness.record import CheckId
from tests.scenarios.phases import (
    FLAVORS,
    MUTATION,
    SCENARIOS,
    Ended,
    run_phase,
    run_plain,
)

LOAD = "keras_saveload/mnist_cnn_keras_loadtrain"


def test_every_fault_expects_its_own_check() -> None:
    scenarios = catalog.load(SCENARIOS.parent).select(families=["canary"]).scenarios
    assert {scenario.id: scenario.expects for scenario in scenarios} == {
        "weights_before_lms": CheckId.EDIT_TOOK_EFFECT,
        "lms_silently_off": CheckId.LMS_EDITED_GRAPH,
        "stale_artifact": CheckId.STATE_RESTORED,
        "truncated_file": CheckId.PHASES_COMPLETE,
        "corrupted_swap_in": CheckId.RESULT_UNCHANGED,
    }
    assert [scenario.id for scenario in scenarios if scenario.control] == ["corrupted_swap_in"]


@pytest.mark.parametrize("size", [0, 1, 1001])
def test_truncated_file_is_the_first_half(size: int, tmp_path: Path) -> None:
    content = (bytes(range(256)) * 4)[:size]
    source = tmp_path / "in"
    source.mkdir()
    (source / "mnistsavedmodel.h5").write_bytes(content)
    script = SCENARIOS / "families" / "canary" / "truncate.py"
    ended = run_plain([str(script)], tmp_path / "run", INPUT_DIR=str(source))
    assert ended.code == 0, ended.log
    assert ended.markers == [{"event": "done"}]
    assert (ended.output / "mnistsavedmodel.h5").read_bytes() == content[: size // 2]


@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", FLAVORS)
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

    corrupt = run_phase(flavor, LOAD, tmp_path / "corrupt", saved, LMS_CORRUPT="1")
    assert corrupt.code == 0, corrupt.log
    assert corrupt.one("trace")["swap_in"] > 0
    losses = [m["value"] for m in corrupt.of("metric", name="loss")]
    expected = [m["value"] for m in healed.of("metric", name="loss")]
    assert None not in losses
    assert losses != pytest.approx(expected, rel=1e-3, abs=1e-4)
    for of in ("weights", "optimizer"):
        assert corrupt.digests("restored")[of] == saved.digests("saved")[of]


@pytest.mark.tensorflow
def test_stale_artifact_is_of_an_earlier_epoch(tmp_path: Path) -> None:
    saved = run_phase("tf1-tfkeras", "canary/train_save_stale", tmp_path / "save")
    assert saved.code == 0, saved.log
    loaded = run_phase("tf1-tfkeras", LOAD, tmp_path / "load", saved)
    assert loaded.code == 0, loaded.log
    before, after = saved.digests("saved"), loaded.digests("restored")
    assert set(before) == set(after) == {"weights", "optimizer", "predictions"}
    assert not set(before.items()) & set(after.items())
