"""The command `bisect` from end to end: real pip, uv and phases, and a package that breaks."""

from __future__ import annotations

import json
import re
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

import click
import pytest

from harness.catalog import catalog
from harness.cli import bisecting
from harness.engine.docker.daemon import LABEL, Daemon
from harness.engine.locking import lock
from tests import small_runs
from tests.paths import ROOT
from tests.wheels import stand_in, wheel

PACKAGE = "lmsalpha"
LOAD = f"""
import {PACKAGE}, lmshelper
print(':::LMS {{"event": "done"}}')
raise SystemExit({PACKAGE}.CODE)
"""
SAVE = """print(':::LMS {"event": "done"}')"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that breaks with 1.4, and of which 1.2 asks for what is nowhere."""
    wheels = stand_in(tmp_path / "wheels", monkeypatch)
    wheel(wheels, "lmshelper", "1.0")
    wheel(wheels, "lmshelper", "1.1")
    for number in range(8):
        code = {f"{PACKAGE}/__init__.py": f"CODE = {int(number >= 4)}\n"}
        requires = ["lmsnowhere"] if number == 2 else [f"lmshelper>=1.{int(number > 3)}"]
        wheel(wheels, PACKAGE, f"1.{number}", code, requires=requires)
    wheel(wheels, PACKAGE, "1.8rc1")
    root = small_runs.checkout(tmp_path / "checkout", save=SAVE, load=LOAD)
    directory = root / "docker/flavors/test-flavor"
    (directory / "requirements-cpu.in").write_text(f"{PACKAGE}==1.0\nlmshelper==1.0\n")
    (flavor,) = catalog.load(root).flavors
    name = "requirements-cpu.txt"
    lock.derive(flavor, name, PACKAGE, "1.0", directory / name, threading.Event())
    (directory / "requirements-cpu.in").write_text(f"{PACKAGE}==1.0\n")
    return root


def bisect(checkout: Path, *options: str, **how: str) -> tuple[int, str, str]:
    given = {"package": PACKAGE, "good": "1.0", "bad": "1.7", "engine": "venv", **how}
    given.setdefault("check", "phases_complete")
    case = ("--flavor=test-flavor", "--scenario=save-load", "--gpu=none", "--jobs=1")
    named = [f"--{name}={value}" for name, value in given.items()]
    command = small_runs.arguments(checkout, "bisect", *case, *named, *options)
    process = small_runs.start(command)
    try:
        return small_runs.finish(process, 600)
    finally:
        process.kill()


def stored(checkout: Path) -> dict[str, Any]:
    (path,) = (checkout / "reports").glob("bisect-*/bisect.json")
    assert path.parent.name.startswith(f"bisect-test-flavor-save-load-{PACKAGE}-")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


@pytest.mark.slow
def test_the_release_that_broke_it(checkout: Path) -> None:
    code, out, err = bisect(checkout)
    assert (code, err) == (0, "")
    assert f"{PACKAGE}: 8 versions from 1.0 to 1.7" in out
    lines = out.splitlines()
    assert f"first bad version: {PACKAGE} 1.4; 1.3 is good" in lines
    assert lines[-3:-1] == [f"  {PACKAGE} 1.3 -> 1.4", "  lmshelper 1.0 -> 1.1"]
    assert lines[-1].startswith("bisect: ")
    found = stored(checkout)
    assert (found["state"], found["first"]) == ("found", "1.4")
    runs = {trial["run"] for trial in found["trials"] if trial["run"]}
    (directory,) = (checkout / "reports").glob("bisect-*")
    assert {path.name for path in directory.glob("2*")} == runs
    assert not (checkout / "reports" / "latest").exists()  # a trial is no run of the matrix

    code, out, err = bisect(checkout, "--json")
    assert code == 0
    assert json.loads(out)["trials"] == found["trials"]  # nothing ran again
    assert f"first bad version: {PACKAGE} 1.4" in err


