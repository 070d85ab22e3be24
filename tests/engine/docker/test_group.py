"""A group in one container: what its phases see, and how each of them ends."""

from __future__ import annotations

import json
import shutil
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from harness.engine import group
from harness.engine.docker.daemon import Daemon
from harness.engine.protocol import Launch
from harness.record.models import Outcome
from tests.engine.docker.test_engine import MIB, Make, execute, left, make
from tests.paths import ROOT

__all__ = ["make"]  # a fixture

LOOK = """
    import json, os, sys
    json.dump({
        "environ": dict(os.environ), "cwd": os.getcwd(), "ids": [os.getuid(), os.getgid()],
        "input": os.listdir(os.environ["INPUT_DIR"]), "warm": "wave" in sys.modules,
    }, open(os.path.join(os.environ["OUTPUT_DIR"], "seen"), "w"))
    open(os.path.join(os.environ["HOME"], "home"), "w").write("x")
    print("number", os.environ["NUMBER"])
"""


def grouped(make: Make, directory: Path, scripts: list[str], **changes: object) -> list[Launch]:
    """Launches of the phases, and at the end that of their group."""
    first = make("", **changes)
    shutil.copytree(ROOT / "scenarios" / "forks", first.scenarios / "forks")
    (directory / "input").mkdir(parents=True)
    (directory / "output").mkdir()
    environment = replace(first.environment, preload=("wave",))
    phases = []
    for number, script in enumerate(scripts):
        (first.scenarios / f"{number}.py").write_text(textwrap.dedent(script))
        given = directory / "input" / str(number)
        given.mkdir()
        (given / "weights").write_text(str(number))
        phases.append(
            replace(
                first,
                script=f"{number}.py",
                environment=environment,
                input=given,
                variables={**first.variables, "NUMBER": str(number)},
                deadline_s=30.0,
            )
        )
    return [*phases, group.launch_of(phases, "f.state.save.1", directory)]


@pytest.mark.docker
def test_phases_of_a_group_have_their_own_places(
    make: Make, tmp_path: Path, daemon: Daemon
) -> None:
    directory = tmp_path / "group"
    *phases, whole = grouped(make, directory, [LOOK, LOOK])
    ended = execute(whole)
    assert ended.outcome is Outcome.COMPLETED, (directory / "stderr.log").read_text()
    ends = group.ends(phases, directory / "stdout.log", ended)
    assert [end.exit.outcome for end in ends] == [Outcome.COMPLETED] * 2
    assert {end.exit.details["container"] for end in ends} == {ended.details["container"]}
    for number in (0, 1):
        seen = json.loads((group.artifacts(directory, number) / "seen").read_text())
        environ = seen["environ"]
        assert environ["NUMBER"] == str(number)
        assert environ["INPUT_DIR"] == f"/input/{number}"
        assert environ["OUTPUT_DIR"] == f"/output/{number}"
        assert environ["DATA_DIR"] == "/data"
        assert environ["PYTHONPATH"] == "/scenarios"
        assert environ["HOME"] == f"/tmp/phase-{number}/home"
        assert seen["cwd"] == f"/tmp/phase-{number}/work"
        assert seen["input"] == ["weights"]
        assert 0 not in seen["ids"]
        assert seen["warm"] is True
        assert group.log(directory, number, "stdout").read_text() == f"number {number}\n"
    assert left(daemon, whole) == []


@pytest.mark.docker
def test_each_phase_of_a_group_ends_in_its_own_way(make: Make, tmp_path: Path) -> None:
    scripts = [
        "raise SystemExit(3)",
        "data = bytearray(2**30)\nfor at in range(0, 2**30, 4096): data[at] = 1",
        "import os; os.kill(os.getpid(), 11)",
        "import time; time.sleep(60)",
        "print('last')",
    ]
    directory = tmp_path / "group"
    *phases, _ = grouped(make, directory, scripts, memory=256 * MIB)
    phases[3] = replace(phases[3], deadline_s=1.0)
    whole = group.launch_of(phases, "f.state.save.1", directory)
    ends = group.ends(phases, directory / "stdout.log", execute(whole))
    assert [(end.exit.outcome, end.exit.code) for end in ends] == [
        (Outcome.FAILED, 3),
        (Outcome.OUT_OF_MEMORY, 137),
        (Outcome.FAILED, 139),
        (Outcome.TIMED_OUT, None),
        (Outcome.COMPLETED, 0),
    ]
    assert group.log(directory, 4, "stdout").read_text() == "last\n"
