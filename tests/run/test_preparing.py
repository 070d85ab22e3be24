"""What a run makes of an environment: its notes reach every report, and a stop is no fault."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from harness.base.error import StoppedError
from harness.catalog import catalog
from harness.catalog.flavors import Flavor
from harness.engine.protocol import Environment
from harness.plan import planner
from harness.record.models import Outcome, RunRecord
from harness.run import run
from harness.run.settings import Settings
from tests.engines import ScriptedEngine, Silent
from tests.projects import lay_out

NOTE = "base not pinned: mine (made on this machine, no registry digest)"


class Prepared(ScriptedEngine):
    """Environments with a note, or none where the run is stopped."""

    stops = False

    def prepare(
        self,
        flavor: Flavor,
        accelerator: str,
        progress: Callable[[str], None],
        cancel: threading.Event,
    ) -> Environment:
        if self.stops:
            cancel.set()
            raise StoppedError("the run was stopped")
        made = super().prepare(flavor, accelerator, progress, cancel)
        return replace(made, provenance={"base image pin": "base not pinned: x"}, notes=(NOTE,))


def execute(tmp_path: Path, engine: Prepared) -> tuple[RunRecord, Path]:
    project = lay_out(tmp_path / "checkout")
    made = planner.make(catalog.load(project))
    settings = Settings(root=project, reports=tmp_path / "reports", data=project, jobs=1)
    return run.execute(made, engine, settings, None, Silent())


def test_a_base_that_is_not_pinned_is_in_every_report(tmp_path: Path) -> None:
    record, directory = execute(tmp_path, Prepared(lambda launch: None))
    assert record.notes.count(NOTE) == 1
    assert NOTE in (directory / "summary.md").read_text()
    (junit,) = (directory / "junit").glob("*.xml")
    assert 'name="base image pin" value="base not pinned: x"' in junit.read_text()
    assert NOTE in junit.read_text()


def test_a_build_that_was_stopped_is_no_broken_build(tmp_path: Path) -> None:
    engine = Prepared(lambda launch: None)
    engine.stops = True
    record, _ = execute(tmp_path, engine)
    assert record.state == "interrupted"
    assert [flavor.unavailable for flavor in record.flavors] == [None]
    assert {phase.outcome for phase in record.phases} <= {Outcome.NOT_RUN}
    assert engine.launches == []
