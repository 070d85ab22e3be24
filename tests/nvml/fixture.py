"""The fixture that builds the fake NVML library once for each test module."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import fake_nvml


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory with the fake library; tests that ask for it are skipped with no C compiler."""
    if fake_nvml.compiler() is None:
        pytest.skip("no C compiler (cc, gcc, clang) on PATH to build the fake NVML library with")
    return fake_nvml.build(tmp_path_factory.mktemp("nvml"))
