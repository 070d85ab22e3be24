"""Kills: what is drawn, what is noticed of what was left, and a few of them for real."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docker import APIClient

from harness.engine.docker.daemon import LABEL
from tests.kills import remains
from tests.kills.checkout import Checkout
from tests.kills.index import Index
from tests.kills.kill import SIGNALS, TARGETS, draw
from tests.kills.sides import BASE, DockerSide, made
from tests.kills.soak import again, side_of, soak, table
from tests.kills.trial import Result

# Of three kills: of a supervisor or a daemon, of a driver, and of what builds.
SEEDS = {"venv": 202, "docker": 180}


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    with Index() as index:
        yield Checkout(tmp_path / "work", index)


def test_a_seed_is_one_kill_and_seeds_are_every_kind_of_kill() -> None:
    assert draw(7, "venv") == draw(7, "venv")
    for engine, targets in TARGETS.items():
        drawn = {
            (kill.target, kill.stage, kill.name) for kill in (draw(n, engine) for n in range(2000))
        }
        assert drawn == {
            (target, stage, name)
            for (target, stages), name in itertools.product(targets.items(), SIGNALS)
            for stage in stages
        }


def test_the_table_counts_what_was_found_and_names_the_way_back() -> None:
    kills = [draw(seed, "venv") for seed in range(50)]
    good = [Result(kill, "running+0.10s") for kill in kills[1:]]
    bad = Result(kills[0], "build+1.00s", ["scratch a", "scratch b", "process 7 (uv)"])
    lines = list(table([bad, *good]))
    assert lines[0].split() == ["engine", "target", "kills", "recovered", "process", "scratch"]
    assert lines[-1] == "50 kills, 49 recovered"
    (row,) = [line for line in lines[1:-1] if line.split()[-2:] == ["1", "1"]]
    assert kills[0].target in row
    assert bad.line().endswith("scratch a; scratch b; process 7 (uv)")
    assert good[0].line().endswith("  recovered")
    assert again(kills[0]) == "make soak-faults N=1 SEED=0 ENGINE=venv"


def leave_scratch(checkout: Checkout) -> str:
    (checkout.cache / "scratch" / "run.home.1").mkdir(parents=True)
    return "scratch checkout/.cache/scratch/run.home.1"


def leave_a_temporary_file(checkout: Checkout) -> str:
    (checkout.temporary / "lms-harness-images-x").write_text("")
    return "scratch tmp/lms-harness-images-x"


def leave_half_a_report(checkout: Checkout) -> str:
    (checkout.reports / "20200101-000000-aaaa").mkdir()
    (checkout.reports / "20200101-000000-aaaa" / ".record.json.1.tmp").write_text("{")
    return "scratch reports/20200101-000000-aaaa/.record.json.1.tmp"


def leave_a_read_only_directory(checkout: Checkout) -> str:
    path = checkout.reports / "20200101-000000-aaaa" / "phases" / "input"
    path.mkdir(parents=True)
    path.chmod(0o555)
    return "scratch reports/20200101-000000-aaaa/phases/input is read-only"


def leave_half_an_environment(checkout: Checkout) -> str:
    (checkout.cache / "environments" / "cold-virtual-1").mkdir(parents=True)
    return "scratch checkout/.cache/environments/cold-virtual-1 is half an environment"


@pytest.mark.parametrize(
    "leave",
    [
        leave_scratch,
        leave_a_temporary_file,
        leave_half_a_report,
        leave_a_read_only_directory,
        leave_half_an_environment,
    ],
)
def test_files_that_were_left_are_found_and_then_removed(
    checkout: Checkout, leave: Callable[[Checkout], str]
) -> None:
    assert remains.of_files(checkout) == []
    expected = leave(checkout)
    assert remains.of_files(checkout) == [expected]
    remains.remove_files(checkout)
    shutil.rmtree(checkout.cache / "environments", ignore_errors=True)
    assert remains.of_files(checkout) == []


def test_a_lock_that_is_held_is_found_and_one_that_is_free_is_none(checkout: Checkout) -> None:
    path = checkout.cache / "environments" / "cold.lock"
    path.parent.mkdir(parents=True)
    path.write_text("")
    assert remains.of_files(checkout) == []
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert remains.of_files(checkout) == ["lock checkout/.cache/environments/cold.lock is held"]


@pytest.mark.parametrize("how", ["arguments", "directory", "variables"])
def test_a_process_that_was_left_is_found_and_then_ended(tmp_path: Path, how: str) -> None:
    sleep = [sys.executable, "-c", "input()", *([str(tmp_path)] if how == "arguments" else [])]
    variables = {"TMPDIR": str(tmp_path)} if how == "variables" else {}
    with subprocess.Popen(
        sleep,
        stdin=subprocess.PIPE,
        cwd=tmp_path if how == "directory" else None,
        env={"PATH": os.environ["PATH"], **variables},
    ) as process:
        try:
            (found,) = remains.processes(tmp_path)
            assert found.startswith(f"process {process.pid} ({sys.executable}")
            remains.end_processes(tmp_path)
            process.wait(10)
            assert remains.processes(tmp_path) == []
        finally:
            process.kill()


def test_a_record_that_cannot_be_read_or_lacks_a_phase_is_found(checkout: Checkout) -> None:
    name = "20200101-000000-aaaa"
    assert remains.records(checkout.reports, {}) == []
    (checkout.reports / name).mkdir()
    (found,) = remains.records(checkout.reports, {})
    assert found.startswith(f"record of {name}: no run in ")


def test_a_password_is_found_wherever_it_is(checkout: Checkout) -> None:
    (checkout.reports / "log").write_bytes(b"\0http://user:hidden@host\n")
    (found,) = remains.words("hidden", *checkout.places)
    assert found == f"secret in {checkout.reports}/log"


def leave_a_container(client: APIClient, base: str) -> str:
    name = client.create_container(base, ["true"], labels={LABEL: "phase"})["Id"]
    return f"container {name[:12]} (created; phase)"


def leave_a_network(client: APIClient, base: str) -> str:
    client.create_network("left", driver="bridge", internal=True)
    return "network left"


def leave_a_volume(client: APIClient, base: str) -> str:
    client.create_volume("left")
    return "volume left"


def leave_a_layer(client: APIClient, base: str) -> str:
    return f"layer {made(client, f'FROM {base}{chr(10)}LABEL left=yes'.encode())[:19]}"


@pytest.fixture
def base(base_image: str) -> str:
    """A base image for a daemon of the test's own; skips where none can be started."""
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("a daemon of the test's own takes root and dockerd")
    return base_image


def settled(side: DockerSide, expected: list[str]) -> list[str]:
    """What is left; what goes by itself, such as the shim of a container, gets the time to."""
    late = time.monotonic() + 20
    while (left := side.remains()) != expected and time.monotonic() < late:
        time.sleep(0.1)
    return left


@pytest.mark.slow
@pytest.mark.docker
def test_what_is_left_in_a_daemon_is_found_and_then_removed(base: str) -> None:
    with side_of("docker", base) as side:
        assert isinstance(side, DockerSide)
        for leave in (leave_a_container, leave_a_network, leave_a_volume, leave_a_layer):
            assert settled(side, []) == []
            with contextlib.closing(side.daemon.client()) as client:
                expected = leave(client, BASE)
            assert settled(side, [expected]) == [expected]
            side.clear(renew=False)
        assert side.secrets() == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("engine", ["venv", pytest.param("docker", marks=pytest.mark.docker)])
def test_a_few_kills_leave_nothing(request: pytest.FixtureRequest, engine: str) -> None:
    base = request.getfixturevalue("base") if engine == "docker" else ""
    results = soak([engine], 3, SEEDS[engine], base, print)
    assert len(results) == 3
    assert [result.line() for result in results if result.found] == []
