"""Save/load phases as the harness starts them, in every session and traced function."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.catalog import catalog
from meters import session
from tests.scenarios.phases import (
    FLAVORS,
    FUNCTIONS,
    KERAS3,
    MUTATION,
    SCENARIOS,
    SESSIONS,
    Ended,
    run_phase,
)

FAMILY = "keras_saveload"
STATE = {"weights", "optimizer", "random", "predictions"}
# Batches of 128 of the shipped digits.
TRAINED, PREDICTED = 3, 2
SCRIPTS = sorted(path.stem for path in (SCENARIOS / "families" / FAMILY).glob("mnist_*_keras_*.py"))


def phase(
    flavor: str, name: str, directory: Path, source: Ended | None = None, **more: str
) -> Ended:
    return run_phase(flavor, f"{FAMILY}/mnist_cnn_keras_{name}", directory, source, **more)


def complete(ended: Ended) -> Ended:
    assert ended.code == 0, ended.log
    assert ended.markers[-1]["event"] == "done"
    assert MUTATION not in ended.log
    return ended


def test_family_has_its_paths_and_no_script_is_left_over() -> None:
    scenarios = catalog.load(SCENARIOS.parent).select(families=[FAMILY]).scenarios
    assert [scenario.id for scenario in scenarios] == [
        "trainsave-loadtrain",
        "trainsave-loadtrain_repaired",
        "trainsave-loadpredict",
        "trainsaveweights-loadweights_train",
        "trainsaveweights-loadweights_predict",
        "trainsaveweights_h5-loadweights_h5_train",
        "trainsaveweights_h5-loadweights_h5_predict",
        "trainsave_no_optimizer-loadpredict",
        "train_save_checkpoint-load_checkpoint_train",
        "train_save_checkpoint-load_checkpoint_predict",
        "trainsave_keras-loadtrain",
        "trainsave_keras-loadpredict",
        "trainsaveweights_v3-loadweights_v3_train",
        "trainsaveweights_v3-loadweights_v3_train_repaired",
        "trainsaveweights_v3-loadweights_v3_predict",
        "modelcheckpoint-load_last_train",
        "modelcheckpoint-load_best_train",
        "backup-restore_train",
        "mixer_trainsave_keras-loadtrain",
        "mixer_trainsaveweights_v3-loadweights_v3_train",
    ]
    used = {phase.script for scenario in scenarios for phase in scenario.phase}
    used |= {scenario.straight.script for scenario in scenarios if scenario.straight is not None}
    assert used == {f"{name}.py" for name in SCRIPTS}
    assert len(used) == 33
    formats = {
        "_save_checkpoint": "tf_checkpoint",
        "_keras-": "keras_format",
        "trainsaveweights-": "weights_any_name",
        "trainsaveweights_h5-": "weights_any_name",
        "_v3-": "keras3",
        "loadtrain_repaired": "keras3",
        "modelcheckpoint": "keras3",
        "backup": "keras3",
    }
    for scenario in scenarios:
        needed = tuple(needs for part, needs in formats.items() if part in scenario.id)
        if scenario.id.startswith("mixer"):  # of Keras 3, which has that format
            needed = ("keras3",)
        assert scenario.requires == ("keras", *needed)
        # The best epoch's state is in claims; a backup is restored within `fit`.
        if "best" not in scenario.id:
            assert {"weights"} <= set(scenario.restores)


@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", [*SESSIONS, *FUNCTIONS])
def test_whole_model_goes_on_with_the_same_result_and_less_memory(
    flavor: str, whole_model: Callable[[str], Ended], tmp_path: Path
) -> None:
    saved = complete(whole_model(flavor))
    loaded = complete(phase(flavor, "loadtrain", tmp_path / "load", saved))
    control = complete(phase(flavor, "loadtrain", tmp_path / "control", saved, LMS_PROVIDER="off"))

    assert saved.one("environment")["data"] == "uci-digits"
    assert set(saved.digests("saved")) == STATE
    assert loaded.digests("restored") == saved.digests("saved")
    assert loaded.results == control.results
    assert {(m["name"], m["epoch"]) for m in loaded.of("metric", split="train")} == {
        ("loss", 2),
        ("accuracy", 2),
    }

    assert loaded.one("lms_edited")["swap_out"] > 0
    assert not control.of("lms_edited")
    swapped, plain = loaded.one("trace"), control.one("trace")
    assert swapped["swap_in"] > 0
    assert plain["swap_in"] == 0
    assert swapped["peak_accelerator"] < 0.9 * plain["peak_accelerator"]
    # A session's meter measures again while the peak may be lower.
    repeated = session._REPETITIONS if flavor in SESSIONS else 0
    traced = 1 if flavor in SESSIONS else 2
    for trace in (saved.one("trace"), swapped, plain):
        assert 0 <= trace["steps"] - TRAINED - traced <= repeated


@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", KERAS3)
def test_keras_3_goes_on_with_the_same_result_and_less_memory(
    flavor: str, whole_model: Callable[[str], Ended], tmp_path: Path
) -> None:
    saved = complete(whole_model(flavor))
    name = "loadtrain_repaired"
    loaded = complete(phase(flavor, name, tmp_path / "load", saved))
    control = complete(phase(flavor, name, tmp_path / "control", saved, LMS_PROVIDER="off"))
    pretended = complete(
        phase(flavor, name, tmp_path / "pretended", saved, LMS_FAULT="never_swapped")
    )

    assert FLAVORS[flavor].variables["KERAS_BACKEND"] in saved.one("environment")["versions"]
    assert set(saved.digests("saved")) == STATE
    assert loaded.digests("restored") == saved.digests("saved")
    assert [entry["text"] for entry in loaded.of("note")] == [
        "repaired: load_model drops the optimizer's state of an HDF5 file; it is set again"
    ]
    for ended in (loaded, pretended):
        assert values(ended) == pytest.approx(values(control), rel=1e-4, abs=1e-6)

    swapped, plain, idle = (ended.one("trace") for ended in (loaded, control, pretended))
    edit = loaded.of("lms_edited")[-1]
    assert edit["swap_out"] >= swapped["swap_out"] > 0
    assert edit["swap_in"] >= swapped["swap_in"] > 0
    assert pretended.of("lms_edited")[-1]["bytes_out"] > edit["bytes_out"] // 2
    assert not control.of("lms_edited")
    for trace in (plain, idle):
        assert (trace["swap_out"], trace["swap_in"], trace["bytes_out"]) == (0, 0, 0)
    assert swapped["peak_accelerator"] < 0.97 * plain["peak_accelerator"]
    assert idle["peak_accelerator"] > swapped["peak_accelerator"]
    for ended, trace in ((loaded, swapped), (control, plain)):
        accelerator, host = ended.peaks_over_time("train")
        assert accelerator == trace["peak_accelerator"]
        # Of a compiled program the host's memory has no curve.
        assert host == (None if flavor == "keras3-jax" else trace["peak_host"])
    # On jax the last batch, which is smaller, is left out.
    trained = 2 if flavor == "keras3-jax" else 3
    assert {trace["steps"] for trace in (saved.one("trace"), swapped, plain)} == {trained + 2}


@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", KERAS3)
def test_what_keras_3_loses_of_an_hdf5_file_is_shown_and_not_repaired(
    flavor: str, whole_model: Callable[[str], Ended], tmp_path: Path
) -> None:
    saved = complete(whole_model(flavor))
    loaded = phase(flavor, "loadtrain", tmp_path / "load", saved)
    assert loaded.code == 1
    assert not loaded.of("note")
    before, after = (
        ended.one("digest", of="optimizer", stage=stage)
        for ended, stage in ((saved, "saved"), (loaded, "restored"))
    )
    assert (before["tensors"], after["tensors"]) == (18, 2)


@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", ["tf1-keras23", "tf2-tfkeras", "keras3-torch"])
def test_a_resumed_training_ends_as_one_that_was_not_interrupted(
    flavor: str, whole_model: Callable[[str], Ended], tmp_path: Path
) -> None:
    saved = complete(whole_model(flavor))
    resumed = complete(phase(flavor, "loadtrain_repaired", tmp_path / "load", saved))
    straight = complete(phase(flavor, "straight", tmp_path / "straight"))
    assert not straight.of("trace")
    assert set(straight.digests("final")) == STATE
    assert resumed.digests("final") == straight.digests("final")
    told = straight.one("digest", of="weights", stage="final")["each"]
    assert len(told) == 8
    assert all(len(entry["projections"]) == 8 and entry["shape"] for entry in told)


def values(ended: Ended) -> list[float]:
    """Metrics and final predictions."""
    metrics = [float(m["value"]) for m in ended.of("metric")]
    return [*metrics, *ended.one("digest", stage="final", of="predictions")["values"]]


@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", KERAS3)
def test_backup_resumes_after_the_epoch_that_was_interrupted(flavor: str, tmp_path: Path) -> None:
    saved = complete(phase(flavor, "train_backup", tmp_path / "save"))
    assert {metric["epoch"] for metric in saved.of("metric")} == {1}
    loaded = complete(phase(flavor, "restore_backup_train", tmp_path / "load", saved))
    claim = loaded.one("claim")
    assert claim["found"] == claim["expected"] == 1
    assert loaded.digests("restored") == saved.digests("saved")
    assert {metric["epoch"] for metric in loaded.of("metric", split="train")} == {2}
    assert not list(loaded.output.iterdir())  # training is over


@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", [*SESSIONS, *FUNCTIONS])
def test_weights_without_extension_predict(flavor: str, tmp_path: Path) -> None:
    saved = complete(phase(flavor, "trainsaveweights", tmp_path / "save"))
    files = {path.name for path in (saved.output / "checkpoints_mnist").iterdir()}
    if flavor in ("tf1-tfkeras", *FUNCTIONS):
        assert "my_checkpoint.index" in files
    else:
        assert files == {"my_checkpoint"}  # HDF5, whatever the name
    loaded = complete(phase(flavor, "loadweights_predict", tmp_path / "load", saved))
    assert loaded.digests("restored") == saved.digests("saved")
    trace = loaded.one("trace", function="predict")
    assert trace["swap_in"] > 0
    # Two digests and three of the meter; in a session it may measure again.
    repeated = session._REPETITIONS if flavor in SESSIONS else 0
    assert 0 <= trace["steps"] - PREDICTED - 2 - 3 <= repeated
    (accuracy,) = (m["value"] for m in loaded.of("metric", name="accuracy", split="test"))
    (before,) = (m["value"] for m in saved.of("metric", name="accuracy", split="test"))
    assert accuracy == pytest.approx(before, abs=1e-6)


@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", FUNCTIONS)
def test_keras_format_restores_the_optimizer(flavor: str, tmp_path: Path) -> None:
    saved = complete(phase(flavor, "trainsave_keras", tmp_path / "save"))
    loaded = complete(phase(flavor, "load_keras_predict", tmp_path / "load", saved))
    assert set(saved.digests("saved")) == STATE
    assert loaded.digests("restored") == saved.digests("saved")
    assert loaded.one("trace", function="predict")["graph_swap_in"] > 0


@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", ["tf1-tfkeras", "tf2-tfkeras"])
def test_checkpoint_is_restored_before_the_model_runs(flavor: str, tmp_path: Path) -> None:
    saved = complete(phase(flavor, "train_save_checkpoint", tmp_path / "save"))
    loaded = complete(phase(flavor, "load_checkpoint_train", tmp_path / "load", saved))
    assert set(saved.digests("saved")) == STATE
    assert loaded.digests("restored") == saved.digests("saved")

    for name in ("load_checkpoint_train", "load_checkpoint_predict"):
        (tmp_path / name / "empty" / "training_checkpoints").mkdir(parents=True)
        nothing = Ended(0, "", tmp_path / name / "empty")
        ended = phase(flavor, name, tmp_path / name / "load", nothing)
        assert ended.code == 1
        assert "no checkpoint in" in ended.log


@pytest.mark.tensorflow
def test_edit_in_place_is_void_on_keras_2_3(tmp_path: Path) -> None:
    ended = phase("tf1-keras23", "trainsave", tmp_path, LMS_EDIT_IN_PLACE="1")
    assert ended.code == 0
    assert MUTATION in ended.log
    assert ended.one("lms_edited")["swap_out"] > 0
    assert ended.one("trace")["swap_out"] == 0


@pytest.mark.tensorflow
def test_bad_parameters_end_a_phase_with_one_line(tmp_path: Path) -> None:
    ended = phase("tf1-tfkeras", "loadweights_train", tmp_path, LMS_PARAMS='{"sync_mode": 9}')
    assert ended.code == 2
    assert "Traceback" not in ended.log
    assert [line for line in ended.log.splitlines() if line.startswith("error: ")] == [
        "error: LMS parameter sync_mode must be at most 3, not 9"
    ]
