"""The base image of a build: found here or pulled, and of the digest that is recorded for it."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker import APIClient
from docker.errors import ImageNotFound

from harness.base import text
from harness.base.error import EngineError, HarnessError
from harness.catalog import pins
from harness.engine.docker.daemon import ERRORS, Daemon

Progress = Callable[[str], None]

_PROGRESS_S = 1.0
# What registries, and containerd before them, say of a digest that they do not have.
_GONE = re.compile(r"manifest unknown|manifest for .* not found|: not found", re.IGNORECASE)


@dataclass(frozen=True)
class Base:
    """A base image on this machine.

    Attributes:
        digest: `sha256:...` that a registry knows it by, "" for one made on this machine.
        pinned_by: where its digest is recorded, "" while it is not pinned.
        not_pinned: why it is not pinned, "" where it is.
    """

    reference: str
    id: str
    digest: str
    pinned_by: str = ""
    not_pinned: str = ""

    @property
    def pin(self) -> str:
        """What a report says of the pin."""
        if self.not_pinned:
            return f"base not pinned: {self.not_pinned}"
        return f"pinned by {self.pinned_by}"


def find(
    daemon: Daemon,
    reference: str,
    variable: str,
    docker: Path,
    progress: Progress,
    cancel: threading.Event,
) -> Base:
    """The base image, pulled when it is not here; pinned from its first use on.

    Args:
        variable: the environment variable that may name another base.
        docker: the checkout's folder with the pins.

    Raises:
        EngineError: it cannot be had, or not of the recorded digest.
        UsageError: a file of pins is broken.
        StoppedError: the run was stopped meanwhile.
    """
    pin = _pin(reference, docker)
    if pin is not None:
        return _pinned(daemon, reference, pin, variable, progress, cancel)
    client = daemon.client()
    facts = _inspect(client, reference)
    if facts is None:
        try:
            _pull(daemon, reference, progress, cancel)
            facts = _inspect(client, reference)
        except (*ERRORS, EngineError) as problem:
            raise EngineError(
                f"base image {reference} is not here and cannot be pulled ({_reason(problem)});"
                f" set {variable} to one that is"
            ) from problem
    if facts is None:
        raise EngineError(f"base image {reference} was pulled, and the daemon does not have it")
    digest = next(iter(_digests(facts, reference)), "")
    if not digest:
        reason = "made on this machine, no registry digest"
        return Base(reference, facts["Id"], "", not_pinned=reason)
    try:
        pin = pins.remember(docker, reference, digest)
    except OSError as problem:
        reason = f"docker/{pins.CHECKOUT} cannot be written ({problem.strerror})"
        return Base(reference, facts["Id"], digest, not_pinned=reason)
    if pin.digest != digest:
        exact = _by_digest(reference, pin)
        raise EngineError(_another(reference, facts, pin, f"get that one (docker pull {exact})"))
    return Base(reference, facts["Id"], digest, pin.file)


def state(client: APIClient, reference: str, docker: Path) -> tuple[bool, str]:
    """Whether a base image is here, and what its pin is, in words; asks no registry.

    Raises:
        UsageError: a file of pins is broken.
    """
    pin = _pin(reference, docker)
    here: Mapping[str, Any] | None = None
    with contextlib.suppress(*ERRORS):
        here = _inspect(client, _by_digest(reference, pin)) if pin else None
        here = here or _inspect(client, reference)
    if pin is not None:
        words = f"pinned by {pin.file} ({pin.digest[:19]}…)"
        if here is not None and pin.digest not in _digests(here, reference):
            return False, f"{words}, and another one is here"
        return here is not None, words
    if here is not None and not _digests(here, reference):
        return True, "not pinned: made on this machine, no registry digest"
    return here is not None, "not pinned until its first use"


def refresh(docker: Path, references: Sequence[str], daemon: Daemon) -> Iterator[str]:
    """Asks the registries for digests and records them; yields a line for each base image.

    The project's bases are recorded for everybody, others that this checkout has pinned for it
    alone. Where no registry answers the recorded digests are kept, and a line says so.

    Raises:
        UsageError: a file of pins is broken.
        OSError: a file of pins cannot be written.
    """
    project, checkout = pins.read(docker / pins.PROJECT), pins.read(docker / pins.CHECKOUT)
    try:
        daemon.check()
    except HarnessError as problem:
        yield f"{pins.PROJECT}: kept as it is, digests are asked through Docker: {problem}"
        return
    before = (dict(project), dict(checkout))
    for reference in dict.fromkeys((*references, *checkout)):
        if "@" in reference:
            continue  # pinned where it is named
        known = project.get(reference) or checkout.get(reference)
        try:
            answer = daemon.client().inspect_distribution(reference)  # type: ignore[no-untyped-call]
            digest = str(answer["Descriptor"]["digest"])
        except (*ERRORS, KeyError, TypeError) as problem:
            if reference in checkout and _changed(daemon, reference, checkout[reference]):
                del checkout[reference]
                kept = "it is another image here, which is pinned at its next use"
            else:
                kept = "digest kept as it is"
            yield f"{reference}: {kept}; the registry gave none: {_reason(problem)}"
            continue
        if reference in references:
            project[reference] = digest
            checkout.pop(reference, None)
        else:
            checkout[reference] = digest
        yield f"{reference}: {digest}" + ("" if known in (None, digest) else f", was {known}")
    if project != before[0] or not (docker / pins.PROJECT).exists():
        pins.write(docker / pins.PROJECT, project)
    if checkout != before[1]:
        pins.write(docker / pins.CHECKOUT, checkout)


def _changed(daemon: Daemon, reference: str, digest: str) -> bool:
    """Whether what a name stands for here is another image than the recorded one."""
    with contextlib.suppress(*ERRORS):
        facts = _inspect(daemon.client(), reference)
        return facts is not None and digest not in _digests(facts, reference)
    return False


def _pin(reference: str, docker: Path) -> pins.Pin | None:
    if "@" in reference:
        return pins.Pin(reference.partition("@")[2], "its own name")
    return pins.load(docker).get(reference)


def _pinned(
    daemon: Daemon,
    reference: str,
    pin: pins.Pin,
    variable: str,
    progress: Progress,
    cancel: threading.Event,
) -> Base:
    """The base of the recorded digest, whatever its tag stands for here.

    Raises:
        EngineError: it cannot be had.
        StoppedError: the run was stopped meanwhile.
    """
    client, exact = daemon.client(), _by_digest(reference, pin)
    facts = _inspect(client, exact)
    named = None if facts is not None else _inspect(client, reference)
    if named is not None and pin.digest in _digests(named, reference):
        facts = named  # pulled from a mirror and tagged
    if facts is None:
        try:
            _pull(daemon, exact, progress, cancel)
            facts = _inspect(client, exact)
        except (*ERRORS, EngineError) as problem:
            said = _reason(problem)
            if named is not None:
                advice = f"that one cannot be pulled ({said})"
                raise EngineError(_another(reference, named, pin, advice)) from problem
            if _GONE.search(said):
                raise EngineError(
                    f"base image {exact}: the registry no longer serves the digest that"
                    f" {pin.file} records for {reference} ({said}); run `make lock` to record"
                    f" another, or set {variable} to a base that is here"
                ) from problem
            raise EngineError(
                f"base image {exact} is not here and cannot be pulled ({said});"
                f" set {variable} to one that is"
            ) from problem
    if facts is None:
        raise EngineError(f"base image {exact} was pulled, and the daemon does not have it")
    return Base(reference, facts["Id"], pin.digest, pin.file)


def _another(reference: str, facts: Mapping[str, Any], pin: pins.Pin, advice: str) -> str:
    """The line that refuses a base of another digest."""
    here = next(iter(_digests(facts, reference)), facts["Id"])
    return (
        f"base image {reference} is {here} here, but {pin.file} records {pin.digest}: {advice}, or"
        " run `make lock` to accept a change"
    )


def _inspect(client: APIClient, reference: str) -> Mapping[str, Any] | None:
    """What the daemon knows of an image, None where it has none of that name."""
    try:
        facts: Mapping[str, Any] = client.inspect_image(reference)  # type: ignore[no-untyped-call]
    except ImageNotFound:
        return None
    return facts


def _digests(facts: Mapping[str, Any], reference: str) -> list[str]:
    """Registry digests of an image, that of the reference's own repository first."""
    entries = [str(entry).rpartition("@") for entry in facts.get("RepoDigests") or []]
    repository = _repository(reference)
    entries.sort(key=lambda entry: entry[0] != repository)
    return [digest for _, _, digest in entries if digest]


