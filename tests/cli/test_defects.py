"""`harness defects`, and what a list with a mistake does to every command."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from harness.base.error import UsageError
from harness.cli import options
from harness.cli.main import cli
from harness.record.checks import CheckId, Status
from harness.report.files import reports
from tests import records
from tests.catalog.test_defects import checkout, toml
from tests.cli.test_main import harness
from tests.paths import ROOT


def shown(root, *arguments, **environ):
    done = CliRunner(env=environ).invoke(cli, ["--root", str(root), "defects", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def make(*arguments):
    return subprocess.run(
        ["make", "-s", *arguments, "READY=", f"HARNESS={sys.executable} -m harness"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def measured(root, run, **values):
    """A run that has the defect."""
    known = records.check(CheckId.STATE_RESTORED, Status.KNOWN, f"measured in {run}")
    case = records.case(
        "save-load", "other", family="basic", checks=records.checks(state_restored=known)
    )
    reports.write_all(records.record([case], id=run, **values), root / "reports" / run)


def test_the_list_is_printed_without_any_run(tmp_path):
    text = shown(checkout(tmp_path, toml()))
    assert text.startswith("moments-lost: the optimizer starts anew after a load\n")
    assert "measured" not in text


def test_what_the_latest_run_measured_is_shown_or_what_the_run_that_is_named_did(tmp_path):
    root = checkout(tmp_path, toml())
    for run in ("one", "two"):
        measured(root, run)
    assert "    other.basic.save-load: measured in two\n" in shown(root)
    assert "    other.basic.save-load: measured in one\n" in shown(root, "--run", "one")
    assert "measured in one" in shown(root, "--run", str(root / "reports" / "one"))
    assert "measured in one" in shown(root, HARNESS_RUN="one")
    assert "measured in two" in shown(root, HARNESS_RUN="")


def test_a_run_that_is_not_there_is_a_mistake(tmp_path):
    done = CliRunner().invoke(
        cli, ["--root", str(checkout(tmp_path, toml())), "defects", "--run", "nope"]
    )
    assert isinstance(done.exception, UsageError)
    assert "no run in nope" in str(done.exception)


def test_the_page_is_markdown(tmp_path):
    page = shown(checkout(tmp_path, toml()), "--markdown")
    assert page.startswith("# Known defects\n")
    assert "\n## moments-lost\n" in page


def test_a_list_with_a_mistake_is_exit_4_and_one_line(tmp_path):
    root = checkout(tmp_path, toml(message="(", means="red \x1b[31m"))
    for command in (["list"], ["defects"], ["run", f"--reports={tmp_path / 'runs'}"]):
        done = harness("--root", str(root), *command)
        assert done.returncode == 4
        (line,) = done.stderr.splitlines()
        assert "scenarios/known-defects.toml: moments-lost: message: " in line
    assert not (tmp_path / "runs").exists()


def test_make_prints_the_list():
    done = make("defects")
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("command", ["run", "soak", "repro", "sensitivity"])
def test_commands_that_run_cases_can_be_strict(command):
    assert "--strict" in CliRunner().invoke(cli, [command, "--help"]).output


def test_make_hands_strict_on():
    done = make("matrix", "STRICT=nope")
    assert done.returncode == 2
    assert "Invalid value for '--strict'" in done.stderr
    assert "no flavor matches 'none'" in make("matrix", "STRICT=1", "FLAVORS=none").stderr


def test_the_reports_of_a_run_are_rebuilt_with_its_own_code(tmp_path):
    root = checkout(tmp_path, toml())
    for strict, code, word in ((False, 0, "PASSED: "), (True, 1, "FAILED: ")):
        measured(root, "one", strict=strict)
        done = harness("--root", str(root), "report", "one")
        assert (done.returncode, done.stdout.strip()[:8]) == (code, word)


@pytest.mark.parametrize("strict", [True, False])
def test_a_run_is_strict_if_it_is_told_so(tmp_path, strict):
    how = {"provider": "builtin", "lms_path": None, "lms_params": "", "data_directory": None}
    how |= {"reports": None, "keep": False, "gpu_wait_s": 1.0, "gpu": "none", "engine": "venv"}
    assert options.settings_of(tmp_path, {**how, "strict": strict}, (), ()).strict is strict
    assert not options.settings_of(tmp_path, how, (), ()).strict
