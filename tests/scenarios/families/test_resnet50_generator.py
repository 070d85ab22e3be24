"""ResNet50 from a generator: phases as the harness starts them, in both execution modes."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.catalog import catalog
from tests.scenarios.phases import MUTATION, SCENARIOS, Ended, run_phase

FAMILY = "resnet50_generator"
SCRIPTS = sorted(
    path.name
    for path in (SCENARIOS / "families" / FAMILY).glob("*.py")
    if path.name != "resnet50.py"
)


def complete(ended: Ended) -> Ended:
    assert ended.code == 0, ended.log
    assert ended.markers[-1]["event"] == "done"
    assert MUTATION not in ended.log
    return ended


def test_family_has_the_three_paths_and_no_script_is_left_over() -> None:
    scenarios = catalog.load(SCENARIOS.parent).select(families=[FAMILY]).scenarios
    assert {scenario.id: scenario.restores for scenario in scenarios} == {
        "train_savemodel-loadmodel_train": ("weights", "optimizer", "predictions"),
        "train_saveweights-loadweights_train": ("weights", "predictions"),
        "train_saveweights_h5-loadweights_train_h5": ("weights", "predictions"),
    }
    used = {phase.script for scenario in scenarios for phase in scenario.phase}
    used |= {scenario.straight.script for scenario in scenarios if scenario.straight is not None}
    assert sorted(used) == SCRIPTS


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", ["tf1-keras22", "tf2-legacy"])
def test_whole_model_goes_on_from_its_generator(flavor: str, tmp_path: Path) -> None:
    saved = complete(run_phase(flavor, f"{FAMILY}/train_save", tmp_path / "save"))
    loaded = complete(run_phase(flavor, f"{FAMILY}/loadmodel_train", tmp_path / "load", saved))
    assert set(saved.digests("saved")) == {"weights", "optimizer", "predictions"}
    assert loaded.digests("restored") == saved.digests("saved")
    # The weights were trained on: the model does not predict what it did when it was loaded.
    assert loaded.digests("final")["predictions"] != loaded.digests("restored")["predictions"]
    trace = loaded.one("trace", function="train")
    assert trace["swap_out"] > 100
    assert trace["bytes_in"] > 64 * 1024**2


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("name", "value", "least"),
    [
        ("RESNET_IMAGE_SIZE", "31", 32),
        ("RESNET_STEPS", "0", 1),
        ("RESNET_BATCH_SIZE", "many", 1),
    ],
)
def test_bad_sizes_end_a_phase_with_one_line(
    name: str, value: str, least: int, tmp_path: Path
) -> None:
    ended = run_phase("tf1-tfkeras", f"{FAMILY}/train_save", tmp_path, **{name: value})
    assert ended.code == 2
    assert "Traceback" not in ended.log
    assert [line for line in ended.log.splitlines() if line.startswith("error: ")] == [
        f"error: {name} is '{value}'; it must be a whole number of at least {least}"
    ]
