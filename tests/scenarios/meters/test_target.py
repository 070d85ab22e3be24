"""jax's training step, compiled for a GPU that this machine has not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios import compiled
from tests.scenarios.phases import run_code

pytestmark = pytest.mark.tensorflow

WORKLOAD = """
from keras_saveload.mnist_cnn import MnistCnn as Workload

DEPTH = {depth}

def build(work):
    if not DEPTH:
        return work.build()
    layers = work.keras.layers
    model = work.keras.Sequential(
        [work.keras.Input((28, 28, 1))]
        + [layers.Conv2D(64, 3, activation="relu", padding="same") for _ in range(DEPTH)]
        + [layers.MaxPooling2D(2), layers.Flatten(), layers.Dense(10, activation="softmax")]
    )
    model.compile(work.keras.optimizers.Adadelta(1.0), "categorical_crossentropy")
    return model
"""
# As XLA has it by itself.
BY_ITSELF = "--xla_gpu_memory_limit_slop_factor=95 --xla_gpu_deterministic_ops=false"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("depth", "batch", "flags", "least", "most"),
    [
        (16, 1024, "", 0.1, 0.25),
        (0, 3072, "", 0.5, 0.85),
        # All copies back begin at once: the fault that the virtual accelerator does not see.
        (16, 1024, BY_ITSELF, 0.95, 1.0),
        (0, 3072, BY_ITSELF, 0.95, 1.0),
    ],
)
def test_part_of_the_controls_peak_that_is_left(
    depth: int, batch: int, flags: str, least: float, most: float, tmp_path: Path
) -> None:
    control, swapped = (
        compiled.fields(tmp_path, WORKLOAD.format(depth=depth), 2, batch, provider, XLA_FLAGS=flags)
        for provider in ("off", "builtin")
    )
    assert least < swapped["compiled_peak"] / control["compiled_peak"] <= most
    assert swapped["compiled_swap_out"] == swapped["compiled_swap_in"] >= max(17, depth)
    assert swapped["compiled_bytes_out"] == swapped["compiled_bytes_in"] > 900 * 2**20
    # What is copied to the host lies there.
    assert swapped["compiled_host_peak"] == swapped["compiled_bytes_out"]
    for name in ("swap_out", "swap_in", "bytes_out", "bytes_in", "host_peak"):
        assert control[f"compiled_{name}"] == 0


QUIET = """
from common import runtime
from frameworks import jax_backend
from meters.target import program

def script(run):
    import jax
    print("left out", len(jax_backend._left_out), flush=True)
    print("a module", program.measure(object(), [], [], 1), flush=True)
    print("none left", jax_backend.load_compiler(), program.measure(object(), [], [], 1))

runtime.execute(script)
"""


def test_a_phase_starts_without_the_compiler_and_has_it_when_it_asks(tmp_path: Path) -> None:
    ended = run_code("keras3-jax", QUIET, tmp_path)
    assert ended.code == 0, ended.log
    quiet, _, after = ended.log.partition("left out 2")
    assert "cudart" not in quiet, "a line that no GPU is found, in each phase"
    # What cannot be compiled is no failure of the phase, and says why.
    note = ended.one("note")["text"]
    assert note.startswith("not compiled for NVIDIA H100: AttributeError: 'object' object has no")
    assert "a module None" in after
    assert "none left False None" in after
