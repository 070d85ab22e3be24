"""What drivers that have died leave on a daemon, and what nobody but its owner removes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from docker.errors import APIError

from harness.catalog.flavors import Flavor
from harness.engine import owner
from harness.engine.docker import image, shared_files
from harness.engine.docker.daemon import LABEL, Daemon
from harness.engine.docker.engine import DockerEngine
from harness.engine.owner import NAME_LABEL, OWNER_LABEL
from tests.engine.docker.test_engine import _DRIVER, Make, left, make
from tests.engine.docker.test_image import flavor
from tests.paths import ROOT

__all__ = ["flavor", "make"]  # fixtures


@pytest.fixture
def remove(daemon: Daemon) -> Iterator[Callable[[str], str]]:
    """Has a container or image removed at the end; returns its ID as it is."""
    names: list[str] = []

    def later(name: str) -> str:
        names.insert(0, name)
        return name

    yield later
    for name in names:
        for command in (daemon.client().remove_container, daemon.client().remove_image):
            with contextlib.suppress(APIError):
                command(name, force=True)


@pytest.fixture
def driver(make: Make, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another driver, whose phase runs in a container."""
    launch = make("import time; time.sleep(300)")
    started = subprocess.Popen(
        [sys.executable, "-c", _DRIVER, str(tmp_path), launch.environment.handle, launch.run_id],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "started\n"
    yield started
    started.kill()
    started.communicate()


@pytest.mark.docker
def test_clean_leaves_what_a_living_driver_has(
    driver: subprocess.Popen[str], make: Make, daemon: Daemon, tmp_path: Path
) -> None:
    (name,) = left(daemon, make())
    found = DockerEngine().clean(tmp_path)
    told = f"container {name[:12]} (left of run {make().run_id})"
    assert told in found.used
    assert left(daemon, make()) == [name]
    driver.kill()
    driver.wait()
    found = DockerEngine().clean(tmp_path)
    assert f"{told} of a driver that is gone" in found.removed
    assert not any(told in line for line in (*found.used, *found.failed))
    assert left(daemon, make()) == []


@pytest.mark.docker
@pytest.mark.usefixtures("driver")
def test_what_is_made_of_a_container_of_ours_is_not_ours(
    make: Make, daemon: Daemon, tmp_path: Path, remove: Callable[[str], str]
) -> None:
    """It has the labels of a phase, and the image of one as well."""
    client = daemon.client()
    (name,) = left(daemon, make())
    committed = remove(client.commit(name, repository=f"{LABEL}-test/derived")["Id"])
    changes = [f'LABEL {OWNER_LABEL}="{replace(owner.current(), started="1").text()}"']
    derived = remove(client.commit(name, changes=changes)["Id"])
    mine = [
        remove(client.create_container(origin, ["true"])["Id"]) for origin in (committed, derived)
    ]
    DockerEngine().reap()
    found = DockerEngine().clean(tmp_path)
    assert {entry["Id"] for entry in client.containers(all=True)} > {*mine, name}
    assert not any(entry[:12] in line for entry in mine for line in found.used)


@pytest.mark.docker
def test_containers_of_every_kind_have_an_owner_and_their_own_name(
    make: Make, daemon: Daemon, base_image: str, remove: Callable[[str], str], tmp_path: Path
) -> None:
    engine = DockerEngine()
    name = remove(engine._create(daemon.client(), make()))
    facts = daemon.client().inspect_container(name)
    assert facts["Name"] == "/" + facts["Config"]["Labels"][NAME_LABEL]
    assert owner.owned(facts["Config"]["Labels"], [facts["Name"]])
    assert not owner.abandoned(facts["Config"]["Labels"], local=True)


@pytest.mark.docker
def test_what_a_killed_check_of_shared_files_left_is_removed(
    daemon: Daemon, tmp_path: Path
) -> None:
    code = """
import os, sys
from pathlib import Path
from harness.engine.docker import contents, shared_files
from harness.engine.docker.daemon import Daemon
contents.file = lambda *_: os.kill(os.getpid(), 9)
shared_files.check(Daemon(), [Path(sys.argv[1])])
"""
    client, filters = daemon.client(), {"label": f"{LABEL}=shared-files"}

    def there() -> set[str]:
        containers = client.containers(all=True, filters=filters)
        return {entry["Id"] for entry in (*containers, *client.images(filters=filters, all=True))}

    before = there()
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT)
    assert done.returncode == -9
    assert len(there() - before) == 2
    assert [path.name[:8] for path in tmp_path.iterdir()] == [".shared-"] * 2
    lines = DockerEngine().reap()
    assert [line.split()[0] for line in lines if "shared-files" in line or "image" in line] == [
        "container",
        "image",
    ]
    assert there() <= before
    shared_files.check(daemon, [tmp_path])
    assert list(tmp_path.iterdir()) == []


