"""One build of a flavor's image: its context, its log, and nothing left of it where it broke.

The classic builder is used through the low-level API: `images.build()` of the Docker library shows
nothing until the end and finds the image's ID by a pattern in the output.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import tarfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from docker import APIClient

from harness.base import text
from harness.base.error import EngineError, StoppedError
from harness.catalog.flavors import Flavor
from harness.engine.docker import build_settings
from harness.engine.docker.base_image import Base
from harness.engine.docker.daemon import ERRORS, LABEL, Daemon

# On every layer of the Dockerfile's stage that is thrown away; the value is put in for each build.
BUILD_LABEL, _BY_HAND = f"{LABEL}.build", b"by-hand"
_PROGRESS_S = 1.0
_CLEARED_S = 10.0  # a daemon that was told to stop kills the container of the step and commits none
_AGAIN_S = 0.1
_SETTLED_S = 0.5  # a step that had just ended is committed yet

Progress = Callable[[str], None]


def run(
    daemon: Daemon,
    flavor: Flavor,
    files: Mapping[str, bytes],
    base: Base,
    indexes: Sequence[str],
    labels: Mapping[str, str],
    tag: str,
    log: Path,
    progress: Progress,
    cancel: threading.Event,
) -> str:
    """Builds an image and returns its ID; what only the build needed is removed.

    Args:
        files: the Dockerfile and what it copies, by name.
        indexes: package indexes of the flavor, after the host's own.
        labels: of the image, beside those that say what it was built from.

    Raises:
        EngineError: the build broke; one line with the log's path.
        StoppedError: the run was stopped meanwhile.
        ERRORS: the daemon refuses.
    """
    settings = build_settings.of_host()
    for note in settings.notes:
        progress(f"{flavor.id}: {note}")
    build_id = secrets.token_hex(16)
    archive = context(
        {
            **files,
            "Dockerfile": files["Dockerfile"].replace(_BY_HAND, build_id.encode()),
            "pip.conf": build_settings.with_indexes(settings.pip_conf, indexes).encode(),
            "ca-certificates.crt": settings.ca_bundle,
        }
    )
    network = os.environ.get("HARNESS_BUILD_NETWORK") or ("host" if settings.host_network else None)
    progress(f"{flavor.id}: building the image on {base.reference}, log: {log}")

    def ask(client: APIClient) -> Iterable[Mapping[str, Any]]:
        events: Iterable[Mapping[str, Any]] = client.build(
            fileobj=archive,
            custom_context=True,
            tag=tag,
            decode=True,
            rm=True,
            forcerm=True,
            network_mode=network,
            use_config_proxy=True,
            buildargs={
                **settings.build_arguments,
                "BASE_IMAGE": base.id,
                "PYTHON": flavor.python,
            },
            labels={
                **labels,
                LABEL: "image",
                f"{LABEL}.flavor": flavor.id,
                f"{LABEL}.base": base.reference,
                f"{LABEL}.base-id": base.id,
                f"{LABEL}.base-digest": base.digest,
            },
        )
        return events

    try:
        with contextlib.closing(daemon.events(ask, cancel)) as events:
            return follow(events, flavor.id, log, progress)
    except StoppedError:
        time.sleep(_SETTLED_S)
        raise
    finally:
        # The stage holds the host's CA bundle and pip's settings, and as much disk as the image.
        clear(daemon.client(), f"{BUILD_LABEL}={build_id}")


def empty(client: APIClient, dockerfile: bytes) -> str:
    """Builds an image that needs no base and copies nothing; returns its ID.

    Raises:
        EngineError: the build broke.
        ERRORS: the daemon refuses.
    """
    archive = context({"Dockerfile": dockerfile})
    events = client.build(fileobj=archive, custom_context=True, decode=True, rm=True, forcerm=True)
    image_id = ""
    for event in events:
        if "error" in event:
            raise EngineError(text.one_line(str(event["error"]), 300))
        image_id = str((event.get("aux") or {}).get("ID") or image_id)
    if not image_id:
        raise EngineError("a build ended without an image")
    return image_id


def context(files: Mapping[str, bytes]) -> io.BytesIO:
    """A build context in memory, the same bytes for the same files."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o600
            tar.addfile(entry, io.BytesIO(content))
    archive.seek(0)
    return archive


def follow(events: Iterable[Mapping[str, Any]], name: str, log: Path, progress: Progress) -> str:
    """Writes the build's output to the log as it comes; returns the image's ID.

    Raises:
        EngineError: the build broke.
    """
    image_id, complaint, last, broken = "", "", "", ""
    said = time.monotonic()
    with log.open("w", encoding="utf-8", errors="replace", buffering=1) as file:
        for event in events:
            output = str(event.get("stream") or event.get("status") or event.get("error") or "")
            file.write(text.clean(output))
            if "error" in event:
                file.write("\n")
                broken = output
            if isinstance(event.get("aux"), Mapping) and event["aux"].get("ID"):
                image_id = str(event["aux"]["ID"])  # one for each stage; the last is the image
            for line in filter(None, map(str.strip, text.clean(output).splitlines())):
                if "error" in event:
                    continue
                last = line
                # What pip says last is rarely what is wrong: that is the line it begins with this.
                complaint = line if line.startswith("ERROR:") else complaint
                if time.monotonic() - said > _PROGRESS_S:
                    said = time.monotonic()
                    progress(f"{name}: {text.one_line(line, 200)}")
    if broken:
        # The daemon's own message repeats the whole RUN instruction.
        code = text.one_line(broken.rpartition("returned a ")[2], 200)
        reason = text.one_line(complaint or last or broken, 300)
        raise EngineError(f"{name}: the image build broke: {reason} ({code}); log: {log}")
    if not image_id:
        raise EngineError(f"{name}: the image build ended without an image; log: {log}")
    return image_id


def clear(client: APIClient, label: str) -> None:
    """Removes what builds of the label left: layers of the discarded stage, and nothing below them.

    A build that was stopped may still have the container of its last step, which keeps the layer
    that it was made of.
    """
    late = time.monotonic() + _CLEARED_S
    with contextlib.suppress(*ERRORS):
        while not _cleared(client, label) and time.monotonic() < late:
            time.sleep(_AGAIN_S)


def _cleared(client: APIClient, label: str) -> bool:
    """Removes what can be removed; whether that was everything."""
    for entry in client.containers(all=True, filters={"label": label}):
        with contextlib.suppress(*ERRORS):  # the daemon removes it too
            client.remove_container(entry["Id"], force=True)
    left = client.images(filters={"label": label}, all=True)
    while left:
        still = []
        for entry in left:  # youngest first
            try:
                client.remove_image(entry["Id"], noprune=True)
            except ERRORS:
                still.append(entry)  # has children yet
        if len(still) == len(left):
            return False
        left = still
    return True
