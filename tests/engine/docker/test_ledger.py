"""What is ours on a daemon: what this checkout has written down, and nothing that looks like it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient
from docker.errors import APIError, NotFound

from harness.base.error import UsageError
from harness.catalog.flavors import Flavor
from harness.engine import owner
from harness.engine.docker.daemon import LABEL, Daemon
from harness.engine.docker.engine import DockerEngine
from harness.engine.docker.ledger import CONTAINER, IMAGE, NETWORK, USE, Ledger
from tests.engine.docker.test_image import make_empty_flavor
from tests.paths import ROOT

GONE = owner.Owner(2**22 + 1, owner.current().started, owner.current().boot).text()


def whose(**changes: str) -> dict[str, str]:
    """Labels of something of a driver that is gone."""
    return {**owner.labels("phase"), f"{LABEL}.owner": GONE, **changes}


# --- without a daemon -----------------------------------------------------------------------------


class NoDaemon(Daemon):
    """One that is asked nothing but who it is."""

    def __init__(self, name: str = "first") -> None:
        super().__init__()
        self.__dict__.update(info={"ID": name}, version={}, address="unix:///x")


class Refusing:
    """A client whose daemon has none of what it is asked for, or is broken."""

    def __init__(self, status: int) -> None:
        self._status = status

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def refuse(*_: Any, **__: Any) -> Any:
            if self._status == 404:
                raise NotFound("no such thing")
            response: Any = type("Response", (), {"status_code": self._status, "reason": "r"})()
            raise APIError("refused", response=response, explanation="refused")

        return refuse


def refusing(status: int) -> Any:
    return Refusing(status)


def test_a_thing_is_written_down_before_it_is_made(tmp_path: Path) -> None:
    ledger = Ledger(NoDaemon(), tmp_path)
    with pytest.raises(APIError):
        ledger.container(refusing(500), {"Labels": {LABEL: "phase"}})
    (entry,) = ledger.entries()
    assert (entry.kind, entry.labels[LABEL]) == (CONTAINER, "phase")
    assert owner.parse(entry.labels[f"{LABEL}.owner"]) == owner.current()
    with pytest.raises(APIError):  # which says that it is not there
        ledger.container(refusing(409), {"Labels": {}})
    assert ledger.entries() == [entry]


def test_another_daemon_has_other_things(tmp_path: Path) -> None:
    Ledger(NoDaemon(), tmp_path).write(CONTAINER, "c", whose())
    assert Ledger(NoDaemon("second"), tmp_path).entries() == []
    assert [entry.name for entry in Ledger(NoDaemon(), tmp_path).entries()] == ["c"]


def test_what_a_daemon_may_still_be_about_to_make_is_looked_for_again(tmp_path: Path) -> None:
    ledger = Ledger(NoDaemon(), tmp_path)
    paths = [ledger.write(kind, "x", whose()) for kind in (CONTAINER, NETWORK, IMAGE)]
    assert ledger.reap(refusing(404)).removed == []
    assert all(path.exists() for path in paths)
    for path in paths:
        os.utime(path, (time.time() - 4000, time.time() - 4000))
    assert ledger.reap(refusing(404)).removed == []
    assert ledger.entries() == []


def test_what_could_not_be_removed_is_told_and_not_forgotten(tmp_path: Path) -> None:
    ledger = Ledger(NoDaemon(), tmp_path)
    ledger.write(CONTAINER, "c", whose())
    ledger.write(IMAGE, "i", whose(), "sha256:1")
    for status in (409, 500):
        found = ledger.clean(refusing(status))
        assert (found.removed, found.used, len(found.failed)) == ([], [], 2)
        assert len(ledger.entries()) == 2


@pytest.mark.parametrize("content", ["", "{", "[]", '{"kind": 1}', '{"labels": []}', "\0"])
def test_a_file_that_is_none_of_ours_is_passed_over(tmp_path: Path, content: str) -> None:
    ledger = Ledger(NoDaemon(), tmp_path)
    good = ledger.write(CONTAINER, "c", whose())
    (good.parent / "container-0.json").write_text(content)
    (good.parent / "network-1.json").mkdir()
    assert [entry.name for entry in ledger.entries()] == ["c"]


def test_where_nothing_can_be_written_down_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "docker").touch()
    with pytest.raises(UsageError, match="cannot be written") as caught:
        Ledger(NoDaemon(), tmp_path).check()
    assert "\n" not in str(caught.value)


def test_a_use_ends_with_its_process_or_before(tmp_path: Path) -> None:
    mine, dead = Ledger(NoDaemon(), tmp_path), Ledger(NoDaemon(), tmp_path)
    mine.use("sha256:1")
    dead.write(USE, "sha256:1", whose())
    dead.write(IMAGE, "lms-harness/f:1", whose(), "sha256:1")
    assert len(mine.entries(USE)) == 2
    assert dead.clean(refusing(404)).removed == []
    assert [entry.kind for entry in mine.entries()] == [IMAGE, USE], "used by a living process"
    mine.release()
    dead.clean(refusing(404))
    assert mine.entries() == []


# --- with one -------------------------------------------------------------------------------------


@pytest.fixture
def made(daemon: Daemon) -> Iterator[list[str]]:
    """Containers and images that a test makes by hand; they are removed."""
    names: list[str] = []
    yield names
    client = daemon.client()
    for name in reversed(names):
        for remove in (client.remove_container, client.remove_image):
            try:
                remove(name, force=True)
                break
            except APIError:
                continue


@pytest.fixture
def flavor(tmp_path: Path, base_image: str, monkeypatch: pytest.MonkeyPatch) -> Flavor:
    monkeypatch.delenv("BASE_IMAGE", raising=False)
    return make_empty_flavor(tmp_path, base_image)


def prepare(engine: DockerEngine, flavor: Flavor) -> str:
    return engine.prepare(flavor, "virtual", lambda line: None, threading.Event()).handle


def there(client: APIClient, name: str) -> bool:
    for inspect in (client.inspect_container, client.inspect_image):
        try:
            inspect(name)
        except NotFound:
            continue
        return True
    return False


@pytest.mark.docker
def test_what_is_built_on_our_image_is_neither_used_nor_removed(
    daemon: Daemon, flavor: Flavor, tmp_path: Path, made: list[str]
) -> None:
    client, engine = daemon.client(), DockerEngine(cache=tmp_path / ".cache")
    ours = prepare(engine, flavor)
    made.append(ours)
    theirs = f"lms-harness-test/derived:{os.getpid()}"
    (name,) = client.inspect_image(ours)["RepoTags"]
    dressed = {**client.inspect_image(ours)["Config"]["Labels"], **whose()}
    for tag in (theirs, f"{theirs}-2"):  # more than one, and younger than ours
        base = client.create_container(ours, ["true"])["Id"]
        repository, _, version = tag.rpartition(":")
        client.commit(base, repository, version, conf={"Labels": dressed})
        made.append(tag)
        client.remove_container(base)
    container = client.create_container(theirs, ["true"], labels=whose())["Id"]
    made.append(container)

    other = DockerEngine(cache=tmp_path / ".cache")
    assert prepare(other, flavor) == ours
    for entry in (engine, other):
        entry.close()
    assert other.reap() == []
    assert all(there(client, entry) for entry in made)
    other.clean()
    assert all(there(client, entry) for entry in made[1:]), "not ours"
    assert name not in (client.inspect_image(ours)["RepoTags"] if there(client, ours) else [])


@pytest.mark.docker
def test_a_tag_of_ours_that_was_moved_is_neither_used_nor_removed(
    daemon: Daemon, flavor: Flavor, tmp_path: Path, made: list[str]
) -> None:
    client, engine = daemon.client(), DockerEngine(cache=tmp_path / ".cache")
    ours = prepare(engine, flavor)
    (name,) = client.inspect_image(ours)["RepoTags"]
    repository, _, version = name.rpartition(":")
    container = client.create_container(ours, ["true"])["Id"]
    made.append(container)
    theirs = client.commit(container, repository, version)["Id"]
    made.append(theirs)
    client.remove_container(container)
    assert prepare(engine, flavor) == ours
    engine.close()
    DockerEngine(cache=tmp_path / ".cache").clean()
    assert client.inspect_image(name)["Id"] == theirs


@pytest.mark.docker
def test_an_image_that_somebody_removed_is_built_again(
    daemon: Daemon, flavor: Flavor, tmp_path: Path
) -> None:
    engine = DockerEngine(cache=tmp_path / ".cache")
    first = prepare(engine, flavor)
    daemon.client().remove_image(first, force=True)
    second = prepare(engine, flavor)
    assert there(daemon.client(), second)
    engine.close()
    removed = engine.clean().removed
    assert [line.split(":")[0] for line in removed] == ["image lms-harness/t-lms"]
    assert not there(daemon.client(), second)
    assert not list((tmp_path / ".cache" / "docker").rglob("*.json"))


@pytest.mark.docker
def test_another_checkout_s_things_are_its_own(
    daemon: Daemon, flavor: Flavor, tmp_path: Path
) -> None:
    mine, theirs = (DockerEngine(cache=tmp_path / name) for name in ("mine", "theirs"))
    ledger = Ledger(daemon, tmp_path / "theirs")
    image = prepare(theirs, flavor)
    labels = {**daemon.client().inspect_image(image)["Config"]["Labels"], **whose()}
    configuration = daemon.client().create_container_config(image, ["true"], labels=labels)
    container = ledger.container(daemon.client(), configuration)
    network = ledger.network(daemon.client(), whose())
    try:
        theirs.close()
        assert mine.reap() == []
        assert mine.clean().removed == []
        assert there(daemon.client(), image)
        assert there(daemon.client(), container)
        assert daemon.client().inspect_network(network)["Id"] == network
    finally:
        removed = theirs.clean().removed
    assert [line.split()[0] for line in removed] == ["container", "network", "image"]
    assert not there(daemon.client(), image)
    assert not there(daemon.client(), container)


_DRIVER = """
import sys, threading
from pathlib import Path
from harness.engine import owner
from harness.engine.docker.daemon import Daemon
from harness.engine.docker.engine import DockerEngine
from harness.engine.docker.ledger import Ledger
from tests.engine.docker.test_image import make_empty_flavor
root, base = Path(sys.argv[1]), sys.argv[2]
engine = DockerEngine(cache=root / ".cache")
flavor = make_empty_flavor(root, base)
image = engine.prepare(flavor, "virtual", lambda line: None, threading.Event()).handle
daemon = Daemon()
client, ledger = daemon.client(), Ledger(daemon, root / ".cache")
made = client.create_container_config(image, ["true"], labels=owner.labels("phase"))
print(image, ledger.container(client, made), ledger.network(client, owner.labels("network")),
      flush=True)
sys.stdin.read()
"""


@pytest.mark.docker
def test_clean_leaves_what_a_living_run_needs_and_a_killed_one_s_goes(
    daemon: Daemon, base_image: str, tmp_path: Path
) -> None:
    client, engine = daemon.client(), DockerEngine(cache=tmp_path / ".cache")
    driver = subprocess.Popen(
        [sys.executable, "-c", _DRIVER, str(tmp_path), base_image],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert driver.stdout is not None
        image, container, network = driver.stdout.readline().split()
        assert engine.reap() == []
        found = engine.clean()
        assert (found.removed, len(found.used), found.failed) == ([], 3, [])
        assert there(client, image)
        assert there(client, container)
        assert client.inspect_network(network)["Id"] == network
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        removed = engine.clean().removed
    finally:
        driver.kill()
        driver.wait()
    assert [line.split()[0] for line in removed] == ["container", "network", "image"]
    assert not there(client, image)
    assert not there(client, container)
    assert not list((tmp_path / ".cache" / "docker").rglob("*.json"))
