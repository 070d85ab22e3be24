import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError, ImageNotFound

from harness.base.error import EngineError, StoppedError
from harness.catalog import pins
from harness.engine.docker import base_image
from harness.engine.docker.base_image import Base
from harness.engine.docker.daemon import ERRORS, Daemon
from tests.engine.docker.registry import Registry, serving

BASE = "python:3.11-slim-bookworm"
DIGEST = "sha256:" + "1" * 64
OTHER = "sha256:" + "2" * 64


@pytest.fixture
def docker(tmp_path: Path) -> Path:
    """The folder `docker` of a checkout, where a user finds it."""
    (tmp_path / "docker").mkdir()
    return tmp_path / "docker"


class Played(Daemon):
    """A daemon with these images, and a registry that has those and says this of digests."""

    def __init__(
        self,
        here: dict[str, Any] | None = None,
        registry: dict[str, Any] | None = None,
        digests: dict[str, str] | None = None,
        refusal: str = "no such host",
    ) -> None:
        super().__init__()
        self.__dict__.update(version={"ApiVersion": "1.41"}, info={}, address="unix:///x")
        self.here, self.registry, self.pulled = here or {}, registry or {}, []
        self._said, self._refusal = digests or {}, refusal

    def client(self) -> Any:
        return self

    def events(self, ask: Any, cancel: threading.Event) -> Iterator[Any]:
        yield from ask(self)

    def inspect_distribution(self, reference: str) -> dict[str, Any]:
        if reference not in self._said:
            raise APIError("500", explanation="dial tcp: no such host")
        return {"Descriptor": {"digest": self._said[reference]}}

    def inspect_image(self, reference: str) -> dict[str, Any]:
        if reference not in self.here:
            raise ImageNotFound("404", explanation="no such image")
        return self.here[reference]

    def pull(self, repository: str, tag: str, stream: bool, decode: bool) -> Any:
        reference = f"{repository}@{tag}" if tag.startswith("sha256:") else f"{repository}:{tag}"
        self.pulled.append(reference)
        if reference not in self.registry:
            yield {"error": self._refusal}
            return
        self.here[reference] = self.registry[reference]
        yield {"id": "layer", "status": "Pull complete"}


def find(daemon: Daemon, reference: str, docker: Path) -> Base:
    said: list[str] = []
    return base_image.find(
        daemon, reference, "BASE_IMAGE_T", docker, said.append, threading.Event()
    )


def refusal(daemon: Daemon, reference: str, docker: Path) -> str:
    with pytest.raises(EngineError) as caught:
        find(daemon, reference, docker)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def image(digest: str = DIGEST, repository: str = "p") -> dict[str, Any]:
    return {"Id": "sha256:a", "RepoDigests": [f"{repository}@{digest}"] if digest else []}


# --- pins -----------------------------------------------------------------------------------------


def test_a_base_without_a_pin_is_pinned_at_its_first_pull(docker: Path) -> None:
    daemon = Played(registry={"p:3": image()})
    base = find(daemon, "p:3", docker)
    assert base == Base("p:3", "sha256:a", DIGEST, "docker/bases.lock.toml")
    assert base.pin == "pinned by docker/bases.lock.toml"
    assert pins.load(docker)["p:3"] == pins.Pin(DIGEST, "docker/bases.lock.toml")


def test_a_base_that_was_here_is_pinned_at_its_first_use(docker: Path) -> None:
    assert find(Played({"p:3": image()}), "p:3", docker).pinned_by == "docker/bases.lock.toml"
    assert find(Played({"p:3": image(OTHER), f"p@{DIGEST}": image()}), "p:3", docker).id


def test_a_base_of_another_digest_than_at_its_first_use_is_refused(docker: Path) -> None:
    find(Played({"p:3": image()}), "p:3", docker)
    said = refusal(Played({"p:3": image(OTHER)}), "p:3", docker)
    assert OTHER in said
    assert f"docker/bases.lock.toml records {DIGEST}" in said
    assert "make lock" in said


def test_the_projects_pin_comes_first(docker: Path) -> None:
    pins.write(docker / pins.PROJECT, {"p:3": DIGEST})
    pins.write(docker / pins.CHECKOUT, {"p:3": OTHER})
    base = find(Played({f"p@{DIGEST}": image()}), "p:3", docker)
    assert (base.digest, base.pinned_by) == (DIGEST, "docker/bases.toml")


def test_the_pinned_image_is_used_whatever_its_tag_stands_for(docker: Path) -> None:
    pins.write(docker / pins.PROJECT, {"p:3": DIGEST})
    daemon = Played({"p:3": {"Id": "sha256:moved"}, f"p@{DIGEST}": image()})
    assert find(daemon, "p:3", docker).id == "sha256:a"
    assert daemon.pulled == []


