"""Shares what Keras 3 has saved on each backend."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from tests.scenarios.phases import Ended, run_phase


@pytest.fixture(scope="session")
def keras3_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Ended]:
    """The phase that trains on a backend and saves a `.keras` file, run once a backend."""

    @functools.cache
    def save(backend: str) -> Ended:
        flavor = f"keras3-{backend}"
        directory = tmp_path_factory.mktemp(flavor)
        script = "keras_saveload/mnist_cnn_keras_trainsave_keras"
        ended = run_phase(flavor, script, directory / "save")
        assert ended.code == 0, ended.log
        return ended

    return save