@pytest.mark.slow
def test_a_range_where_what_is_between_cannot_be_built(checkout: Path) -> None:
    code, out, _ = bisect(checkout, versions="1.0,1.2,1.5,1.7")
    assert code == 2
    words = f"the first bad version of {PACKAGE} is one of 1.2, 1.5: 1 version could not be judged"
    assert words in out
    (trial,) = (entry for entry in stored(checkout)["trials"] if entry["version"] == "1.2")
    assert "lmsnowhere" in trial["message"]


@pytest.mark.slow
def test_ends_that_are_not_as_stated_are_exit_2_and_one_line(checkout: Path) -> None:
    code, out, err = bisect(checkout, bad="1.3")
    assert (code, err) == (2, "")
    assert f"not judged: {PACKAGE} 1.3 (bad) passes: phases complete" in out


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"good": "1.7", "bad": "1.0"}, "the good version has to be the earlier one"),
        ({"bad": "9"}, f"{PACKAGE} 9 is not among the versions; near it: "),
        ({"bad": "1.8rc1"}, f"{PACKAGE} 1.8rc1 is not among the versions"),
        ({"package": "keras"}, f"none of the flavor's packages: {PACKAGE}, lmshelper"),
        ({"message": "("}, "is no pattern of RE2"),
        ({"check": "nothing"}, "'nothing' is not one of"),
        ({"versions": "1.0,x!,1.7"}, "'x!' is no version of a package"),
        ({"provider": "tflms"}, "no provider 'tflms'; there are: builtin"),
    ],
)
def test_bad_input_is_exit_4_and_one_line(checkout: Path, how: dict[str, str], words: str) -> None:
    code, _, err = bisect(checkout, **how)
    assert code == 4
    assert words in " ".join(err.split())
    assert "Traceback" not in err
    assert not list((checkout / "reports").glob("*"))


def test_a_pattern_that_is_none_is_said_once(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(click.BadParameter, match="is no pattern of RE2"):
        bisecting.bisect_command.main(["--message", "("], standalone_mode=False)
    assert capfd.readouterr() == ("", "")  # RE2 itself writes to the descriptor


def test_an_interpreter_that_stands_in_is_refused(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHON_test_flavor", sys.executable)
    code, _, err = bisect(checkout)
    assert code == 4
    assert "every version would be tried with the same packages" in err


@pytest.mark.slow
@pytest.mark.docker
def test_each_version_is_an_image_where_the_engine_is_docker(
    tmp_path: Path, base_image: str, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a package from the real index; 1.16 stands in for the release that broke it."""
    monkeypatch.delenv("BASE_IMAGE", raising=False)
    load = 'import six; print(\':::LMS {"event": "done"}\')\n'
    load += "raise SystemExit(int(six.__version__ >= '1.16'))"
    root = small_runs.checkout(tmp_path / "checkout", save=SAVE, load=load)
    for name in ("Dockerfile", "install.sh", "requirements-build.txt"):
        shutil.copy(ROOT / "docker" / name, root / "docker" / name)
    directory = root / "docker/flavors/test-flavor"
    flavor = directory / "flavor.toml"
    flavor.write_text(re.sub(r'base = ".*"', f'base = "{base_image}"', flavor.read_text()))
    (directory / "requirements-cpu.in").write_text("six==1.17.0\n")
    name = "requirements-cpu.txt"
    (found,) = catalog.load(root).flavors
    lock.derive(found, name, "six", "1.17.0", directory / name, threading.Event())
    try:
        how = {"package": "six", "good": "1.14.0", "bad": "1.17.0", "engine": "docker"}
        code, out, err = bisect(root, versions="1.14.0,1.15.0,1.16.0,1.17.0", **how)
        assert (code, err) == (0, "")
        assert "first bad version: six 1.16.0; 1.15.0 is good" in out.splitlines()
        assert "  six 1.15.0 -> 1.16.0" in out.splitlines()
    finally:
        client = daemon.client()
        for entry in client.images(filters={"label": f"{LABEL}.flavor=test-flavor"}):
            client.remove_image(entry["Id"], force=True)
