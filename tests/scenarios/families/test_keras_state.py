"""Variants of state as the harness starts them: what comes back after a load, and what does not."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomllib

from tests.scenarios.phases import SCENARIOS, Ended, run_phase

FAMILY = "keras_state"
DIRECTORY = SCENARIOS / "families" / FAMILY
DECLARED = tomllib.loads((DIRECTORY / "scenarios.toml").read_text("utf-8"))
VARIANTS = DECLARED["variants"]

Phase = Callable[..., Ended]


def ids(axis: str) -> set[str]:
    return {value["id"] for value in VARIANTS[axis]}


def told(script: str, name: str) -> set[str]:
    """The string keys of a dict, or the functions listed, that a module assigns to a name."""
    tree = ast.parse((DIRECTORY / f"{script}.py").read_text("utf-8"))
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            value = node.value  # type: ignore[attr-defined]
            if isinstance(value, ast.Dict):
                return {key.value for key in value.keys if isinstance(key, ast.Constant)}
            return {
                entry.id
                for entry in ast.walk(value)
                if isinstance(entry, ast.Name) and entry.id not in ("create", "typing")
            }
    raise AssertionError(f"{script}.py assigns nothing to {name}")


def run(flavor: str, variant: str, directory: Path, *, straight: bool = True) -> list[Ended]:
    """Save, load and, if asked for, the training without a break."""
    model, optimizer, form = variant.split("-")
    axes = {"VARIANT_MODEL": model, "VARIANT_OPTIMIZER": optimizer}

    def phase(script: str, source: Ended | None = None, **more: str) -> Ended:
        path = directory / script
        ended = run_phase(flavor, f"{FAMILY}/{script}", path, source, **axes, **more)
        assert ended.code == 0, ended.log
        assert ended.markers[-1]["event"] == "done"
        return ended

    save = phase("save", VARIANT_FORMAT=form)
    load = phase("load", save, VARIANT_FORMAT=form)
    return [save, load, phase("straight")] if straight else [save, load]


def metrics(ended: Ended, epoch: int) -> dict[str, Any]:
    found = ended.of("metric", epoch=epoch, split="train")
    return {marker["name"]: marker["value"] for marker in found}


def test_values_of_the_axes_are_those_that_the_scripts_know() -> None:
    explicit = [p["variables"] for s in DECLARED["scenario"] for p in s["phase"]]
    models = {variables["VARIANT_MODEL"] for variables in explicit}
    formats = {variables.get("VARIANT_FORMAT") for variables in explicit} - {None}
    assert ids("model") | models == told("models", "EXAMPLES")
    optimizers = {variables["VARIANT_OPTIMIZER"] for variables in explicit}
    assert ids("optimizer") | optimizers == told("optimizers", "OPTIMIZERS")
    assert ids("format") | formats == told("formats", "_NAMES")


def test_excluded_combinations_and_scripts_are_there() -> None:
    for excluded in VARIANTS["exclude"]:
        for axis in VARIANTS["axes"]:
            values = excluded.get(axis, [])
            assert {values} if isinstance(values, str) else set(values) <= ids(axis)
    named = {phase["script"] for phase in VARIANTS["phase"]} | {VARIANTS["straight"]["script"]}
    named |= {phase["script"] for s in DECLARED["scenario"] for phase in s["phase"]}
    assert {name for name in named if not (DIRECTORY / name).is_file()} == set()
    assert len(list(DIRECTORY.iterdir())) <= 13  # with __pycache__


@pytest.mark.parametrize(
    ("flavor", "variant"),
    [
        # Its Adam reads the count of steps while it is raised: two threads would not repeat it.
        ("tf1-keras23", "batchnorm-adam-h5"),
        ("tf1-tfkeras", "nested-sgd_momentum-checkpoint"),
        ("tf2-tfkeras", "batchnorm-adam_ema-keras"),
        ("keras3-torch", "batchnorm-adamw-keras"),
        ("keras3-torch", "dropout_seeded-adam-state_tree"),
        ("keras3-jax", "attention-adam-orbax"),
    ],
)
def test_training_goes_on_with_the_bits_of_one_without_a_break(
    flavor: str, variant: str, tmp_path: Path
) -> None:
    save, load, straight = run(flavor, variant, tmp_path)
    assert load.digests("restored") == save.digests("saved")
    assert load.digests("final") == straight.digests("final")
    assert metrics(load, 2) == metrics(straight, 2) != {}
    assert metrics(save, 1) == metrics(straight, 1) != metrics(load, 2)


@pytest.mark.parametrize(
    ("flavor", "variant", "lost"),
    [
        # Its moving averages rest on variables that are in no file.
        ("tf1-keras22", "batchnorm-adam-h5", {"weights", "predictions"}),
        # The file has the optimizer's state, and the SavedModel's loader leaves it there.
        ("tf2-tfkeras", "batchnorm-adam-savedmodel", {"weights", "optimizer", "predictions"}),
        (
            "keras3-torch",
            "dropout_seeded-adam-keras",
            {"weights", "optimizer", "predictions", "random"},
        ),
        # Its variables have other paths once it is loaded, and what matches none is left out.
        ("keras3-jax", "batchnorm-adam-orbax", {"weights", "optimizer", "predictions"}),
    ],
)
def test_what_a_release_loses_shows(
    flavor: str, variant: str, lost: set[str], tmp_path: Path
) -> None:
    _, load, straight = run(flavor, variant, tmp_path)
    found, expected = load.digests("final"), straight.digests("final")
    assert {name for name in expected if found.get(name) != expected[name]} == lost


def test_weights_alone_come_back_from_the_files_of_orbax(tmp_path: Path) -> None:
    save, load = run("keras3-jax", "batchnorm-adam-orbax_weights", tmp_path, straight=False)
    saved, restored = save.digests("saved"), load.digests("restored")
    assert {name for name in saved if restored.get(name) == saved[name]} == {
        "weights",
        "predictions",
    }
    # The callback names what it saves by the epoch, counted from 0.
    assert [path.name for path in (save.output / "checkpoints").iterdir()] == ["0"]
    assert [path.name for path in (load.output / "checkpoints").iterdir()] == ["1"]


def test_a_remat_scope_is_claimed_to_be_kept(tmp_path: Path) -> None:
    _, load = run("keras3-torch", "remat-adam-keras", tmp_path, straight=False)
    claim = load.one("claim", text="layers that are rematerialised")
    assert (claim["expected"], claim["found"]) == ("first, second", "none")


def test_a_wrong_value_ends_a_phase_with_one_line(tmp_path: Path) -> None:
    axes = {"VARIANT_MODEL": "batchnorm", "VARIANT_OPTIMIZER": "adam"}
    script = f"{FAMILY}/save"
    ended = run_phase("keras3-torch", script, tmp_path / "m", **{**axes, "VARIANT_MODEL": "no"})
    assert ended.code == 2
    assert "error: VARIANT_MODEL is 'no'; it must be one of attention, batchnorm" in ended.log
    ended = run_phase("keras3-torch", script, tmp_path / "f", **axes, VARIANT_FORMAT="no")
    assert ended.code == 2
    assert "error: VARIANT_FORMAT is 'no'; it must be one of h5" in ended.log
