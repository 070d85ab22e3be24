"""What the tests of merges share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.merge.shards import checkout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkout(tmp_path_factory.mktemp("project") / "checkout")
