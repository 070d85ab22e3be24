"""What jax compiles in one phase and finds in the next: the same measurements, with less to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.phases import Ended, run_phase

VARIES = ("t", "began", "step_ms", "peak_host")


def measured(ended: Ended) -> list[dict[str, Any]]:
    """All that a phase says of its results and of its step, but for times and Python's memory."""
    assert ended.code == 0, ended.log
    told = [marker for marker in ended.markers if marker["event"] != "environment"]
    return [{name: marker[name] for name in marker if name not in VARIES} for marker in told]


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["off", "builtin"])
def test_a_program_from_the_cache_measures_as_one_that_was_compiled(
    provider: str, tmp_path: Path
) -> None:
    def phase(name: str, **variables: str) -> Ended:
        script = "keras_saveload/mnist_cnn_keras_trainsave_keras"
        return run_phase("keras3-jax", script, tmp_path / name, LMS_PROVIDER=provider, **variables)

    cache = tmp_path / "cache"
    without = phase("without")
    filling = phase("filling", COMPILATION_CACHE=str(cache))
    entries = {path.name: path.read_bytes() for path in cache.iterdir()}
    using = phase("using", COMPILATION_CACHE=str(cache))
    assert measured(without) == measured(filling) == measured(using)
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == entries
    # A program that swaps calls Python here, and those jax does not keep.
    steps = [name for name in entries if name.startswith("jit_train_step")]
    assert bool(steps) == (provider == "off")

    for path in cache.iterdir():  # as a phase leaves one that was killed while it wrote it
        path.write_bytes(path.read_bytes()[:100])
    assert measured(phase("damaged", COMPILATION_CACHE=str(cache))) == measured(without)
