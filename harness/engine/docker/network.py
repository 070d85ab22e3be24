"""The private network of a phase that serves: its containers see each other and nothing else."""

from __future__ import annotations

from docker import APIClient

from harness.engine.docker.container import launch_labels
from harness.engine.docker.ledger import Ledger
from harness.engine.protocol import Launch

# `internal` closes the way out through the host, and not the way to the host itself, whose bridge
# has an address in the network. Without an address there is no way to any of the host's.
_OPTIONS = {"com.docker.network.bridge.inhibit_ipv4": "true"}


def make(client: APIClient, ledger: Ledger, launch: Launch) -> str:
    """Makes a network and returns its ID; its containers have to be gone before it is removed.

    Raises:
        ERRORS: the daemon could not make it.
    """
    labels = launch_labels("network", launch, launch.deadline_s)
    return ledger.network(client, labels, driver="bridge", options=_OPTIONS, internal=True)
