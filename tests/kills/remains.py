"""What runs have left, a line for each thing, and how it is removed before the next kill."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
from docker import APIClient
from docker.errors import APIError

from harness.base import directory as directories
from harness.base.error import HarnessError
from harness.record import store
from harness.record.models import Outcome
from tests.kills.checkout import Checkout

_SHOWN = 100  # characters of a command line
_NETWORKS = {"bridge", "host", "none"}  # the daemon's own


def of_files(checkout: Checkout) -> list[str]:
    """Locks that are held, scratch, temporary files, what its owner could not remove."""
    found = [f"lock {_below(path, checkout)} is held" for path in _held(checkout)]
    found += [f"scratch {_below(path, checkout)}" for path in sorted(set(_scratch(checkout)))]
    for path in sorted(checkout.reports.rglob("*")):
        if path.is_dir() and not path.is_symlink() and not path.stat().st_mode & stat.S_IWUSR:
            found.append(f"scratch {_below(path, checkout)} is read-only")
    for environment in sorted((checkout.cache / "environments").glob("*")):
        if environment.is_dir() and not (environment / "ready.json").is_file():
            found.append(f"scratch {_below(environment, checkout)} is half an environment")
    return found


def remove_files(checkout: Checkout) -> None:
    """Removes it, with every run."""
    for path in set(_scratch(checkout)):
        _remove(path)
    for path in checkout.reports.iterdir():
        _remove(path)


def records(reports: Path, told: Mapping[str, set[str]]) -> list[str]:
    """Runs whose record cannot be read, or lacks a phase that had ended.

    Args:
        told: keys of phases that are known to have ended, by the name of the run's directory.
    """
    found = []
    for directory in sorted(reports.glob("2*")):
        try:
            record = store.load(directory)
        except HarnessError as problem:
            found.append(f"record of {directory.name}: {problem}")
            continue
        there = {phase.key for phase in record.phases if phase.outcome is not Outcome.NOT_RUN}
        lost = sorted(told.get(directory.name, set()) - there)
        if lost:
            found.append(f"record of {directory.name} ({record.state}) lacks {', '.join(lost)}")
    return found


def processes(work: Path) -> list[str]:
    """Processes that have to do with a directory, less this one."""
    found = []
    for process in _of(work):
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline()) or process.name()
            found.append(f"process {process.pid} ({line[:_SHOWN]})")
    return found


def contained(place: Path) -> list[str]:
    """Processes of containers of a daemon that works in a directory, in whatever state it has them.

    A shim that has none is the daemon's own matter.
    """
    found = []
    for shim in _of(place):
        with contextlib.suppress(psutil.Error):
            if shim.name().startswith("containerd-shim"):
                for process in shim.children(recursive=True):
                    found.append(f"process {process.pid} ({' '.join(process.cmdline())[:_SHOWN]})")
    return found


def end_processes(work: Path) -> None:
    """Ends them."""
    for process in _of(work):
        with contextlib.suppress(psutil.Error):
            process.kill()


def of_daemon(client: APIClient) -> list[str]:
    """Containers, networks, volumes, and layers of no image that has a name."""
    found = [
        f"container {entry['Id'][:12]} ({entry['State']}; {_kind(entry)})"
        for entry in client.containers(all=True)
    ]
    found += [f"network {entry['Name']}" for entry in _networks(client)]
    found += [f"volume {entry['Name']}" for entry in client.volumes()["Volumes"] or ()]
    return found + [f"layer {name[:19]}" for name in _layers(client)]


def empty_daemon(client: APIClient, base: str, images: bool) -> None:
    """Removes it; and every image but the base too, where `images`."""
    for entry in client.containers(all=True):
        with contextlib.suppress(APIError):
            client.remove_container(entry["Id"], v=True, force=True)
    for entry in _networks(client):
        with contextlib.suppress(APIError):
            client.remove_network(entry["Id"])
    for volume in client.volumes()["Volumes"] or ():
        with contextlib.suppress(APIError):
            client.remove_volume(volume["Name"], force=True)
    if images:
        for entry in client.images():
            if not any(tag.startswith(base) for tag in entry.get("RepoTags") or ()):
                with contextlib.suppress(APIError):
                    client.remove_image(entry["Id"], force=True)
    while left := _layers(client):
        for name in left:
            with contextlib.suppress(APIError):
                client.remove_image(name, noprune=True)
        if _layers(client) == left:
            break


def words(secret: str, *directories: Path) -> list[str]:
    """Files below these directories that hold a secret."""
    done = subprocess.run(
        ["grep", "-rlaF", "-e", secret, "--", *map(str, directories)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    return [f"secret in {line}" for line in done.stdout.splitlines()]


def _held(checkout: Checkout) -> Iterator[Path]:
    for place in checkout.places:
        for path in place.rglob("*.lock"):
            if "site-packages" in path.parts:
                continue
            with path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    yield path


def _scratch(checkout: Checkout) -> Iterator[Path]:
    cache, reports = checkout.cache, checkout.reports
    for name in ("scratch", "compiled", "processes"):
        yield from (cache / name).glob("*")
    yield from checkout.temporary.glob("*")
    for place in (cache, reports):
        yield from place.glob(".shared-*")
    yield from reports.rglob(".*.tmp")


def _of(work: Path) -> Iterator[psutil.Process]:
    """Processes whose command line, directory or environment names a directory."""
    text = str(work)
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        with contextlib.suppress(psutil.Error, OSError):
            said = [*process.cmdline(), process.cwd(), *process.environ().values()]
            if any(text in word for word in said):
                yield process


def _layers(client: APIClient) -> list[str]:
    """IDs of images that nothing with a name is made of."""
    entries = {entry["Id"]: entry for entry in client.images(all=True)}
    kept: set[str] = set()
    for entry in entries.values():
        named = any(tag != "<none>:<none>" for tag in entry.get("RepoTags") or ())
        name = entry["Id"] if named else ""
        while name and name not in kept:
            kept.add(name)
            name = entries[name]["ParentId"] if name in entries else ""
    return [name for name in entries if name not in kept]


def _networks(client: APIClient) -> list[Mapping[str, str]]:
    return [entry for entry in client.networks() if entry["Name"] not in _NETWORKS]


def _kind(entry: Mapping[str, Mapping[str, str]]) -> str:
    labels = {name: value for name, value in entry["Labels"].items() if name == "lms-harness"}
    return labels.get("lms-harness", "of a build")


def _below(path: Path, checkout: Checkout) -> Path:
    return path.relative_to(checkout.root.parent)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        directories.remove(path)
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
