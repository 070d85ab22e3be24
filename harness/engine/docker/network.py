"""The private network of a phase that serves: its containers see each other and nothing else."""

from __future__ import annotations

import secrets

from docker import APIClient
from docker.errors import NotFound

from harness.engine.docker.container import launch_labels
from harness.engine.docker.daemon import ERRORS, LABEL
from harness.engine.protocol import Launch

# `internal` closes the way out through the host, and not the way to the host itself, whose bridge
# has an address in the network. Without an address there is no way to any of the host's.
_OPTIONS = {"com.docker.network.bridge.inhibit_ipv4": "true"}


def make(client: APIClient, launch: Launch) -> str:
    """Makes a network and returns its ID; its containers have to be gone before it is removed.

    Raises:
        ERRORS: the daemon could not make it.
    """
    answer = client.create_network(
        f"{LABEL}-{secrets.token_hex(8)}",
        driver="bridge",
        options=_OPTIONS,
        internal=True,
        labels=launch_labels("network", launch),
    )
    return str(answer["Id"])


def remove(client: APIClient, name: str) -> bool:
    """Removes a network; False where it could not be: `reap` finds it by its labels."""
    try:
        client.remove_network(name)
    except NotFound:
        return True
    except ERRORS:
        return False
    return True
