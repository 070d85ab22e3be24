"""What the tests of the Docker engine share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.engine.docker.build import BUILD_LABEL
from harness.engine.docker.daemon import Daemon


@pytest.fixture
def remains(daemon: Daemon) -> Callable[[], set[str]]:
    """What the test has left of builds: containers of their steps, and layers of their stages.

    What another run on this daemon left before does not count.
    """
    client, filters = daemon.client(), {"label": BUILD_LABEL}

    def found() -> set[str]:
        containers = client.containers(all=True, filters=filters)
        images = client.images(all=True, filters=filters)
        return {entry["Id"] for entry in (*containers, *images)}

    before = found()
    return lambda: found() - before
