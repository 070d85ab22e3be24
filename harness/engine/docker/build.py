"""One build of a flavor's image: an installation in a container, and what of it becomes the image.

No builder has part in it, neither the classic one nor BuildKit. What the installation is told of
this machine, passwords among it, goes through its standard input into its memory: it is in no
layer, no configuration, no history and no build argument. A build that is killed has left two
containers at most, which the ledger names.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import shlex
import tarfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from docker import APIClient
from docker.types import LogConfig

from harness.base import text
from harness.base.error import EngineError
from harness.catalog.flavors import Flavor
from harness.engine import owner
from harness.engine.docker import build_settings
from harness.engine.docker.base_image import Base
from harness.engine.docker.build_settings import BuildSettings
from harness.engine.docker.daemon import LABEL, Daemon
from harness.engine.docker.ledger import IMAGE, Ledger

# What goes into the container, beside what this machine adds.
FILES = ("install.sh", "requirements-build.txt", "requirements.txt")
_PLACE, _MADE = "/build", "/image/"
# What the Dockerfile says after this line is said of the image.
_COPY = f"COPY --from=builder {_MADE} /\n"
# Standard input is an archive, and then the sign that the driver lives: its end ends everything,
# since the processes of a container do not outlive the first.
_COMMAND = f"""
set -eu
python=$(command -v "python$PYTHON" || command -v python3) || {{
    echo "ERROR: the base image has neither python$PYTHON nor python3" >&2; exit 1; }}
"$python" -B -W ignore -c 'import sys, tarfile
tarfile.open(fileobj=sys.stdin.buffer, mode="r|").extractall("{_PLACE}")'
exec 3<&0
sh {_PLACE}/install.sh < /dev/null & job=$!
{{ cat <&3 > /dev/null; kill "$job"; }} &
wait "$job"
"""
_PROGRESS_S = 1.0
_BUILD_S = 24 * 3600.0  # after which a build is nobody's whose driver cannot be looked up
_COMMIT_S = 3600  # seconds without an answer; the layer of a GPU's environment is 7 GB

Progress = Callable[[str], None]


def run(
    daemon: Daemon,
    ledger: Ledger,
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
        files: the Dockerfile and what the installation reads, by name.
        indexes: package indexes of the flavor, after the host's own.
        labels: of the image, beside those that say what it was built from.
        tag: the image's name, which is nobody else's.

    Raises:
        EngineError: the build broke; one line with the log's path.
        StoppedError: the run was stopped meanwhile.
        ERRORS: the daemon refuses.
    """
    settings = build_settings.of_host()
    for note in settings.notes:
        progress(f"{flavor.id}: {note}")
    client = daemon.client()
    network = os.environ.get("HARNESS_BUILD_NETWORK") or ("host" if settings.host_network else None)
    progress(f"{flavor.id}: building the image on {base.reference}, log: {log}")
    containers = []
    try:
        builder = ledger.container(client, _builder(client, flavor, base, network))
        containers.append(builder)
        archive = context(_context(client, settings, files, indexes)).getvalue()
        with contextlib.closing(daemon.events(_installation(builder, archive), cancel)) as events:
            lines = text_of(events, settings.secrets)
            complaint = follow(lines, flavor.id, log, progress)
        code = int(client.wait(builder)["StatusCode"])
        if code:
            reason = text.one_line(complaint, 300)
            raise EngineError(
                f"{flavor.id}: the image build broke: {reason} (exit code {code}); log: {log}"
            )
        progress(f"{flavor.id}: the image is put together")
        image = ledger.container(client, _plain(client, base))
        containers.append(image)
        configuration = {
            "Labels": {
                **labels,
                LABEL: "image",
                f"{LABEL}.flavor": flavor.id,
                f"{LABEL}.base": base.reference,
                f"{LABEL}.base-id": base.id,
                f"{LABEL}.base-digest": base.digest,
            }
        }
        instructions = _instructions(files["Dockerfile"].decode())
        whose = {**owner.labels("image", _BUILD_S), **labels}
        ledger.write(IMAGE, tag, whose)
        commit = _commit(builder, image, tag, instructions, configuration)
        with contextlib.closing(daemon.events(commit, cancel)) as events:
            image_id = [str(event["Id"]) for event in events if "Id" in event][-1]
        ledger.write(IMAGE, tag, whose, image_id)
        return image_id
    finally:
        for name in containers:
            ledger.remove(client, name)