# --- images ---------------------------------------------------------------------------------------

_PREPARE = """
import sys, threading
from pathlib import Path
from tests.engine.docker.test_image import locked_six, make_flavor
from harness.engine.docker.engine import DockerEngine
flavor = make_flavor(Path(sys.argv[1]), locked_six(), sys.argv[2])
environment = DockerEngine().prepare(
    flavor, "virtual", lambda line: print(line, flush=True), threading.Event())
print(environment.handle, flush=True)
sys.stdin.read()
"""


@pytest.mark.docker
def test_two_runs_build_an_image_once_and_clean_leaves_it_to_them(
    flavor: Flavor, base_image: str, tmp_path: Path
) -> None:
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", _PREPARE, str(tmp_path), base_image],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said: list[list[str]] = []
    for run in runs:
        assert run.stdout is not None
        lines = [run.stdout.readline().strip()]
        while not lines[-1].startswith("sha256:"):
            lines.append(run.stdout.readline().strip())
            assert lines[-1], lines
        said.append(lines)
    every = [line for lines in said for line in lines]
    assert sum("building the image" in line for line in every) == 1, every
    assert said[0][-1] == said[1][-1], every
    assert sum(line.endswith("builds the same image; waiting") for line in every) == 1, every
    found = DockerEngine().clean(tmp_path)
    ours = [line for line in found.used if f"{LABEL}/{flavor.id}:" in line]
    assert [line.partition(": ")[2] for line in ours] == ["a run builds or uses it"]
    for run in runs:
        run.kill()
        run.communicate()
    found = DockerEngine().clean(tmp_path)
    assert any(f"image {LABEL}/{flavor.id}:" in line for line in found.removed)


@pytest.mark.docker
def test_an_image_that_a_container_runs_is_not_said_to_be_removed(
    flavor: Flavor, daemon: Daemon, tmp_path: Path, remove: Callable[[str], str]
) -> None:
    engine = DockerEngine()
    environment = engine.prepare(flavor, "virtual", lambda line: None, threading.Event())
    engine.close()
    client = daemon.client()
    no_network = client.create_host_config(network_mode="none")
    name = remove(
        client.create_container(
            environment.handle, ["-c", "sleep 300"], entrypoint=["sh"], host_config=no_network
        )["Id"]
    )
    client.start(name)
    found = DockerEngine().clean(tmp_path)
    assert not any(f"{LABEL}/{flavor.id}:" in line for line in found.removed)
    assert any(f"{LABEL}/{flavor.id}:" in line for line in found.failed)
    assert daemon.client().inspect_container(name)["State"]["Running"]


@pytest.mark.docker
@pytest.mark.parametrize("damage", ["emptied", "cut", "gone", "version emptied", "version odd"])
def test_what_is_known_of_an_image_is_read_again_where_it_is_damaged(
    flavor: Flavor, damage: str
) -> None:
    engine = DockerEngine()
    first = engine.prepare(flavor, "virtual", lambda line: None, threading.Event())
    packages = Path(first.provenance["packages file"])
    python = packages.with_name(packages.name.replace(".packages.", ".python."))
    if damage == "gone":
        packages.unlink()
    elif damage == "cut":
        packages.write_bytes(packages.read_bytes()[:-5])
    else:
        (python if "version" in damage else packages).write_text("x" if "odd" in damage else "")
    again = engine.prepare(flavor, "virtual", lambda line: None, threading.Event())
    assert again == first
    assert "six==1.17.0" in packages.read_text()
    engine.close()


def test_a_cache_that_cannot_be_written_has_one_place_for_all_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    (tmp_path / "one").mkdir()
    (tmp_path / "one/.cache").touch()  # no directory can be made below it
    (tmp_path / "two").mkdir()
    (tmp_path / "two/.cache").touch()
    first = image.directory(tmp_path / "one")
    assert first == image.directory(tmp_path / "one") != image.directory(tmp_path / "two")
    assert len(list((tmp_path / "tmp").iterdir())) == 2
    first.rmdir()
    first.symlink_to(tmp_path)
    with pytest.raises(PermissionError, match="another user has made it"):
        image.directory(tmp_path / "one")
    (tmp_path / "three").mkdir()
    assert image.directory(tmp_path / "three") == tmp_path / "three/.cache/images"
