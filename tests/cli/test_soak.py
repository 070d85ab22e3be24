"""The `soak` command, over an engine that plays phases."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from harness.cli.main import cli
from harness.engine.protocol import Launch
from harness.run import machine
from tests.engines import Play, ScriptedEngine, nap
from tests.projects import FAMILY, FLAVOR, lay_out
from tests.run.soak.plays import LOAD, Numbered, failing, measuring
from tests.run.test_run import good


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Runs `harness soak` in this process; returns its exit code, its lines and its file."""

    def run(play: Play, *options: str, root: Path | None = None) -> tuple[int, list[str], dict]:
        engine = ScriptedEngine(play)
        chosen = machine.Machine(engine, (), ("a note",))
        monkeypatch.setattr(machine, "choose", lambda *arguments: chosen)
        root = root or lay_out(tmp_path / "checkout")
        arguments = ["--root", str(root), "soak", f"--reports={tmp_path / 'reports'}", "--jobs=1"]
        code = cli.main([*arguments, *options], standalone_mode=False)
        (file,) = (tmp_path / "reports").glob("soak-*.json")
        return code, capsys.readouterr().out.splitlines(), json.loads(file.read_text())

    return run


def runs(tmp_path: Path) -> int:
    """How many runs have left their directory."""
    return len(list((tmp_path / "reports").glob("2*")))


def test_a_steady_plan_is_exit_0_and_its_directories_are_gone(command, tmp_path):
    code, lines, stored = command(good, "--repeats=3", "--flavors=test-flavor")
    assert code == 0
    assert lines[0] == "note: a note"
    assert any(line.startswith("repeat 2 of 3 [1/5] completed") for line in lines)
    summary, not_compared, file = lines[-3:]
    assert summary == "3 repeats of 2 cases, 5 phases: 0 verdicts differ, 0 numbers differ"
    assert not_compared.startswith("not compared: times (")
    assert file == f"soak: {tmp_path}/reports/soak-{stored['id']}.json"
    assert stored["numbers"] == stored["verdicts"] == []
    assert runs(tmp_path) == 1


def test_a_number_that_changes_in_each_run_is_exit_2_and_named(command, tmp_path):
    code, lines, stored = command(measuring(1.5, 2.5, 3.5), "--repeats=3", "--flavors=*")
    assert code == 2
    summary, number = lines[-4:-2]
    assert summary == "3 repeats of 2 cases, 5 phases: 0 verdicts differ, 1 number differs"
    key = "test-flavor.basic.save-load.save"
    assert number == f"number   {key}: metric: noise: 1.5 (1x), 2.5 (1x), 3.5 (1x)"
    assert [entry["value"] for entry in stored["numbers"][0]["seen"]] == [1.5, 2.5, 3.5]
    assert runs(tmp_path) == 3


def test_a_verdict_that_flips_is_exit_1_and_named(command):
    code, lines, stored = command(failing(2), "--repeats=2", "--families=basic")
    assert code == 1
    verdict = "verdict  test-flavor.basic.save-predict: phases complete: passed (1x), failed (1x)"
    assert verdict in lines
    assert len(stored["verdicts"]) > 1


def test_an_interrupted_soak_is_exit_130_and_shows_what_was_seen(command):
    def then(number: int, launch: Launch) -> None:
        if launch.key == LOAD and number == 2:
            os.kill(os.getpid(), signal.SIGINT)
            nap(0.2)

    code, lines, stored = command(Numbered(then), "--repeats=3", "--scenarios=*")
    assert code == 130
    assert "interrupted: 1 of 3 repeats are compared" in lines
    assert stored["state"] == "interrupted"


def lay_out_many(root: Path) -> Path:
    eager = FLAVOR.replace('"session"', '"eager"')
    other = FAMILY.replace('id = "save-', 'id = "other-')
    return lay_out(
        root,
        flavors={"one": FLAVOR, "same": FLAVOR, "two": eager},
        families={"keras_saveload": FAMILY, "other": other},
    )


@pytest.mark.parametrize(
    ("options", "cases"),
    [
        ([], {f"{flavor}.keras_saveload.save-load" for flavor in ("one", "two")}),
        (["--flavors=same"], {"same.keras_saveload.save-load", "same.other.other-load"}),
        (["--scenarios=other-load", "--flavors=o*"], {"one.other.other-load"}),
    ],
)
def test_the_default_is_one_flavor_of_each_way_to_run_a_model(command, tmp_path, options, cases):
    root = lay_out_many(tmp_path / "checkout")
    code, lines, _ = command(good, "--repeats=1", *options, root=root)
    assert code == 0
    finished = {line.split()[-1] for line in lines if " completed " in line}
    assert {key.removesuffix(".load") for key in finished if key.endswith("-load.load")} == cases


def test_twenty_repeats_are_the_default(command):
    _, lines, _ = command(good, "--scenarios=save-load")
    assert lines[-3].startswith("20 repeats of 1 case, 3 phases: ")
