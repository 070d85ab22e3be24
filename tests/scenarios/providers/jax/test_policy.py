"""Swapping of Keras 3 on jax, and its meter, on the CPU and in a program for a GPU."""

from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.phases import SCENARIOS, interpreter, run_code

MODEL = """
import json, sys, types
import jax, keras, numpy as np
from meters import jax_program
from providers import jax as builtin
from providers.off.jax import PolicyControl

def create(provider="builtin", **phase):
    phase = types.SimpleNamespace(
        **dict(dict(on_gpu=False, fault=None, edit_in_place=False, parameters="{}"), **phase)
    )
    mixin = PolicyControl if provider == "off" else builtin.choose(phase)
    callback = type("LMSCallback", (mixin, keras.callbacks.Callback), {})
    return callback(types.SimpleNamespace(phase=phase), 16)

keras.utils.set_random_seed(1)
layers = keras.layers
model = keras.Sequential(
    [keras.Input((16, 16, 1))]
    + [layers.Conv2D(8, 3, activation="relu", padding="same") for _ in range(3)]
    + [layers.Dropout(0.2), layers.Flatten(), layers.Dense(10, activation="softmax")]
)
model.compile("sgd", "categorical_crossentropy")
x = np.random.RandomState(0).rand(32, 16, 16, 1).astype("float32")
y = np.eye(10, dtype="float32")[np.arange(32) % 10]

def fit(size, lms):
    return model.fit(
        x[:size], y[:size], batch_size=16, verbose=0, shuffle=False, callbacks=[lms]
    ).history
"""

TRAIN = """
lms = create(sys.argv[1], fault="values_wrong" if sys.argv[2] == "True" else None)
history = fit(32, lms)
weights = [value.tolist() for value in model.get_weights()]
measured = jax_program.measure(lambda: fit(16, lms), on_gpu=False)
print("RESULT", json.dumps([history, weights, measured._asdict()]))
"""

# A step that has run is traced again for a callback that edits; one that edits in place is late.
FROZEN = """
fit(16, create("off"))
late = create(edit_in_place=True)
fit(16, late)
frozen = jax_program.measure(lambda: fit(16, late), on_gpu=False)
print("RESULT", json.dumps(frozen._asdict()))
"""

# The program that a GPU would be given, and how much of the step it computes twice.
LOWERED = """
model.optimizer.build(model.trainable_variables)
model._symbolic_build(data_batch=(x[:16], y[:16]))
state = tuple(
    [variable.value for variable in variables]
    for variables in (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
)

def lowered():
    traced = jax.jit(lambda *arguments: model.train_step(*arguments)).trace(state, (x[:16], y[:16]))
    return traced.lower(lowering_platforms=("cuda",)).as_text()

plain = lowered()
create(on_gpu=True).set_model(model)
offloaded = lowered()
print("RESULT", json.dumps([plain, offloaded]))
"""


@functools.cache
def run(code: str, *arguments: str) -> tuple[Any, list[dict[str, Any]]]:
    """What the code gives, and its markers."""
    ended = subprocess.run(
        [interpreter("keras3-jax"), "-c", MODEL + code, *arguments],
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(SCENARIOS),
            "KERAS_BACKEND": "jax",
            "JAX_PLATFORMS": "cpu",
        },
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    markers = [json.loads(line[7:]) for line in lines if line.startswith(":::LMS ")]
    (result,) = [json.loads(line[7:]) for line in lines if line.startswith("RESULT ")]
    return result, markers


@pytest.mark.tensorflow
@pytest.mark.slow
def test_swapping_changes_the_peak_and_not_the_result() -> None:
    (losses, weights, measured), _ = run(TRAIN, "builtin", "False")
    (control_losses, control_weights, control), markers = run(TRAIN, "off", "False")
    assert losses["loss"] == pytest.approx(control_losses["loss"], rel=1e-5)
    assert _flat(weights) == pytest.approx(_flat(control_weights), rel=1e-4, abs=1e-6)
    assert measured["accelerator_peak_bytes"] < 0.8 * control["accelerator_peak_bytes"]
    assert measured["host_peak_bytes"] > control["host_peak_bytes"]
    assert (control["swap_out_executed"], control["swap_in_executed"]) == (0, 0)
    assert not markers


@pytest.mark.tensorflow
def test_what_is_announced_is_what_the_program_has() -> None:
    (_, _, measured), markers = run(TRAIN, "builtin", "False")
    (edited,) = markers
    assert edited["swap_out"] == measured["swap_out_executed"] > 5
    assert edited["swap_in"] == measured["swap_in_executed"] >= edited["swap_out"]
    assert edited["bytes_out"] == measured["swap_out_bytes"]
    assert edited["bytes_in"] == measured["swap_in_bytes"]


@pytest.mark.tensorflow
def test_the_programs_curve_has_its_peak_and_its_swaps() -> None:
    (_, _, measured), _ = run(TRAIN, "builtin", "False")
    unit, end, accelerator, host, out, back, largest, _ = measured["series"]
    assert (unit, host) == ("operations", None)
    at, live = accelerator
    assert max(live) == measured["accelerator_peak_bytes"]
    # It is no flat line: at the begin and the end little is alive.
    assert max(live[0], live[-1]) < 0.5 * max(live)
    assert at == sorted(at)
    assert 0 < at[-1] <= end
    assert len(out) == measured["swap_out_executed"]
    assert len(back) == measured["swap_in_executed"]
    assert 0 <= out[0] < back[-1] < end
    assert sum(size for _, size in largest) == measured["swap_out_bytes"]


@pytest.mark.tensorflow
@pytest.mark.slow
def test_wrong_values_are_seen() -> None:
    (_, weights, _), _ = run(TRAIN, "builtin", "True")
    (_, control_weights, _), _ = run(TRAIN, "off", "False")
    assert _flat(weights) != pytest.approx(_flat(control_weights), rel=1e-3)


@pytest.mark.tensorflow
def test_step_that_was_compiled_before_is_not_swapped() -> None:
    frozen, markers = run(FROZEN)
    assert (frozen["swap_out_executed"], frozen["swap_in_executed"]) == (0, 0)
    assert not markers


@pytest.mark.tensorflow
def test_gpu_program_offloads_and_computes_nothing_twice() -> None:
    (plain, offloaded), (edited,) = run(LOWERED)
    for direction in ("pinned_host", "device"):
        assert f'_xla_buffer_placement = "{direction}"' not in plain
        assert f'_xla_buffer_placement = "{direction}"' in offloaded
    for operation in ("convolution", "dot_general", "exponential"):
        assert offloaded.count(f"stablehlo.{operation}") == plain.count(f"stablehlo.{operation}")
    assert edited["swap_out"] > 5


@pytest.mark.tensorflow
def test_policy_needs_nothing_that_keras_has_imported(tmp_path: Path) -> None:
    # A fresh process, in which nobody else has imported what the policy is made of.
    code = "from providers.jax.policy import every_value; print('made', callable(every_value()))"
    ended = run_code("keras3-jax", code, tmp_path)
    assert ended.code == 0, ended.log
    assert "made True" in ended.log


def _flat(values: Any) -> list[float]:
    if isinstance(values, list):
        return [number for value in values for number in _flat(value)]
    return [values]