def test_a_pinned_base_is_pulled_once_and_by_its_digest(docker: Path) -> None:
    reference = "r:5000/p:3"
    pins.write(docker / pins.PROJECT, {reference: DIGEST})
    exact = f"r:5000/p@{DIGEST}"
    daemon = Played(registry={exact: image(repository="r:5000/p")})
    for _ in range(2):
        assert find(daemon, reference, docker).digest == DIGEST
    assert daemon.pulled == [exact]


def test_an_image_from_a_mirror_with_the_name_of_the_base_will_do(docker: Path) -> None:
    pins.write(docker / pins.PROJECT, {"p:3": DIGEST})
    daemon = Played({"p:3": image(repository="mirror/p")})
    assert find(daemon, "p:3", docker).id == "sha256:a"
    assert daemon.pulled == []


def test_a_base_that_names_its_digest_is_pinned_by_that(docker: Path) -> None:
    exact = f"p@{DIGEST}"
    base = find(Played(registry={exact: image()}), exact, docker)
    assert base.pin == "pinned by its own name"
    assert not list(docker.iterdir())


def test_an_image_made_on_this_machine_is_said_not_to_be_pinned(docker: Path) -> None:
    base = find(Played({"mine": image("")}), "mine", docker)
    assert base.pin == "base not pinned: made on this machine, no registry digest"
    assert base.digest == ""
    assert not list(docker.iterdir())


def test_where_the_pin_cannot_be_recorded_the_base_is_said_not_to_be_pinned(
    docker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, content: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pins.atomic, "write", refuse)
    base = find(Played({"p:3": image()}), "p:3", docker)
    assert base.digest == DIGEST
    assert base.pin == (
        "base not pinned: docker/bases.lock.toml cannot be written (Permission denied)"
    )


@pytest.mark.parametrize(
    "answer",
    [
        f"manifest for p@{DIGEST} not found: manifest unknown: manifest unknown",
        f"docker.io/library/p@{DIGEST}: not found",
    ],
)
def test_a_pin_that_the_registry_no_longer_serves_is_one_line(docker: Path, answer: str) -> None:
    pins.write(docker / pins.PROJECT, {"p:3": DIGEST})
    said = refusal(Played(refusal=answer), "p:3", docker)
    assert "no longer serves the digest that docker/bases.toml records for p:3" in said
    assert "`make lock` to record another" in said


def test_a_registry_that_cannot_be_reached_is_not_said_to_have_lost_the_image(docker: Path) -> None:
    pins.write(docker / pins.PROJECT, {"p:3": DIGEST})
    said = refusal(Played(), "p:3", docker)
    assert "no longer" not in said
    assert "cannot be pulled (no such host)" in said
    assert "BASE_IMAGE_T" in said


def test_a_base_that_cannot_be_had_names_the_variable(docker: Path) -> None:
    said = refusal(Played(), "p:3", docker)
    assert "BASE_IMAGE_T" in said
    assert "no such host" in said


@pytest.mark.parametrize(
    ("here", "recorded", "state"),
    [
        ({}, {}, (False, "not pinned until its first use")),
        ({"p:3": image()}, {}, (True, "not pinned until its first use")),
        ({"p:3": image("")}, {}, (True, "not pinned: made on this machine, no registry digest")),
        ({}, {"p:3": DIGEST}, (False, "pinned by docker/bases.toml (sha256:111111111111…)")),
        (
            {f"p@{DIGEST}": image()},
            {"p:3": DIGEST},
            (True, "pinned by docker/bases.toml (sha256:111111111111…)"),
        ),
        (
            {"p:3": image(OTHER)},
            {"p:3": DIGEST},
            (
                False,
                "pinned by docker/bases.toml (sha256:111111111111…), and another one is here",
            ),
        ),
    ],
)
def test_what_is_here_and_what_is_pinned_is_said_without_asking_a_registry(
    docker: Path, here: dict[str, Any], recorded: dict[str, str], state: tuple[bool, str]
) -> None:
    pins.write(docker / pins.PROJECT, recorded)
    daemon = Played(here)
    assert base_image.state(daemon.client(), "p:3", docker) == state
    assert daemon.pulled == []


@pytest.mark.parametrize(
    ("reference", "repository"),
    [
        ("a", "a"),
        ("a:1", "a"),
        ("r:5000/a", "r:5000/a"),
        ("r:5000/a/b:1", "r:5000/a/b"),
        (f"r:5000/a@{DIGEST}", "r:5000/a"),
        (f"a:1@{DIGEST}", "a"),
    ],
)
def test_a_port_is_not_a_tag(reference: str, repository: str) -> None:
    assert base_image._repository(reference) == repository


# --- make lock ------------------------------------------------------------------------------------


def recorded(docker: Path) -> dict[str, str]:
    return pins.read(docker / pins.PROJECT)


def test_digests_are_recorded_and_a_change_is_said(docker: Path) -> None:
    list(base_image.refresh(docker, [BASE], Played(digests={BASE: DIGEST})))
    assert recorded(docker) == {BASE: DIGEST}
    lines = list(base_image.refresh(docker, [BASE], Played(digests={BASE: OTHER})))
    assert lines[-1] == f"{BASE}: {OTHER}, was {DIGEST}"
    assert recorded(docker) == {BASE: OTHER}


