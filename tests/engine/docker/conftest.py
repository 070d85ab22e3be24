"""What the tests of the Docker engine share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.engine.docker.daemon import LABEL, Daemon


@pytest.fixture
def remains(daemon: Daemon) -> Callable[[], set[str]]:
    """What the test has left of builds: their containers, and layers that have no name.

    What another run on this daemon left before does not count.
    """
    client = daemon.client()

    def found() -> set[str]:
        containers = client.containers(all=True, filters={"label": f"{LABEL}=build"})
        images = client.images(all=True, filters={"dangling": True})
        return {entry["Id"] for entry in (*containers, *images)}

    before = found()
    return lambda: found() - before
