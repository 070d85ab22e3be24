from __future__ import annotations

from harness.catalog import catalog
from harness.engine import leftovers
from harness.engine.protocol import Exit, Launch
from harness.plan import planner
from harness.record.models import Outcome
from harness.run import repro, run
from harness.run.settings import Settings
from tests.engines import ScriptedEngine, Silent
from tests.projects import lay_out


def test_the_shell_has_what_the_phase_that_failed_was_given(tmp_path):
    def play(launch: Launch) -> Exit | None:
        (launch.output / "model").write_text(launch.key)
        failed = launch.key.endswith("save-load.load")
        return Exit(Outcome.FAILED, 1, "exit code 1") if failed else None

    root = lay_out(tmp_path / "checkout")
    plan = planner.make(catalog.load(root).select((), (), ["save-load"]))
    settings = Settings(root=root, reports=tmp_path / "reports", data=root, jobs=1, keep=True)

    class Engine(ScriptedEngine):
        def shell(self, launch: Launch) -> int:
            assert launch.input is not None
            seen.append((launch.input / "model").read_text())
            assert leftovers.reap(tmp_path / "reports") == []  # by another run
            return super().shell(launch)

    seen: list[str] = []
    engine = Engine(play)
    record, directory = run.execute(plan, engine, settings, None, Silent())
    for _ in range(2):  # what an earlier shell left is no hindrance
        assert repro.enter(plan, record, directory, engine, settings, ()) == 0
        shell = engine.launches[-1]
        assert shell.key == "test-flavor.basic.save-load.load"
        assert seen.pop() == "test-flavor.basic.save-load.save"
        assert shell.input is not None
        assert not shell.input.exists()
        assert list(shell.output.iterdir()) == []
        kept = directory / "phases" / shell.key / "artifacts" / "model"
        assert kept.read_text() == shell.key