def test_what_the_project_records_is_no_longer_the_checkouts(docker: Path) -> None:
    pins.write(docker / pins.CHECKOUT, {BASE: DIGEST, "mirror/p:3": DIGEST})
    said = {BASE: OTHER, "mirror/p:3": OTHER}
    list(base_image.refresh(docker, [BASE], Played(digests=said)))
    assert recorded(docker) == {BASE: OTHER}
    assert pins.read(docker / pins.CHECKOUT) == {"mirror/p:3": OTHER}


def test_a_change_that_no_registry_tells_of_is_accepted(docker: Path) -> None:
    pins.write(docker / pins.CHECKOUT, {"mine": DIGEST, "other": DIGEST})
    daemon = Played({"mine": image(OTHER), "other": image(DIGEST)})
    lines = list(base_image.refresh(docker, [], daemon))
    assert any("mine: it is another image here" in line for line in lines)
    assert pins.read(docker / pins.CHECKOUT) == {"other": DIGEST}
    assert find(daemon, "mine", docker).digest == OTHER


def test_without_a_registry_the_digests_stay(docker: Path) -> None:
    list(base_image.refresh(docker, [BASE], Played(digests={BASE: DIGEST})))
    lines = list(base_image.refresh(docker, [BASE], Played()))
    assert "no such host" in lines[-1]
    assert recorded(docker) == {BASE: DIGEST}


def test_without_a_daemon_the_digests_stay(docker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    lines = list(base_image.refresh(docker, [BASE], Daemon()))
    assert lines[-1].startswith("bases.toml: kept as it is")


# --- with a daemon and a registry -----------------------------------------------------------------


@pytest.fixture
def registry(daemon: Daemon) -> Iterator[Registry]:
    """A registry that the daemon reaches; what was pulled from it is removed."""
    if not daemon.local:
        pytest.skip("a daemon of another machine does not reach this one's loopback address")
    with serving() as found:
        yield found
        client = daemon.client()
        for entry in client.images(name=f"{found.address}/p"):
            with contextlib.suppress(*ERRORS):
                client.remove_image(entry["Id"], force=True)


@pytest.mark.docker
def test_a_real_pull_pins_and_a_moved_tag_changes_nothing(
    registry: Registry, daemon: Daemon, docker: Path
) -> None:
    reference = f"{registry.address}/p:3"
    first = registry.push("3", "first")
    base = find(daemon, reference, docker)
    assert (base.digest, base.pinned_by) == (first, "docker/bases.lock.toml")

    second = registry.push("3", "second")
    list(daemon.client().pull(f"{registry.address}/p", tag="3", stream=True))
    moved = daemon.client().inspect_image(reference)
    assert moved["RepoDigests"] == [f"{registry.address}/p@{second}"]
    assert find(daemon, reference, docker) == base

    daemon.client().remove_image(base.id, force=True)
    registry.asked.clear()
    assert find(daemon, reference, docker) == base, "pulled again by its digest"
    assert registry.asked

    pins.write(docker / pins.CHECKOUT, {reference: DIGEST})  # which the registry never had
    said = refusal(daemon, reference, docker)
    assert f"is {second} here, but docker/bases.lock.toml records {DIGEST}" in said
    assert "make lock" in said

    lines = list(base_image.refresh(docker, [], daemon))
    assert lines == [f"{reference}: {second}, was {DIGEST}"]
    assert find(daemon, reference, docker).digest == second


@pytest.mark.docker
def test_a_real_registry_that_lost_the_pinned_digest_is_one_line(
    registry: Registry, daemon: Daemon, docker: Path
) -> None:
    reference = f"{registry.address}/p:3"
    registry.push("3", "content")
    pins.write(docker / pins.PROJECT, {reference: DIGEST})
    said = refusal(daemon, reference, docker)
    assert "no longer serves the digest that docker/bases.toml records" in said
    assert "make lock" in said
    list(base_image.refresh(docker, [reference], daemon))
    assert find(daemon, reference, docker).pinned_by == "docker/bases.toml"


@pytest.mark.docker
def test_a_pull_that_waits_is_stopped(registry: Registry, daemon: Daemon, docker: Path) -> None:
    registry.push("3", "content")
    registry.stall = True
    cancel, when = threading.Event(), []

    def stop() -> None:
        registry.stalled.wait(60)
        when.append(time.monotonic())
        cancel.set()

    stopper = threading.Thread(target=stop)
    stopper.start()
    reference = f"{registry.address}/p:3"
    with pytest.raises(StoppedError):
        base_image.find(daemon, reference, "V", docker, lambda line: None, cancel)
    assert time.monotonic() - when[0] < 15, "long before the registry gives up"
    stopper.join()
    assert daemon.client().images(name=f"{registry.address}/p") == []
    assert not list(docker.iterdir())
