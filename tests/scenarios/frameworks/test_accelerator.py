"""A GPU that was promised and is not there: an error of the infrastructure, whatever the mode."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from frameworks import session
from frameworks.resources import Resources, UnavailableError
from tests.scenarios.phases import FLAVORS, run_code, run_phase

SEES_NO_GPU = {
    "tensorflow": "TensorFlow sees no GPU",
    "torch": "torch sees no GPU",
    "jax": "jax sees no GPU",
}
# The driver's library is looked for first where memory is to be limited before a framework starts.
CEILING = ["tf1-tfkeras", "keras3-jax"]


def backend(flavor: str) -> str:
    return FLAVORS[flavor].variables.get("KERAS_BACKEND", "tensorflow")


def only_error(log: str) -> str:
    assert "Traceback" not in log, log
    (line,) = (line for line in log.splitlines() if line.startswith("error: "))
    return line


@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", FLAVORS)
def test_phase_ends_with_exit_code_3_and_one_line(flavor: str, tmp_path: Path) -> None:
    script = "keras_saveload/mnist_cnn_keras_trainsave"
    # An empty list hides every GPU of this machine from CUDA.
    ended = run_phase(
        flavor, script, tmp_path, ACCELERATOR="gpu", CUDA_VISIBLE_DEVICES="-1", JAX_PLATFORMS=""
    )
    assert ended.code == 3, ended.log
    expected = f"error: ACCELERATOR is gpu, and {SEES_NO_GPU[backend(flavor)]}"
    assert only_error(ended.log).startswith(expected)
    assert not ended.markers


@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", CEILING)
def test_limit_of_a_memory_that_is_not_there_ends_alike(flavor: str, tmp_path: Path) -> None:
    code = (
        "from frameworks import gpu_memory\n"
        "from common import runtime\n"
        "gpu_memory._total = lambda: None\n"
        "runtime.execute(lambda run: None)\n"
    )
    ended = run_code(flavor, code, tmp_path, ACCELERATOR="gpu", MEMORY_CEILING="1048576")
    assert ended.code == 3, ended.log
    expected = "error: ACCELERATOR is gpu, and libcuda.so.1 sees no GPU for a MEMORY_CEILING"
    assert only_error(ended.log).startswith(expected)


def opened(resources: Resources, *kinds: str) -> list[str]:
    """Opens a session of a TensorFlow that has devices of these types."""
    devices = [SimpleNamespace(name=f"/device:{kind}:0", device_type=kind) for kind in kinds]
    tf: Any = SimpleNamespace(
        ConfigProto=lambda **options: SimpleNamespace(
            gpu_options=SimpleNamespace(),
            device_count={},
        ),
        Session=lambda config: SimpleNamespace(list_devices=lambda: devices),
    )
    keras = SimpleNamespace(backend=SimpleNamespace(set_session=lambda made: None))
    return session.open_session(tf, keras, resources)


def test_session_needs_a_gpu_where_one_is_asked_for() -> None:
    assert opened(Resources(on_gpu=True), "CPU", "GPU") == ["/device:CPU:0", "/device:GPU:0"]
    # XLA's devices are there without a GPU that TensorFlow can use.
    with pytest.raises(UnavailableError, match="TensorFlow sees no GPU"):
        opened(Resources(on_gpu=True), "CPU", "XLA_GPU")
    assert opened(Resources(on_gpu=False), "CPU") == ["/device:CPU:0"]