def context(files: Mapping[str, bytes]) -> io.BytesIO:
    """An archive in memory, the same bytes for the same files."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o600
            tar.addfile(entry, io.BytesIO(content))
    archive.seek(0)
    return archive


def text_of(events: Iterable[Mapping[str, Any]], secrets: Sequence[str] = ()) -> Iterator[str]:
    """The output of the installation as lines, without what nobody may read in a log."""
    rest = ""
    parts = (bytes(event["output"]) for event in events)
    for part in codecs.iterdecode(parts, "utf-8", "replace"):
        *lines, rest = (rest + part).split("\n")
        yield from (_without(line, secrets) for line in lines)
    if rest:
        yield _without(rest, secrets)


def follow(lines: Iterable[str], name: str, log: Path, progress: Progress) -> str:
    """Writes the output to the log as it comes; returns the line that says what went wrong."""
    complaint, last, said = "", "", time.monotonic()
    with log.open("w", encoding="utf-8", errors="replace", buffering=1) as file:
        for line in lines:
            line = text.clean(line)
            file.write(line + "\n")
            if not line.strip():
                continue
            last = line.strip()
            # What pip says last is rarely what is wrong: that is the line it begins with this.
            complaint = last if last.startswith("ERROR:") else complaint
            if time.monotonic() - said > _PROGRESS_S:
                said = time.monotonic()
                progress(f"{name}: {text.one_line(last, 200)}")
    return complaint or last or "it said nothing"


def _without(line: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        line = line.replace(secret, "***")
    return line


def _context(
    client: APIClient, settings: BuildSettings, files: Mapping[str, bytes], indexes: Sequence[str]
) -> dict[str, bytes]:
    """What the installation reads."""
    # Those of Docker's own configuration, as its command hands them to a build.
    proxies = {**_proxies(client), **settings.proxies}
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in proxies.items()]
    return {
        **{name: files[name] for name in FILES},
        "pip.conf": build_settings.with_indexes(settings.pip_conf, indexes).encode(),
        "ca-certificates.crt": settings.ca_bundle,
        "environment": "".join(lines).encode(),
    }


def _proxies(client: APIClient) -> dict[str, str]:
    found: Any = client._proxy_configs  # type: ignore[attr-defined]
    return dict(found.get_environment() or {})


def _builder(client: APIClient, flavor: Flavor, base: Base, network: str | None) -> dict[str, Any]:
    """The container of the installation; its memory is the only place for what it is told."""
    configuration: dict[str, Any] = client.create_container_config(
        base.id,
        ["-c", _COMMAND],
        entrypoint=["/bin/sh"],
        user="0:0",
        environment={"PYTHON": flavor.python, "NVIDIA_VISIBLE_DEVICES": "void"},
        working_dir="/",
        labels={LABEL: "build"},
        stdin_open=True,
        host_config=client.create_host_config(
            tmpfs={_PLACE: "rw,nosuid,nodev,noexec,mode=0700,size=64m"},
            network_mode=network,
            init=True,
            log_config=LogConfig(type="none"),
        ),
    )
    return configuration


def _plain(client: APIClient, base: Base) -> dict[str, Any]:
    """The container that becomes the image, and never runs."""
    configuration: dict[str, Any] = client.create_container_config(
        base.id, ["none"], labels={LABEL: "build"}, host_config=client.create_host_config()
    )
    return configuration


def _installation(
    builder: str, archive: bytes
) -> Callable[[APIClient], Iterator[Mapping[str, Any]]]:
    def ask(client: APIClient) -> Iterator[Mapping[str, Any]]:
        attached: Any = client.attach_socket(builder, params={"stdin": 1, "stream": 1})
        output = client.attach(builder, stream=True)  # before the start: nothing is missed
        client.start(builder)
        with contextlib.suppress(OSError):  # it has ended early, and its output says why
            # Of a Unix socket or TCP the library gives a stream that only reads.
            getattr(attached, "_sock", attached).sendall(archive)
        for part in output:
            yield {"output": part}
        attached.close()  # not before

    return ask


def _instructions(dockerfile: str) -> str:
    """What is said of the image, an instruction a line: Podman takes a comment for one."""
    lines = dockerfile.rpartition(_COPY)[2].splitlines()
    return "\n".join(line for line in lines if not line.startswith("#"))


def _commit(
    builder: str, image: str, tag: str, instructions: str, configuration: Mapping[str, Any]
) -> Callable[[APIClient], Iterator[Mapping[str, Any]]]:
    def ask(client: APIClient) -> Iterator[Mapping[str, Any]]:
        client.timeout = _COMMIT_S
        # Of a path with the dot the archive has what is in the directory, and not itself.
        parts, _ = client.get_archive(builder, f"{_MADE}.")
        client.put_archive(image, "/", parts)
        yield {}
        repository, _, name = tag.rpartition(":")
        answer = client.commit(
            image, repository, name, pause=False, changes=instructions, conf=configuration
        )
        yield {"Id": answer["Id"]}

    return ask
