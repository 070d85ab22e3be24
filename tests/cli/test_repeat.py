"""`harness repro --repeat`, over an engine that plays phases."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base.error import UsageError
from harness.cli.main import cli
from harness.engine.protocol import Exit, Launch
from harness.record.models import Outcome
from harness.run import machine
from tests.engines import Play, ScriptedEngine
from tests.projects import lay_out
from tests.run.soak.plays import Numbered
from tests.run.test_run import good


@pytest.fixture
def repro(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    """Runs `harness repro` of one case in this process; its exit code and its lines."""

    def run(play: Play, *options: str) -> tuple[int, list[str]]:
        chosen = machine.Machine(ScriptedEngine(play), (), ())
        monkeypatch.setattr(machine, "choose", lambda *arguments: chosen)
        root = lay_out(tmp_path / "checkout")
        command = ["--root", str(root), "repro", f"--reports={tmp_path / 'reports'}", *options]
        code = cli.main([*command, "test-flavor", "save-load"], standalone_mode=False)
        return code, capsys.readouterr().out.splitlines()

    return run


def failing(*numbers: int) -> Play:
    """The load fails in these repeats."""

    def then(number: int, launch: Launch) -> Exit | None:
        failed = number in numbers and launch.key.endswith(".load")
        return Exit(Outcome.FAILED, 1, "exit code 1") if failed else None

    return Numbered(then)


def test_a_case_that_always_passes_is_exit_0(repro) -> None:
    code, lines = repro(good, "--repeat=3")
    assert code == 0
    name = "test-flavor.basic.save-load"
    assert f"always   {name}: phases complete: passed 3" in lines
    assert lines[-2] == "3 repeats: 7 always"
    assert lines[-1].startswith("repeats: ")


def test_one_that_fails_now_and_then_is_flaky_and_exit_1(repro) -> None:
    code, lines = repro(failing(2, 4), "--repeat=4")
    assert code == 1
    found = [line for line in lines if "phases complete: passed" in line]
    assert found[-1].split(None, 1)[0] == "flaky"
    assert found[-1].endswith("passed 2, failed 2 (repeats 2, 4)")
    assert "flaky" in lines[-2]


def test_one_that_never_passes_says_never(repro) -> None:
    code, lines = repro(failing(1, 2), "--repeat=2")
    assert code == 1
    assert "never    test-flavor.basic.save-load: phases complete: failed 2" in lines


def test_a_shell_is_of_one_run(repro) -> None:
    with pytest.raises(UsageError, match=r"leave --repeat \(REPEAT\) out"):
        repro(good, "--repeat=2", "--shell")


@pytest.mark.parametrize("text", ["0", "-1", "x", "1.5", ""])
def test_a_number_that_is_none_is_one_line(repro, text) -> None:
    with pytest.raises(UsageError, match=r"--repeat \(REPEAT\): .* is no whole number from 1"):
        repro(good, f"--repeat={text}")
