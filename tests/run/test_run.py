from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import pytest

from harness.base.error import EngineError, StoppedError
from harness.catalog import catalog
from harness.engine.protocol import Exit, Launch
from harness.plan import planner
from harness.record import store
from harness.record.checks import CheckId, Status
from harness.record.models import BUG, Outcome
from harness.report import totals
from harness.run import run
from harness.run.settings import Settings
from tests.engines import ScriptedEngine, Silent, nap, unavailable, write_log
from tests.projects import FAMILY, FLAVOR, lay_out

LOADED = ":::LMS " + json.dumps(
    {"event": "digest", "of": "weights", "stage": "restored", "sha256": "a" * 64}
)


def good(launch: Launch) -> None:
    """What a well-behaved script of each kind prints."""

    def marker(event: str, **fields: object) -> str:
        return ":::LMS " + json.dumps({"event": event, **fields})

    swapped = launch.variables["LMS_PROVIDER"] != "off"
    peak = 40 if swapped else 100
    stage = "saved" if launch.key.endswith(".save") else "restored"
    role = "predict" if "predict" in launch.script else "train"
    lines = [
        marker("environment", versions={"tensorflow": "1.15.5"}, data="digits"),
        marker("digest", of="weights", stage=stage, sha256="a" * 64, tensors=8, bytes=64),
        marker("metric", name="loss", value=0.5, epoch=1, split="train"),
    ]
    if swapped:
        lines.insert(
            0,
            marker("lms_edited", provider="builtin", operations=4, swap_out=2, swap_in=2, ms=3.0),
        )
    moved = 2 if swapped else 0
    lines.append(
        marker(
            "trace",
            function=role,
            batch=32,
            meter="allocations",
            swap_out=moved,
            swap_in=moved,
            bytes_out=moved * 2**20,
            bytes_in=moved * 2**20,
            peak_accelerator=peak * 2**20,
            peak_host=0,
        )
    )
    write_log(launch, *lines, marker("done"))
    (launch.output / "model.h5").write_text("weights")


@pytest.fixture
def project(tmp_path):
    return lay_out(tmp_path / "checkout")


def execute(project, engine, *, observer=None, **changes):
    made = planner.make(catalog.load(project))
    settings = Settings(
        root=project, reports=project / "reports", data=project, **{"jobs": 2, **changes}
    )
    return run.execute(made, engine, settings, None, observer or Silent())


def test_every_case_is_judged_and_reported(project):
    engine, observer = ScriptedEngine(good), Silent()
    record, directory = execute(project, engine, observer=observer)
    others = [
        (case.id, check.id.value, check.status, check.message)
        for case in record.cases
        for check in case.checks
        if check.status is not Status.PASSED
    ]
    alone = "the scenario has no uninterrupted training that it resumes"
    assert others == [
        ("test-flavor.basic.save-load", "resume_equal", Status.SKIPPED, alone),
        (
            "test-flavor.basic.save-predict",
            "swapping_as_before",
            Status.SKIPPED,
            "load: the scenario has no reference in which nothing is loaded",
        ),
        ("test-flavor.basic.save-predict", "resume_equal", Status.SKIPPED, alone),
    ]
    assert [case.id for case in record.cases] == [
        "test-flavor.basic.save-load",
        "test-flavor.basic.save-predict",
    ]
    assert len(engine.launches) == observer.total == len(observer.finished) == 5
    assert store.load(directory) == record
    assert (directory / "junit/test-flavor.xml").is_file()
    assert (directory / "summary.md").is_file()
    assert (project / "reports/latest").resolve() == directory
    assert record.flavors[0].provenance["python"] == "3.7.16"
    assert "1.15.5" in record.flavors[0].provenance["versions"]
    assert totals.exit_code(record) == 0


