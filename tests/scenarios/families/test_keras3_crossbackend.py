"""Keras 3: what one backend saves another loads, and trains under LMS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.catalog import catalog
from harness.plan import planner
from tests.scenarios.phases import SCENARIOS, Ended, run_code, run_phase

FAMILY = "keras3_crossbackend"
BACKENDS = ("tensorflow", "torch", "jax")
LOAD = f"{FAMILY}/load_keras_train_repaired"

Saved = Callable[[str], Ended]


def test_every_directed_pair_of_backends_is_a_case() -> None:
    flavors = [f"keras3-{backend}" for backend in BACKENDS]
    chosen = catalog.load(SCENARIOS.parent).select(families=[FAMILY], flavors=flavors)
    made = planner.make(chosen)
    pairs = {
        kind: [
            (made.tasks[case.uses[0].key].flavor, case.flavor.id)
            for case in made.cases
            if case.scenario.id.startswith(kind) and not case.scenario.id.endswith("_repaired")
        ]
        for kind in ("from_", "weights_from_")
    }
    every = {(saver, loader) for saver in flavors for loader in flavors if saver != loader}
    for found in pairs.values():
        assert len(found) == 6
        assert set(found) == every
    for case in made.cases:
        assert case.scenario.restores == ("weights", "optimizer", "predictions")
    reasons = {pair.inapplicable for pair in chosen.pairs()} - {None}
    assert all("is of" in str(reason) for reason in reasons)
    used = {phase.script for case in made.cases for phase in case.scenario.phase[1:]}
    scripts = (SCENARIOS / "families" / FAMILY).glob("*.py")
    assert used == {path.name for path in scripts if "__main__" in path.read_text()}


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("saver", "loader", "noted"),
    [
        ("torch", "tensorflow", ["names the optimizer keras.src.backend.torch."]),
        ("jax", "torch", ["the file has jit_compile=True"]),
        ("tensorflow", "jax", ["the file has jit_compile=False"]),
    ],
)
def test_whole_model_goes_on_where_another_backend_left_it(
    saver: str, loader: str, noted: list[str], keras3_model: Saved, tmp_path: Path
) -> None:
    source = keras3_model(saver)
    loaded = run_phase(f"keras3-{loader}", LOAD, tmp_path / "load", source)
    assert loaded.code == 0, loaded.log
    assert loaded.markers[-1]["event"] == "done"
    before, after = source.digests("saved"), loaded.digests("restored")
    for of in ("weights", "optimizer"):
        assert after[of] == before[of]
    saved, restored = (
        ended.of("digest", of="predictions", stage=stage)[0]["values"]
        for ended, stage in ((source, "saved"), (loaded, "restored"))
    )
    assert restored == pytest.approx(saved, abs=1e-6, rel=0)
    notes = [marker["text"] for marker in loaded.of("note")]
    assert len(notes) == len(noted)
    assert all(words in text for words, text in zip(noted, notes, strict=True))
    trace = loaded.one("trace", function="train")
    assert min(trace["swap_out"], trace["swap_in"], trace["bytes_out"]) > 0


@pytest.mark.slow
@pytest.mark.tensorflow
def test_keras_alone_opens_no_file_of_torch_without_torch(
    keras3_model: Saved, tmp_path: Path
) -> None:
    path = keras3_model("torch").output / "mnistsavedmodel.keras"
    ours = "{dropout.NAME: dropout.of(keras, True, False)}"
    code = (
        "import keras; from workload import dropout;"
        f" keras.models.load_model({str(path)!r}, custom_objects={ours})"
    )
    ended = run_code("keras3-jax", code, tmp_path)
    assert ended.code == 1
    assert "parent module keras.src.backend.torch.optimizers.torch_adadelta" in ended.log


@pytest.mark.slow
@pytest.mark.tensorflow
def test_changed_weight_shows(keras3_model: Saved, tmp_path: Path) -> None:
    source = keras3_model("jax")
    script = "canary/crossbackend_changed_weight"
    changed = run_phase("keras3-torch", script, tmp_path / "change", source)
    assert changed.code == 0, changed.log
    loaded = run_phase("keras3-torch", LOAD, tmp_path / "load", changed)
    assert loaded.code == 0, loaded.log
    before, after = source.digests("saved"), loaded.digests("restored")
    assert after["optimizer"] == before["optimizer"]
    assert after["weights"] != before["weights"]
