"""Swapping of Keras 3 on torch, and its meter, on torch's own CPU allocator."""

from __future__ import annotations

import functools
import json
import subprocess
from typing import Any

import pytest

from tests.scenarios.phases import SCENARIOS, interpreter

CODE = """
import json, sys, types
import keras, numpy as np, torch
from meters import torch_allocator
from providers.off.torch import SavedTensorControl
from providers.torch import storage
from providers.torch.host_memory import NumpyMemory
from providers import torch as builtin

provider, corrupt = sys.argv[1], sys.argv[2] == "True"
torch.set_num_threads(1)
phase = types.SimpleNamespace(
    on_gpu=False,
    fault="values_wrong" if corrupt else None,
    edit_in_place=False,
    parameters="{}",
)
mixin = SavedTensorControl if provider == "off" else builtin.choose(phase)
create = type("LMSCallback", (mixin, keras.callbacks.Callback), {})
lms = create(types.SimpleNamespace(phase=phase), 32)
keras.utils.set_random_seed(1)
layers = keras.layers
model = keras.Sequential(
    [keras.Input((28, 28, 1))]
    + [layers.Conv2D(8, 3, activation="relu", padding="same") for _ in range(5)]
    + [layers.Dropout(0.2), layers.Flatten(), layers.Dense(10, activation="softmax")]
)
model.compile("adam", "categorical_crossentropy")
x = np.random.RandomState(0).rand(64, 28, 28, 1).astype("float32")
y = np.eye(10, dtype="float32")[np.arange(64) % 10]
history = model.fit(x, y, batch_size=32, epochs=1, verbose=0, shuffle=False, callbacks=[lms])
weights = [value.tolist() for value in model.get_weights()]

def step():
    with lms.swapping():
        model.train_on_batch(x[:32], y[:32])

measured = torch_allocator.measure(torch_allocator.within(step), on_gpu=False)

# One storage, saved as itself and as a view: out once, and changed in place: out again.
host = NumpyMemory()
hooks = storage.Step(host, "cpu", frozenset())
tensor = torch.arange(12.0).reshape(3, 4)
first, second = hooks.pack(tensor), hooks.pack(tensor.t()[1:])
tensor.mul_(2)
third = hooks.pack(tensor)
expected = torch.arange(12.0).reshape(3, 4)
assert hooks.moved.swap_out == 2 and hooks.moved.bytes_out == 96
back = hooks.unpack(first)
assert torch.equal(back, expected)
assert torch.equal(hooks.unpack(second), expected.t()[1:]) and hooks.moved.swap_in == 1
del back
assert torch.equal(hooks.unpack(second), expected.t()[1:]) and hooks.moved.swap_in == 2
assert torch.equal(hooks.unpack(third), 2 * expected)
resident = storage.Step(host, "cpu", frozenset([tensor.untyped_storage()._cdata]))
assert resident.pack(tensor) is tensor and resident.pack(tensor.t()).equal(tensor.t())
assert not resident.moved.swap_out

reader = create(types.SimpleNamespace(phase=phase))
reader.is_training = False
reader.set_model(model)
model.predict(x[:8], verbose=0, callbacks=[reader])
print("RESULT", json.dumps([history.history, weights, measured._asdict()]))
"""


@functools.cache
def run(provider: str, corrupt: bool = False) -> tuple[list[Any], list[dict[str, Any]]]:
    """Losses, weights and measurements of a training, and its markers."""
    ended = subprocess.run(
        [interpreter("keras3-torch"), "-c", CODE, provider, str(corrupt)],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(SCENARIOS), "KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    markers = [json.loads(line[7:]) for line in lines if line.startswith(":::LMS ")]
    (result,) = [json.loads(line[7:]) for line in lines if line.startswith("RESULT ")]
    return result, markers


@pytest.mark.tensorflow
def test_swapping_changes_the_peak_and_nothing_else() -> None:
    (losses, weights, measured), _ = run("builtin")
    (control_losses, control_weights, control), _ = run("off")
    assert losses == control_losses
    assert weights == control_weights
    saved = control["accelerator_peak_bytes"] - measured["accelerator_peak_bytes"]
    assert saved > control["accelerator_peak_bytes"] // 2
    assert measured["host_peak_bytes"] > saved
    assert measured["accelerator_peak_bytes"] >= measured["accelerator_bound_bytes"] > 0
    for found in (measured, control):
        unit, end, accelerator, host, out, back, *_ = found["series"]
        assert unit == "microseconds"
        at, live = accelerator
        assert (max(live), live[-1]) == (
            *(found["accelerator_peak_bytes"], found["accelerator_retained_bytes"]),
        )
        assert at == sorted(at)
        # The profiler's clock is that of the moments between which the step ran.
        assert 0 < at[len(at) // 2] <= end
        assert len(out) == found["swap_out_executed"]
        assert len(back) == found["swap_in_executed"]
        assert found["host_peak_bytes"] == (max(host[1]) if host else None)


@pytest.mark.tensorflow
def test_what_is_announced_is_what_the_meter_saw() -> None:
    (_, _, measured), markers = run("builtin")
    (edited,) = [marker for marker in markers if marker["event"] == "lms_edited"]
    assert edited["swap_out"] == measured["swap_out_executed"] > 10
    assert edited["swap_in"] == measured["swap_in_executed"] >= edited["swap_out"]
    assert edited["bytes_out"] == measured["swap_out_bytes"]
    assert edited["bytes_in"] == measured["swap_in_bytes"]
    # Five convolutions of a batch of 32: at least their results of 28 x 28 x 8 floats each.
    assert edited["bytes_out"] > 5 * 32 * 28 * 28 * 8 * 4
    assert [marker["event"] for marker in markers] == ["lms_edited", "note"]


@pytest.mark.tensorflow
def test_control_moves_nothing() -> None:
    (_, _, control), markers = run("off")
    assert (control["swap_out_executed"], control["swap_in_executed"]) == (0, 0)
    assert not markers


@pytest.mark.tensorflow
def test_wrong_values_are_seen() -> None:
    (losses, weights, _), _ = run("builtin", corrupt=True)
    (control_losses, control_weights, _), _ = run("off")
    assert losses != control_losses
    assert weights != control_weights
