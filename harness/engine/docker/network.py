"""The private network of a phase that serves: its containers see each other and nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from docker import APIClient

from harness.engine.docker.container import launch_labels
from harness.engine.docker.ledger import NETWORK, Ledger
from harness.engine.protocol import Launch

# `internal` closes the way out through the host, and not the way to the host itself, whose bridge
# has an address in the network. Without an address there is no way to any of the host's.
_OPTIONS = {"com.docker.network.bridge.inhibit_ipv4": "true"}


@contextlib.contextmanager
def private(client: APIClient, ledger: Ledger, launch: Launch) -> Iterator[str]:
    """Makes a network, gives its ID, and removes it; its containers have to be gone by then.

    Raises:
        ERRORS: the daemon could not make it.
    """
    labels = launch_labels("network", launch)
    name = ledger.network(client, labels, driver="bridge", options=_OPTIONS, internal=True)
    try:
        yield name
    finally:
        ledger.remove(client, name, NETWORK)
