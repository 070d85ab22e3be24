"""How a framework is set up for a GPU that is not there: digits, repeatability and memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.phases import KERAS3, run_code

GIB = 2**30
# What starts the framework of a phase on a GPU, and what can be said of its settings then.
STARTED = """
from common import runtime
from common.phase import Phase
from frameworks import gpu_memory
from frameworks.resources import UnavailableError

gpu_memory._total = lambda: 8 * 2**30
gpu_memory.leave = lambda ceiling: None
try:
    runtime.start(Phase.from_environment())
except UnavailableError:
    pass
"""
JAX = """
import jax, os
print("precision", jax.config.jax_default_matmul_precision)
print("flags", os.environ["XLA_FLAGS"])
for name in ("PREALLOCATE", "MEM_FRACTION"):
    print(name, os.environ.get("XLA_PYTHON_CLIENT_" + name))
"""
SETTINGS = {
    "jax": "import jax\nprint('digits', jax.config.jax_default_matmul_precision == 'highest')",
    "torch": (
        "import torch\n"
        "print('digits', not torch.backends.cudnn.allow_tf32)\n"
        "assert not torch.backends.cuda.matmul.allow_tf32\n"
        "assert torch.are_deterministic_algorithms_enabled()\n"
    ),
    "tensorflow": (
        "from tensorflow import config\n"
        "print('digits', not config.experimental.tensor_float_32_execution_enabled())\n"
    ),
}


def on_gpu(flavor: str, code: str, directory: Path, **variables: str) -> str:
    hidden = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": ""}
    ended = run_code(flavor, STARTED + code, directory, ACCELERATOR="gpu", **hidden, **variables)
    assert ended.code == 0, ended.log
    return ended.log


@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", KERAS3)
def test_float32_keeps_its_digits_on_a_gpu(flavor: str, tmp_path: Path) -> None:
    backend = flavor.partition("-")[2]
    told = (
        "import os\n"
        "print('libraries', os.environ['NVIDIA_TF32_OVERRIDE'])\n"
        "print('cudnn', os.environ['TF_CUDNN_DETERMINISTIC'])\n"
    )
    log = on_gpu(flavor, SETTINGS[backend] + "\n" + told, tmp_path, TF_CUDNN_DETERMINISTIC="0")
    assert {"digits True", "libraries 0"} <= set(log.splitlines()), log
    assert "cudnn 0" in log  # what a scenario asks for stays


@pytest.mark.tensorflow
def test_jax_on_a_gpu(tmp_path: Path) -> None:
    own = "--xla_gpu_memory_limit_slop_factor=95"
    log = on_gpu("keras3-jax", JAX, tmp_path, XLA_FLAGS=own)
    (flags,) = (line.split()[1:] for line in log.splitlines() if line.startswith("flags "))
    assert "--xla_gpu_deterministic_ops=true" in flags
    # Of two of one name the last counts: a scenario's own.
    assert next(flag for flag in flags if "slop_factor" in flag).endswith("=1")
    assert flags[-1] == own
    # Memory is taken as it is needed, so that a peak can be seen from outside ...
    assert "PREALLOCATE false" in log
    assert "MEM_FRACTION None" in log


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("managed", "expected"), [("", ("true", "0.250000")), ("1", ("false", None))]
)
def test_under_a_ceiling_jax_takes_its_memory_at_once(
    managed: str, expected: tuple[str, str | None], tmp_path: Path
) -> None:
    # ... and under a ceiling at once: what grows is in regions, and a step could fit into none.
    variables = {"MEMORY_CEILING": str(2 * GIB), "TF_FORCE_UNIFIED_MEMORY": managed}
    log = on_gpu("keras3-jax", JAX, tmp_path, **variables)
    preallocate, fraction = expected
    assert f"PREALLOCATE {preallocate}" in log
    assert f"MEM_FRACTION {fraction}" in log
