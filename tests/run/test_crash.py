"""What becomes of a run that breaks: the real command, with a bug or a full disk put into it."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from textwrap import dedent

import pytest

from harness.record.checks import Status
from harness.record.models import Outcome, RunRecord
from harness.report import totals
from tests.paths import ROOT
from tests.projects import FLAVOR, lay_out

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


def run(
    tmp_path: Path, fault: str, *options: str, reports: Path | None = None, **scripts: str
) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Runs the command on a small checkout, after the Python code `fault`."""
    root = lay_out(
        tmp_path / "checkout",
        flavors={"test-flavor": FLAVOR.replace("3.11", PYTHON)},
        scripts={f"{name}.py": text for name, text in scripts.items()},
    )
    code = f"{dedent(fault)}\nfrom harness.cli.main import main\nmain()\n"
    reports = reports or tmp_path / "reports"
    done = subprocess.run(
        [
            *(sys.executable, "-c", code, "--root", str(root), "run"),
            *("--engine=venv", "--gpu=none", f"--reports={reports}", *options),
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            f"PYTHON_{PYTHON.replace('.', '_')}": sys.executable,
        },
        capture_output=True,
        text=True,
        timeout=180,
    )
    return done, reports / "latest"


def record_of(latest: Path) -> RunRecord:
    return RunRecord.model_validate_json((latest / "record.json").read_bytes())


def the_line(done: subprocess.CompletedProcess[str]) -> str:
    (line,) = done.stderr.splitlines()
    assert line.startswith("harness: ")
    return line


RAISED = """
    from harness.{module} import {owner}
    def broken(*arguments, **options):
        raise {problem}
    {owner}.{function} = broken
"""
PREPARE = {"module": "engine.venv.engine", "owner": "VenvEngine", "function": "prepare"}


@pytest.mark.parametrize(
    "place",
    [
        PREPARE,
        {"module": "plan.order", "owner": "Schedule", "function": "next"},
        {"module": "checks", "owner": "judge", "function": "judge"},
    ],
)
def test_a_bug_is_exit_3_with_one_line_and_a_stored_traceback(
    tmp_path: Path, place: dict[str, str]
) -> None:
    done, latest = run(tmp_path, RAISED.format(**place, problem="RuntimeError('boom')"))
    assert done.returncode == 3, done.stdout + done.stderr
    line = the_line(done)
    assert "the harness itself broke: RuntimeError: boom (<string>:" in line
    kept = (latest / "crash.txt").resolve()
    assert str(kept) in line
    assert "Traceback" in kept.read_text()
    assert "RuntimeError: boom" in kept.read_text()
    record = record_of(latest)
    assert record.state == "crashed"
    assert totals.exit_code(record) == 3
    assert len(record.cases) == 2
    suite = ET.parse(latest / "junit" / "test-flavor.xml").getroot()
    (finished,) = suite.findall(".//testcase[@name='run finished']")
    error = finished.find("error")
    assert error is not None
    assert "RuntimeError: boom" in error.get("message", "")
    assert (latest / "summary.md").read_text().startswith("# CRASHED: the run is crashed")


def test_a_bug_before_there_is_a_run_is_kept_in_the_cache(tmp_path: Path) -> None:
    fault = RAISED.format(
        module="catalog", owner="catalog", function="load", problem="LookupError('boom')"
    )
    fault += f"""
    from pathlib import Path
    from harness.cli import options
    options.cache_of = lambda root: Path({str(tmp_path)!r}) / "cache"
    """
    done, latest = run(tmp_path, fault)
    assert done.returncode == 3
    assert "LookupError: boom" in the_line(done)
    assert str(tmp_path / "cache" / "crash.txt") in done.stderr
    assert "LookupError: boom" in (tmp_path / "cache" / "crash.txt").read_text()
    assert not latest.exists()


def test_a_traceback_that_cannot_be_kept_is_shown(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    fault = RAISED.format(
        module="catalog", owner="catalog", function="load", problem="LookupError('boom')"
    )
    fault += f"""
    from pathlib import Path
    from harness.cli import options
    options.cache_of = lambda root: Path({str(tmp_path)!r}) / "cache"
    """
    done, _ = run(tmp_path, fault)
    assert done.returncode == 3
    assert "Traceback" in done.stderr
    assert "could not be kept" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        ("OSError(28, 'No space left on device')", 2),
        ("__import__('harness.base.error').base.error.UsageError('No space left, use more')", 4),
    ],
)
def test_a_run_that_cannot_go_on_keeps_its_record(tmp_path: Path, problem: str, code: int) -> None:
    done, latest = run(tmp_path, RAISED.format(**PREPARE, problem=problem))
    assert done.returncode == code
    assert "No space left" in the_line(done)
    record = record_of(latest)
    assert record.state == "aborted"
    assert totals.exit_code(record) == 2
    assert {phase.outcome for phase in record.phases} == {Outcome.NOT_RUN}
    assert any("No space left" in note for note in record.notes)
    assert not (latest / "crash.txt").exists()


def test_a_record_that_cannot_be_written_is_exit_2_and_one_line(tmp_path: Path) -> None:
    fault = """
    import resource
    from harness.run import phase
    kept = phase.Executor.execute
    def execute(*arguments):
        record = kept(*arguments)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
        return record
    phase.Executor.execute = execute
    """
    done, latest = run(tmp_path, fault, "--jobs=1", save="print(1)", load="print(1)")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "cannot write reports below" in the_line(done)
    assert record_of(latest).state == "running"  # the last one that could be written


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a file system needs root")
def test_a_full_disk_is_exit_2_and_one_line(tmp_path: Path) -> None:
    reports = tmp_path / "small"
    reports.mkdir()
    options = ["-t", "tmpfs", "-o", "size=1m", "tmpfs", str(reports)]
    mounted = subprocess.run(["mount", *options], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    fill = """
        import os
        try:
            with open(os.path.join(os.environ["OUTPUT_DIR"], "model"), "wb", 0) as file:
                while True:
                    file.write(bytes(4096))
        except OSError:
            raise SystemExit(1)
    """
    try:
        done, latest = run(tmp_path, "", reports=reports, save=fill)
        assert done.returncode == 2, done.stdout + done.stderr
        assert "No space left on device" in the_line(done)
        assert record_of(latest).state in ("running", "aborted")
    finally:
        subprocess.run(["umount", "-l", str(reports)], check=True)


def test_a_bug_around_a_phase_leaves_the_others_and_is_exit_3(tmp_path: Path) -> None:
    fault = """
    from harness.engine.venv.engine import VenvEngine
    kept = VenvEngine.execute
    def execute(self, launch, *arguments):
        if launch.key.endswith("save-predict.load"):
            raise RuntimeError("boom")
        return kept(self, launch, *arguments)
    VenvEngine.execute = execute
    """
    done, latest = run(tmp_path, fault)
    assert done.returncode == 3, done.stdout + done.stderr
    assert done.stdout.count("CRASHED: ") == 1
    assert "the harness itself broke: RuntimeError: boom" in the_line(done)
    assert "save-predict.load/details.json" in done.stderr
    record = record_of(latest)
    assert record.state == "finished"
    broken = [phase for phase in record.phases if phase.outcome is not Outcome.COMPLETED]
    assert [phase.outcome for phase in broken] == [Outcome.ENGINE_ERROR]
    by_name = {case.scenario: case for case in record.cases}
    assert by_name["save-predict"].checks[0].status is Status.ERROR
    assert by_name["save-load"].checks[0].status is Status.PASSED
