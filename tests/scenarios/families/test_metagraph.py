"""A checkpoint after every epoch, loaded by its meta graph with no code of the model."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.catalog import catalog
from meters import session
from tests.scenarios.phases import FLAVORS, MUTATION, SCENARIOS, Ended, run_phase

FAMILY = "metagraph"
EPOCHS = 5
PLAIN = [name for name, flavor in FLAVORS.items() if "plain_graph" in flavor.features]


def phase(
    flavor: str, name: str, directory: Path, source: Ended | None = None, **more: str
) -> Ended:
    ended = run_phase(flavor, name, directory, source, EXECUTION_MODE="session", **more)
    assert ended.code == 0, ended.log
    assert ended.markers[-1]["event"] == "done"
    assert MUTATION not in ended.log
    return ended


def epochs(ended: Ended) -> dict[tuple[int, str], float]:
    """Accuracy and loss on the test images, by epoch."""
    return {(m["epoch"], m["name"]): m["value"] for m in ended.of("metric", split="test")}


def differing(ended: Ended) -> list[dict[str, Any]]:
    return [claim for claim in ended.of("claim") if claim["expected"] != claim["found"]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Ended]:
    """The phase that trains and saves every epoch, run once a flavor."""

    @functools.cache
    def train(flavor: str) -> Ended:
        return phase(flavor, f"{FAMILY}/train", tmp_path_factory.mktemp(flavor) / "train")

    return train


def test_scenarios_run_in_sessions_where_graphs_are_edited_directly() -> None:
    scenarios = catalog.load(SCENARIOS.parent).select(families=[FAMILY]).scenarios
    assert [scenario.id for scenario in scenarios] == [
        "train_epochs-load_epochs",
        "train_epochs-load_train",
    ]
    for scenario in scenarios:
        assert (scenario.mode, scenario.requires) == ("session", ("keras", "plain_graph"))
    assert "epochs" in scenarios[0].restores
    assert [scenarios[0].judged(phase) for phase in scenarios[0].phase] == [True, True]


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", PLAIN)
def test_every_epoch_is_loaded_to_the_last_bit_and_still_swaps(
    flavor: str, trained: Callable[[str], Ended], tmp_path: Path
) -> None:
    saved = trained(flavor)
    loaded = phase(flavor, f"{FAMILY}/load", tmp_path / "load", saved)

    assert set(epochs(saved)) == {
        (epoch, name) for epoch in range(EPOCHS + 1) for name in ("accuracy", "loss")
    }
    assert epochs(loaded) == epochs(saved)
    assert len({value for (_, name), value in epochs(saved).items() if name == "loss"}) > EPOCHS
    assert set(saved.digests("saved")) == {"weights", "optimizer", "predictions"}
    assert loaded.digests("restored") == saved.digests("saved")

    edit = saved.one("lms_edited")
    swaps = f"{edit['swap_out']} out, {edit['swap_in']} in"
    assert min(edit["swap_out"], edit["swap_in"]) > 0
    for ended in (saved, loaded):
        assert not differing(ended)
        counted = ended.of("claim", found=swaps)
        assert len(counted) == EPOCHS + 1
    for found in loaded.of("lms_edited"):
        assert (found["swap_out"], found["swap_in"]) == (edit["swap_out"], edit["swap_in"])
        assert found["operations"] == 0
    assert saved.one("trace", function="predict")["steps"] is None  # more of them come after it
    trace = loaded.one("trace", function="predict")
    # Six evaluations, two digests, and at least three of the meter.
    assert EPOCHS + 1 + 2 + 3 <= trace["steps"] <= EPOCHS + 1 + 2 + 3 + session._REPETITIONS
    assert min(trace["swap_out"], trace["swap_in"]) > 0
    assert loaded.log.count("| equal") == EPOCHS + 1


@pytest.mark.slow
@pytest.mark.tensorflow
def test_imported_training_step_goes_on_with_the_same_result_and_less_memory(
    trained: Callable[[str], Ended], tmp_path: Path
) -> None:
    flavor = PLAIN[-1]
    saved = trained(flavor)
    more = phase(flavor, f"{FAMILY}/load_train", tmp_path / "more", saved)
    control = phase(flavor, f"{FAMILY}/load_train", tmp_path / "off", saved, LMS_PROVIDER="off")

    assert more.digests("restored") == saved.digests("saved")
    before, after = epochs(saved), epochs(more)
    assert set(after) == {(e, n) for e in (EPOCHS, EPOCHS + 1) for n in ("accuracy", "loss")}
    assert after[EPOCHS, "loss"] == before[EPOCHS, "loss"]
    assert epochs(control) == pytest.approx(after, rel=1e-3, abs=1e-4)
    assert not differing(more) + differing(control)

    swapped, plain = more.one("trace"), control.one("trace")
    assert min(swapped["swap_out"], swapped["swap_in"]) > 0
    assert (plain["swap_out"], plain["swap_in"]) == (0, 0)
    assert swapped["peak_accelerator"] < 0.9 * plain["peak_accelerator"]


@pytest.mark.slow
@pytest.mark.tensorflow
def test_wrong_epochs_checkpoint_shows_in_that_epoch_alone(
    trained: Callable[[str], Ended], tmp_path: Path
) -> None:
    flavor = PLAIN[0]
    saved = trained(flavor)
    wrong = phase(flavor, "canary/wrong_epochs_checkpoint", tmp_path / "wrong", saved)
    before, after = epochs(saved), epochs(wrong)
    assert {key for key in before if after[key] != before[key]} >= {(3, "loss")}
    assert {epoch for epoch, name in before if after[epoch, name] != before[epoch, name]} == {3}
    assert after[3, "loss"] == before[2, "loss"]
    assert wrong.digests("restored") == saved.digests("saved")
    assert wrong.log.count("| DIFFERENT") == 1


@pytest.mark.slow
@pytest.mark.tensorflow
def test_load_without_what_training_left_ends_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    nothing = Ended(0, "", tmp_path / "empty")
    ended = run_phase(
        PLAIN[0], f"{FAMILY}/load", tmp_path / "load", nothing, EXECUTION_MODE="session"
    )
    assert ended.code == 2
    assert "Traceback" not in ended.log
    (line,) = (line for line in ended.log.splitlines() if line.startswith("error: "))
    assert line == "error: epochs.json is not in INPUT_DIR: the phase that trains leaves it there"
