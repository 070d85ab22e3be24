"""Makes the packages of scenarios/ importable, as for a phase, and shares saved models."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable

import pytest

from tests.scenarios.phases import SCENARIOS, Ended, run_phase

sys.path.insert(0, str(SCENARIOS))


@pytest.fixture(scope="session")
def whole_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Ended]:
    """The phase that trains and saves a whole model, run once a flavor."""

    @functools.cache
    def save(flavor: str) -> Ended:
        directory = tmp_path_factory.mktemp(flavor)
        return run_phase(flavor, "keras_saveload/mnist_cnn_keras_trainsave", directory / "save")

    return save
