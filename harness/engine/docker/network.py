"""The private network of a phase that serves: its containers see each other and nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from docker import APIClient
from docker.errors import NotFound

from harness.engine.docker.container import launch_labels
from harness.engine.docker.daemon import ERRORS
from harness.engine.owner import NAME_LABEL
from harness.engine.protocol import Launch

# `internal` closes the way out through the host, and not the way to the host itself, whose bridge
# has an address in the network. Without an address there is no way to any of the host's.
_OPTIONS = {"com.docker.network.bridge.inhibit_ipv4": "true"}


@contextlib.contextmanager
def private(client: APIClient, launch: Launch) -> Iterator[str]:
    """Makes a network, gives its ID, and removes it; its containers have to be gone by then.

    Raises:
        ERRORS: the daemon could not make it.
    """
    labels = launch_labels("network", launch, launch.deadline_s)
    answer = client.create_network(
        labels[NAME_LABEL],
        driver="bridge",
        options=_OPTIONS,
        internal=True,
        labels=labels,
    )
    name = str(answer["Id"])
    try:
        yield name
    finally:
        remove(client, name)


def remove(client: APIClient, name: str) -> bool:
    """Removes a network; False where it could not be: `reap` finds it by its labels."""
    try:
        client.remove_network(name)
    except NotFound:
        return True
    except ERRORS:
        return False
    return True