def test_a_pair_that_can_never_apply_is_in_no_report(tmp_path):
    head, second = FAMILY.split('id = "save-predict"')
    family = f'{head}id = "save-predict"\nrequires = ["magic"]{second}'
    flavor = f'{FLAVOR}\n[lacks]\nmagic = "no such thing here"\n'
    root = lay_out(
        tmp_path / "checkout",
        flavors={"test-flavor": FLAVOR.replace('["tf_', '["magic", "tf_'), "poor": flavor},
        families={"basic": family},
    )
    record, directory = execute(root, ScriptedEngine(good))
    assert [case.id for case in record.cases] == [
        "poor.basic.save-load",
        "test-flavor.basic.save-load",
        "test-flavor.basic.save-predict",
    ]
    reports = [directory / "summary.md", directory / "record.json", *directory.glob("junit/*")]
    assert len(reports) == 4
    for report in reports:
        text = report.read_text()
        assert "no such thing here" not in text
        assert "poor.basic.save-predict" not in text
    assert "3 cases: 3 passed;" in (directory / "summary.md").read_text()


def test_a_case_is_compared_with_its_reference(tmp_path):
    declared = FAMILY.replace('script = "predict.py"', 'script = "predict.py"\nreference = {}')
    engine = ScriptedEngine(good)
    record, _ = execute(lay_out(tmp_path / "checkout", families={"basic": declared}), engine)
    load, predict = record.cases
    assert load.checks[-2].message.startswith("load: as in save: 2 swap-out")
    assert predict.checks[-2].message.startswith("load: as in load-reference: 2 swap-out")
    key = "test-flavor.basic.save-predict.load.reference"
    assert predict.phases[1].reference == key
    (launch,) = [launch for launch in engine.launches if launch.key == key]
    assert launch.variables["LMS_REFERENCE"] == "1"
    assert len(record.phases) == 6


def test_several_phases_at_a_time_but_a_load_only_after_its_save(project):
    order: list[str] = []

    def play(launch: Launch) -> None:
        nap(0.1)
        good(launch)
        order.append(launch.key)

    engine = ScriptedEngine(play)
    execute(project, engine)
    assert order[0].endswith(".save")
    assert engine.most_at_once == 2


def test_each_reader_has_its_own_read_only_copy(project):
    inputs: list[Path] = []

    def play(launch: Launch) -> None:
        if launch.input is not None:
            assert (launch.input / "model.h5").read_text() == "weights"
            assert (launch.input / "model.h5").stat().st_mode & 0o222 == 0
            inputs.append(launch.input)
        good(launch)

    record, _ = execute(project, ScriptedEngine(play))
    assert all(phase.outcome is Outcome.COMPLETED for phase in record.phases)
    assert len(set(inputs)) == 4
    assert not any(path.exists() for path in inputs)


def test_artifacts_of_passed_cases_go_and_those_of_failed_cases_stay(project):
    def play(launch: Launch) -> Exit | None:
        good(launch)
        if launch.key.endswith("save-predict.load"):
            return Exit(Outcome.FAILED, 1, "exit code 1")
        return None

    record, directory = execute(project, ScriptedEngine(play))
    assert not (directory / "phases/test-flavor.basic.save-load.load/artifacts").exists()
    assert (directory / "phases/test-flavor.basic.save-load.save/artifacts/model.h5").exists()
    assert totals.exit_code(record) == 1


def test_artifacts_of_a_shared_save_go_with_the_last_case_that_passed(project):
    record, directory = execute(project, ScriptedEngine(good))
    assert {case.status for case in record.cases} == {Status.PASSED}
    assert list(directory.glob("phases/*/artifacts")) == []