def _by_digest(reference: str, pin: pins.Pin) -> str:
    return f"{_repository(reference)}@{pin.digest}"


def _repository(reference: str) -> str:
    """The name without tag and digest; a colon before a slash is of a registry's port."""
    head, slash, name = reference.partition("@")[0].rpartition("/")
    return head + slash + name.partition(":")[0]


def _pull(daemon: Daemon, reference: str, progress: Progress, cancel: threading.Event) -> None:
    """Pulls an image, with its progress in words.

    Raises:
        ERRORS: the daemon, or the registry behind it, refuses.
        EngineError: the pull broke.
        StoppedError: the run was stopped meanwhile.
    """
    progress(f"pulling {reference}")
    repository = _repository(reference)
    tag = reference[len(repository) + 1 :] or "latest"
    layers: dict[str, bool] = {}
    said = time.monotonic()
    call = daemon.events(
        lambda client: client.pull(repository, tag=tag, stream=True, decode=True), cancel
    )
    with contextlib.closing(call) as events:
        for event in events:
            if "error" in event:
                raise EngineError(text.one_line(str(event["error"]), 300))
            if event.get("id"):
                done = event.get("status") in ("Pull complete", "Already exists")
                layers[str(event["id"])] = done
            if time.monotonic() - said > _PROGRESS_S and layers:
                said = time.monotonic()
                progress(f"pulling {reference}: {sum(layers.values())} of {len(layers)} layers")


def _reason(problem: BaseException) -> str:
    said = getattr(problem, "explanation", None) or f"{problem}" or type(problem).__name__
    return text.one_line(str(said), 300)
