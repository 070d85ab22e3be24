"""What drivers that have died leave on a daemon, and what nobody but its owner removes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docker.errors import APIError

from harness.catalog.flavors import Flavor
from harness.engine.docker.daemon import LABEL, Daemon
from harness.engine.docker.engine import DockerEngine
from tests.engine.docker.test_image import flavor
from tests.paths import ROOT

__all__ = ["flavor"]  # a fixture


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


@pytest.mark.docker
def test_what_a_killed_check_of_shared_files_left_is_removed(
    daemon: Daemon, tmp_path: Path
) -> None:
    code = """
import os, sys
from pathlib import Path
from harness.engine.docker import image
from harness.engine.docker.engine import DockerEngine
image.file = lambda *_: os.kill(os.getpid(), 9)
place = Path(sys.argv[1])
DockerEngine(directories=[place], cache=place / ".cache").preflight(None)
"""
    client, filters = daemon.client(), {"label": f"{LABEL}=shared-files"}

    def there() -> set[str]:
        containers = client.containers(all=True, filters=filters)
        return {entry["Id"] for entry in (*containers, *client.images(filters=filters, all=True))}

    before = there()
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT)
    assert done.returncode == -9
    assert len(there() - before) == 2
    assert len(list(tmp_path.glob(".shared-*"))) == 2
    engine = DockerEngine(directories=[tmp_path], cache=tmp_path / ".cache")
    assert [line.split()[0] for line in engine.reap()] == ["container", "image"]
    assert there() <= before
    engine.preflight(None)
    assert list(tmp_path.glob(".shared-*")) == []


# --- images ---------------------------------------------------------------------------------------

_PREPARE = """
import sys, threading
from pathlib import Path
from tests.engine.docker.test_image import locked_six, make_flavor
from harness.engine.docker.engine import DockerEngine
flavor = make_flavor(Path(sys.argv[1]), locked_six(), sys.argv[2])
place = Path(sys.argv[1]) / ".cache"
environment = DockerEngine(cache=place).prepare(
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
    found = DockerEngine(cache=tmp_path / ".cache").clean()
    ours = [line for line in found.used if f"{LABEL}/{flavor.id}:" in line]
    assert [line.partition(": ")[2] for line in ours] == ["a run uses it"]
    for run in runs:
        run.kill()
        run.communicate()
    found = DockerEngine(cache=tmp_path / ".cache").clean()
    assert any(f"image {LABEL}/{flavor.id}:" in line for line in found.removed)


@pytest.mark.docker
def test_an_image_that_a_container_runs_is_not_said_to_be_removed(
    flavor: Flavor, daemon: Daemon, remove: Callable[[str], str]
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
    found = DockerEngine().clean()
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