def test_contract_variables_reach_the_engine(project):
    engine = ScriptedEngine(good)
    execute(project, engine)
    by_key = {launch.key: launch for launch in engine.launches}
    phase = by_key["test-flavor.basic.save-load.load"]
    assert phase.variables["LMS_PROVIDER"] == "builtin"
    assert json.loads(phase.variables["LMS_PARAMS"]) == dict(planner.MAXIMUM_SWAPPING)
    assert phase.variables["ACCELERATOR"] == "virtual"
    assert phase.variables["KERAS"] == "tf.keras"
    assert by_key[phase.key + ".control"].variables["LMS_PROVIDER"] == "off"
    assert phase.threads == max(1, engine.resources().cores // 2)


def test_a_save_that_fails_is_never_a_pass_of_its_loads(project):
    def play(launch: Launch) -> Exit | None:
        good(launch)
        if launch.key.endswith(".save"):
            return Exit(Outcome.FAILED, 1, "exit code 1")
        return None

    engine = ScriptedEngine(play)
    record, _ = execute(project, engine)
    assert len(engine.launches) == 1
    assert {phase.outcome for phase in record.phases} == {Outcome.FAILED, Outcome.NOT_RUN}
    for case in record.cases:
        statuses = {check.id: check.status for check in case.checks}
        assert statuses[CheckId.PHASES_COMPLETE] is Status.FAILED
        assert Status.PASSED not in statuses.values()


@pytest.mark.parametrize(
    ("problem", "error", "code"),
    [(unavailable("no Python 3.7"), False, 2), (EngineError("build broke"), True, 2)],
)
def test_a_flavor_that_cannot_be_had_is_named(project, problem, error, code):
    record, _ = execute(project, ScriptedEngine(good, {"test-flavor": problem}))
    assert record.flavors[0].unavailable == str(problem)
    assert record.flavors[0].error is error
    assert {case.skip for case in record.cases} == {str(problem)}
    assert totals.exit_code(record) == code


def test_other_flavors_go_on_without_one_that_cannot_be_had(tmp_path):
    root = lay_out(tmp_path, flavors={"one": FLAVOR, "two": FLAVOR})
    record, _ = execute(root, ScriptedEngine(good, {"two": unavailable("no")}))
    assert {case.flavor: case.status for case in record.cases} == {
        "one": Status.PASSED,
        "two": Status.SKIPPED,
    }


def test_a_crash_of_the_engine_is_an_error_of_its_phase(project):
    def play(launch: Launch) -> None:
        if launch.key.endswith("save-predict.load"):
            raise RuntimeError("socket\nclosed")
        good(launch)

    record, directory = execute(project, ScriptedEngine(play))
    crashed = next(phase for phase in record.phases if phase.key.endswith("save-predict.load"))
    assert crashed.outcome is Outcome.ENGINE_ERROR
    assert "socket" in crashed.reason
    assert "\n" not in crashed.reason
    assert {case.scenario: case.status for case in record.cases} == {
        "save-load": Status.PASSED,
        "save-predict": Status.ERROR,
    }
    assert "Traceback" in crashed.details[BUG]
    assert 'raise RuntimeError("socket\\nclosed")' in crashed.details[BUG]
    assert json.loads((directory / crashed.directory / "details.json").read_text())[BUG]
    summary = (directory / "summary.md").read_text()
    assert summary.startswith("# CRASHED: ")
    assert "the harness itself broke: RuntimeError: socket closed" in summary
    assert totals.exit_code(record) == 3


@pytest.mark.parametrize("raised", [OSError(28, "No space left on device"), EngineError("gone")])
def test_what_the_system_refuses_around_a_phase_is_no_bug(project, raised):
    def play(launch: Launch) -> None:
        raise raised

    record, _ = execute(project, ScriptedEngine(play))
    assert record.phases[0].outcome is Outcome.ENGINE_ERROR
    assert BUG not in record.phases[0].details
    assert totals.exit_code(record) == 2


@pytest.mark.parametrize(
    ("code", "line", "status"),
    [
        (3, "error: torch sees no GPU", Status.ERROR),
        (3, "Error: torch sees no GPU", Status.FAILED),
        (1, "error: torch sees no GPU", Status.FAILED),
    ],
)
def test_a_promise_that_was_not_kept_is_no_failure(project, code, line, status):
    def play(launch: Launch) -> Exit | None:
        good(launch)
        if launch.key.endswith(".load"):
            (launch.logs / "stderr.log").write_text(f"I0000 a library\n{line}\nits farewell\n")
            return Exit(Outcome.FAILED, code, f"exit code {code}")
        return None

    record, _ = execute(project, ScriptedEngine(play))
    loads = [phase for phase in record.phases if phase.key.endswith(".load")]
    assert {phase.exit_code for phase in loads} == {code}
    assert {case.status for case in record.cases} == {status}
    assert ({phase.reason for phase in loads} == {line}) is (status is Status.ERROR)
    assert totals.exit_code(record) == (2 if status is Status.ERROR else 1)


def test_a_run_that_is_stopped_while_a_flavor_is_made_is_interrupted(project):
    engine = ScriptedEngine(good, {"test-flavor": StoppedError("the run was stopped")})
    record, directory = execute(project, engine)
    assert record.state == store.load(directory).state == "interrupted"
    assert [flavor.unavailable for flavor in record.flavors] == [None]
    assert {phase.outcome for phase in record.phases} == {Outcome.NOT_RUN}


def test_a_run_that_is_stopped_at_once_keeps_what_was_finished(project):
    class Impatient(Silent):
        def phase_finished(self, record: object) -> None:
            super().phase_finished(record)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(project, ScriptedEngine(good), observer=Impatient(), jobs=1)
    record = store.load(project / "reports/latest")
    assert record.state == "interrupted"
    assert [phase.outcome for phase in record.phases].count(Outcome.COMPLETED) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_keeps_what_was_finished(project, number):
    def play(launch: Launch) -> None:
        good(launch)
        if launch.key.endswith("save-load.load.control"):
            os.kill(os.getpid(), number)
            nap(0.5)

    record, directory = execute(project, ScriptedEngine(play), jobs=1)
    assert record.state == "interrupted"
    assert store.load(directory).state == "interrupted"
    outcomes = {phase.outcome for phase in record.phases}
    assert Outcome.COMPLETED in outcomes
    assert outcomes & {Outcome.INTERRUPTED, Outcome.NOT_RUN}
    assert all(case.checks for case in record.cases)
    assert (directory / "junit/test-flavor.xml").is_file()
    assert threading.active_count() < 20


def test_a_killed_driver_leaves_a_readable_record(project):
    seen: list[str] = []

    def play(launch: Launch) -> None:
        if launch.key.endswith(".control"):
            directory = launch.logs.parent.parent
            seen.append(store.load(directory).state)
        good(launch)

    execute(project, ScriptedEngine(play), jobs=1)
    assert seen
    assert set(seen) == {"running"}


def test_a_canary_passes_when_it_is_caught(tmp_path):
    family = FAMILY.replace(
        'restores = ["weights"]', 'expects = "phases_complete"\ncaught_in = "load"'
    )

    def play(launch: Launch) -> Exit | None:
        good(launch)
        bad = launch.key.endswith("save-load.load")
        return Exit(Outcome.FAILED, 1, "exit code 1") if bad else None

    root = lay_out(tmp_path, families={"canary": family})
    record, _ = execute(root, ScriptedEngine(play))
    caught, missed = record.cases
    assert [check.id for check in caught.checks] == [CheckId.CAUGHT]
    assert caught.status is Status.PASSED
    assert len(caught.behind) == 8
    assert missed.status is Status.FAILED
    assert totals.exit_code(record) == 1


def test_reproduce_command_quotes_values():
    command = Settings(
        Path(), Path(), Path(), options={"ENGINE": "venv", "LMS_PATH": "/a b/$(x)"}
    ).reproduce("f", "s")
    assert command == "make repro FLAVOR=f SCENARIO=s ENGINE=venv LMS_PATH='/a b/$(x)'"
