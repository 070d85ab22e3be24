"""What a run takes of the machine: asked once, and the same for each of its phases."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.catalog import catalog
from harness.engine.resources import Resources
from harness.plan import planner
from harness.run import run
from harness.run.settings import Settings, host_facts, memory_limit
from tests.engines import ScriptedEngine, Silent
from tests.projects import FAMILY, lay_out

GIB = 2**30


class Engine(ScriptedEngine):
    """An engine on a machine whose memory changes each time that it is looked at."""

    def __init__(self, *available: Resources) -> None:
        super().__init__(lambda launch: None)
        self._available = list(available)
        self.asked = 0

    def resources(self) -> Resources:
        self.asked += 1
        return self._available.pop(0)


@pytest.mark.parametrize(
    ("jobs", "at_once", "threads", "share"),
    [(None, 4, 1, 4), (1, 1, 4, 1), (2, 2, 2, 2)],
)
def test_limits_are_those_of_the_engine_s_machine_as_the_run_began(
    tmp_path: Path, jobs: int | None, at_once: int, threads: int, share: int
) -> None:
    project = lay_out(tmp_path / "checkout", families={"basic": FAMILY})
    engine = Engine(Resources(4, 64 * GIB), *[Resources(1, GIB)] * 50)
    settings = Settings(root=project, reports=tmp_path / "reports", data=project, jobs=jobs)
    made = planner.make(catalog.load(project))
    record, _ = run.execute(made, engine, settings, None, Silent())
    assert engine.asked == 1
    assert len(engine.launches) > 1
    assert {launch.threads for launch in engine.launches} == {threads}
    assert {launch.memory for launch in engine.launches} == {64 * GIB * 9 // 10 // share}
    assert engine.most_at_once <= at_once
    assert (record.host["cores"], record.host["memory_bytes"]) == (4, 64 * GIB)


@pytest.mark.parametrize(
    ("cores", "memory", "jobs"),
    [(8, 64 * GIB, 8), (8, 8 * GIB, 3), (8, GIB, 1), (1, 64 * GIB, 1)],
)
def test_jobs_follow_cores_and_memory(cores: int, memory: int, jobs: int, tmp_path: Path) -> None:
    settings = Settings(root=tmp_path, reports=tmp_path, data=tmp_path)
    resources = Resources(cores, memory)
    assert settings.jobs_on_cpu(resources) == jobs
    assert memory_limit(resources, jobs) * jobs <= memory
    assert host_facts(resources)["cores"] == cores
