"""What this checkout has made on a daemon, each thing written down before it is made.

Labels tell people what a thing is, and are inherited: an image that is built on one of ours has
them, and so has its container. Ours is what is written here, by a name that is drawn at random for
each thing, and by the ID of an image, since a tag can be moved. A thing whose maker was killed, or
its daemon, in the moment of the making, is found by its name at the next start.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker import APIClient
from docker.errors import APIError, NotFound

from harness.base import atomic
from harness.base.error import UsageError
from harness.engine import owner
from harness.engine.docker.daemon import ERRORS, LABEL, Daemon
from harness.engine.leftovers import Removal
from harness.engine.owner import OWNER_LABEL

CONTAINER, NETWORK, IMAGE, USE = "container", "network", "image", "use"

# A daemon may still be about to make what a killed driver has asked for.
_ASKED_S = 3600.0
# How long what has no deadline is anybody's whose driver cannot be looked up.
_DAY_S, _RUN_S = 24 * 3600.0, 14 * 24 * 3600.0


@dataclass(frozen=True)
class Entry:
    """A thing that was made, or was about to be.

    Attributes:
        kind: a container, a network, an image, or the use that a run makes of an image.
        name: the daemon's name for it; of a use, the image's ID.
        labels: whose it is, and what for.
        id: of an image that is whole, its ID.
        path: the file that says so.
    """

    kind: str
    name: str
    labels: Mapping[str, str]
    id: str
    path: Path


class Ledger:
    """What this checkout has made on one daemon.

    Args:
        cache: the checkout's `.cache`.
    """

    def __init__(self, daemon: Daemon, cache: Path) -> None:
        self._daemon = daemon
        self._cache = cache
        self._files: dict[str, Path] = {}  # of what this process has made, by ID
        self._uses: list[Path] = []

    @property
    def directory(self) -> Path:
        """Where it is kept; another daemon has other things.

        Raises:
            ERRORS: the daemon does not answer.
        """
        # Podman makes up another ID for each answer.
        known = None if self._daemon.podman else self._daemon.info.get("ID")
        name = str(known or self._daemon.address)
        return self._cache / "docker" / hashlib.sha256(name.encode()).hexdigest()[:16]

    def check(self) -> None:
        """Raises UsageError where nothing can be written down: nothing may be made then.

        Raises:
            ERRORS: the daemon does not answer.
        """
        directory = self.directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=directory).close()
        except OSError as problem:
            raise UsageError(
                f"{directory} cannot be written ({problem.strerror}): what is made on a Docker"
                " daemon is recorded there; use a checkout that can be written"
            ) from problem

    def write(self, kind: str, name: str, labels: Mapping[str, str], image_id: str = "") -> Path:
        """Writes a thing down; again, with more of it.

        Raises:
            OSError: that is not possible.
        """
        content = {"kind": kind, "name": name, "labels": dict(labels), "id": image_id}
        stem = hashlib.sha256(f"{kind} {name} {labels.get(OWNER_LABEL)}".encode()).hexdigest()[:32]
        path = self.directory / f"{kind}-{stem}.json"
        return atomic.write(path, json.dumps(content))

    def entries(self, *kinds: str) -> list[Entry]:
        """What is written down, of some kinds or of all.

        Raises:
            ERRORS: the daemon does not answer.
        """
        return list(self._entries(kinds))

    def _entries(self, kinds: tuple[str, ...]) -> Iterator[Entry]:
        for path in sorted(self.directory.glob("*.json")):  # a network after its containers
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                content = json.loads(path.read_text(encoding="utf-8"))
                entry = Entry(
                    kind=str(content["kind"]),
                    name=str(content["name"]),
                    labels={str(key): str(value) for key, value in content["labels"].items()},
                    id=str(content["id"]),
                    path=path,
                )
                if not kinds or entry.kind in kinds:
                    yield entry

    def container(self, client: APIClient, configuration: dict[str, Any]) -> str:
        """Creates a container, which never pulls an image; returns its ID.

        One whose labels do not say whose it is, is this process', for a day at most.

        Raises:
            ERRORS: the daemon could not create it.
        """
        name = f"{LABEL}-{secrets.token_hex(8)}"
        labels = configuration.get("Labels") or {}
        if OWNER_LABEL not in labels:
            labels = {**owner.labels("build", _DAY_S), **labels}
        with self._made(CONTAINER, name, labels) as path:
            answer = client.create_container_from_config(  # type: ignore[no-untyped-call]
                configuration, name
            )
            self._files[str(answer["Id"])] = path
        return str(answer["Id"])

    def network(self, client: APIClient, labels: Mapping[str, str], **settings: Any) -> str:
        """Makes a network; returns its ID.

        Raises:
            ERRORS: the daemon could not make it.
        """
        name = f"{LABEL}-{secrets.token_hex(8)}"
        with self._made(NETWORK, name, labels) as path:
            answer = client.create_network(name, labels=dict(labels), **settings)
            self._files[str(answer["Id"])] = path
        return str(answer["Id"])

    @contextlib.contextmanager
    def _made(self, kind: str, name: str, labels: Mapping[str, str]) -> Iterator[Path]:
        path = self.write(kind, name, labels)
        try:
            yield path
        except APIError as problem:
            if problem.is_client_error():  # it was refused, and is not there
                path.unlink(missing_ok=True)
            raise

    def remove(self, client: APIClient, name: str, kind: str = CONTAINER) -> bool:
        """Removes a container with its volumes, or a network; False where it could not be.

        Args:
            name: its ID, or the name that it was made by.
        """
        try:
            if kind == CONTAINER:
                client.remove_container(name, v=True, force=True)
            else:
                client.remove_network(name)
        except NotFound:
            pass
        except ERRORS:
            return False  # `reap` finds it at the next start
        if name in self._files:
            self._files.pop(name).unlink(missing_ok=True)
        return True

    def remove_own(self, client: APIClient, labels: Mapping[str, str]) -> None:
        """Removes containers and networks that this process has made with these labels.

        Raises:
            ERRORS: the daemon does not answer.
        """
        wanted = {OWNER_LABEL: owner.current().text(), **labels}
        for entry in self.entries(CONTAINER, NETWORK):
            if wanted.items() <= entry.labels.items():
                self._remove_entry(client, entry, _told(entry), Removal())

    def use(self, image_id: str) -> None:
        """Writes down that this process needs an image: nobody else removes it meanwhile.

        Raises:
            OSError: that is not possible.
        """
        self._uses.append(self.write(USE, image_id, owner.labels("use", _RUN_S)))

    def release(self) -> None:
        """This process needs no image any more."""
        while self._uses:
            with contextlib.suppress(OSError):
                self._uses.pop().unlink()

    def reap(self, client: APIClient) -> Removal:
        """Removes what belongs to no living driver, images that are whole aside.

        Raises:
            ERRORS: the daemon does not answer.
        """
        found = Removal()
        for entry in self.entries():
            if entry.id or not owner.abandoned(entry.labels, self._daemon.local):
                continue
            if entry.kind == USE:
                entry.path.unlink(missing_ok=True)
            else:
                self._remove_entry(client, entry, f"{_told(entry)} of a driver that is gone", found)
        return found

    def clean(self, client: APIClient) -> Removal:
        """Removes all that no living driver has made or uses.

        Raises:
            ERRORS: the daemon does not answer.
        """
        found, used = self.reap(client), {entry.name for entry in self.entries(USE)}
        for entry in self.entries(CONTAINER, NETWORK, IMAGE):
            if entry.kind == IMAGE and entry.id and entry.id not in used:
                self._remove_entry(client, entry, _told(entry), found)
            elif entry.id or not owner.abandoned(entry.labels, self._daemon.local):
                found.used.append(f"{_told(entry)}: a run uses it")
        return found

    def _remove_entry(self, client: APIClient, entry: Entry, told: str, found: Removal) -> None:
        """Removes it, and tells so where it was there."""
        try:
            if entry.kind == IMAGE:
                _remove_image(client, entry)
            elif entry.kind == NETWORK:
                client.remove_network(entry.name)
            else:
                client.remove_container(entry.name, v=True, force=True)
        except NotFound:
            with contextlib.suppress(OSError):
                if entry.id or time.time() - entry.path.stat().st_mtime > _ASKED_S:
                    entry.path.unlink()
        except ERRORS as problem:
            found.failed.append(f"{told}: {self._daemon.explain(problem)}")
        else:
            entry.path.unlink(missing_ok=True)
            found.removed.append(told)


def _told(entry: Entry) -> str:
    run, key = entry.labels.get(f"{LABEL}.run"), entry.labels.get(f"{LABEL}.key", "?")
    return f"{entry.kind} {entry.name}" + (f" ({key} of run {run})" if run else "")


def _remove_image(client: APIClient, entry: Entry) -> None:
    """Takes our name from an image, which removes it unless somebody else has named it too.

    Raises:
        NotFound: it is not there.
        ERRORS: a container of somebody else's needs it, for example.
    """
    name = entry.name
    with contextlib.suppress(NotFound):
        facts = client.inspect_image(name)  # type: ignore[no-untyped-call]
        if entry.id in ("", str(facts["Id"])):
            client.remove_image(name)
            return
    if not entry.id:
        raise NotFound(f"no image {name}")
    client.remove_image(entry.id)  # the name is another image's by now
