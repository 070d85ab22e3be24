"""Overlays of derived flavors, with real uv; what none can do is a whole environment."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness.catalog.flavors import DerivedFlavor, Flavor
from harness.engine.locking import lock
from harness.engine.venv import environment, overlay
from harness.engine.venv.environment import Made
from tests.wheels import stand_in, wheel

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
REAL = str(getattr(sys, "_base_executable", sys.executable))
SCRIPT = {
    "lmshelper/__init__.py": "VALUE = 1\n",
    "lmshelper-1.0.data/scripts/tell": "#!python\nimport lmsalpha; print(lmsalpha.VERSION)\n",
}


@pytest.fixture
def flavor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flavor:
    """lmsalpha 1.0, with lmshelper 1.0 beside it."""
    monkeypatch.setenv("PYTHON_" + VERSION.replace(".", "_"), REAL)
    wheels = stand_in(tmp_path / "wheels", monkeypatch)
    wheel(wheels, "lmshelper", "1.0", SCRIPT)
    wheel(wheels, "lmsother", "1.0")
    wheel(wheels, "lmsalpha", "1.0", requires=["lmshelper"])
    wheel(wheels, "lmsalpha", "1.1", requires=["lmshelper"])
    wheel(wheels, "lmsalpha", "1.2", requires=["lmshelper", "lmsother"])
    wheel(wheels, "lmsalpha", "2.0")
    wheel(wheels, "lmsalpha", "2.1", requires=["lmshelper"], pure=False)
    moved = {"beta.py": "", "lmsalpha/__init__.py": "VERSION = '0.9'\n"}
    wheel(wheels, "lmsalpha", "0.9", moved, requires=["lmshelper"])
    elsewhere = {"lmsalpha2/__init__.py": "VERSION = '2.2'\n"}
    wheel(wheels, "lmsalpha", "2.2", elsewhere, requires=["lmshelper"])
    directory = tmp_path / "docker" / "flavors" / "f"
    directory.mkdir(parents=True)
    (directory / "requirements-cpu.txt").write_text("")
    (directory / "requirements-cpu.in").write_text("lmsalpha==1.0\n")
    made = Flavor.model_construct(
        id="f", directory=directory, python=VERSION,
        requirements={"virtual": "requirements-cpu.txt"}, indexes={}, image=(),
    )  # fmt: skip
    derive(made, "1.0", directory)
    return made


def derive(flavor: Flavor, version: str, directory: Path) -> Flavor:
    name = "requirements-cpu.txt"
    lock.derive(flavor, name, "lmsalpha", version, directory / name, threading.Event())
    fields = {**flavor.__dict__, "directory": directory, "base": flavor}
    return DerivedFlavor.model_construct(**fields)


def made_of(tmp_path: Path, flavor: Flavor) -> tuple[Made, list[str]]:
    said: list[str] = []
    root = tmp_path / "environments"
    made = overlay.make(root, flavor, "virtual", said.append, threading.Event())
    made.give_up()
    return made, said


def says(made: Made, command: str = "python", *arguments: str) -> str:
    path = made.python.parent / command
    done = subprocess.run([path, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("version", ["1.1", "1.2", "0.9"])
def test_what_differs_stands_in_front(tmp_path: Path, flavor: Flavor, version: str) -> None:
    base, _ = made_of(tmp_path, flavor)
    derived = derive(flavor, version, tmp_path / version)
    made, said = made_of(tmp_path, derived)
    assert len(said) == 1
    code = (
        "import lmsalpha, lmshelper; from importlib.metadata import version\n"
        "print(lmsalpha.VERSION, version('lmsalpha'), lmshelper.VALUE)"
    )
    assert says(made, "python", "-c", code) == f"{version} {version} 1"
    assert says(made, "tell") == version  # a script of the base, with what is in front of it
    packages = {
        "lmsalpha": version,
        "lmshelper": "1.0",
        **({"lmsother": "1.0"} if version == "1.2" else {}),
    }
    frozen = " ".join(f"{name}=={number}" for name, number in packages.items())
    assert made.provenance["packages"] == frozen
    assert made.provenance["overlay"].endswith(f" in front of {base.python.parent.parent.name}")
    assert len(made.claims) == 2
    assert says(base, "tell") == "1.0"
    assert made_of(tmp_path, derived)[1] == []  # it is there


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("2.0", ""),  # the lmshelper is not there any more
        ("2.1", "lmsalpha is not of Python alone"),
        ("2.2", "lmsalpha of the other lmsalpha would still be seen"),
    ],
)
def test_what_cannot_stand_in_front_is_a_whole_environment(
    tmp_path: Path, flavor: Flavor, version: str, reason: str
) -> None:
    made, said = made_of(tmp_path, derive(flavor, version, tmp_path / version))
    assert [line for line in said if "no overlay" in line] == (
        [f"f: no overlay: {reason}"] if reason else []
    )
    assert "overlay" not in made.provenance
    assert f"lmsalpha=={version}" in made.provenance["packages"].split()
    names = ("lmsalpha", "lmshelper")
    code = f"import importlib.util as u; print([bool(u.find_spec(n)) for n in {names}])"
    there = str([version != "2.2", version != "2.0"])
    assert says(made, "python", "-c", code) == there
    assert len(made.claims) == 1


def test_the_version_that_the_flavor_has_is_the_flavor_s_environment(
    tmp_path: Path, flavor: Flavor
) -> None:
    base, _ = made_of(tmp_path, flavor)
    made, said = made_of(tmp_path, derive(flavor, "1.0", tmp_path / "same"))
    assert (made.python, said) == (base.python, [])


def test_an_overlay_is_used_and_removed_like_any_environment(
    tmp_path: Path, flavor: Flavor
) -> None:
    root = tmp_path / "environments"
    derived = derive(flavor, "1.1", tmp_path / "1.1")
    made = overlay.make(root, derived, "virtual", print, threading.Event())
    found = environment.remove_all(root)
    assert len(found.used) == 2
    assert found.removed == []
    made.give_up()
    assert len(environment.remove_all(root).removed) == 2
    assert not root.exists()


def test_a_base_that_is_damaged_is_made_again_below_its_overlay(
    tmp_path: Path, flavor: Flavor
) -> None:
    derived = derive(flavor, "1.1", tmp_path / "1.1")
    made, _ = made_of(tmp_path, derived)
    base, _ = made_of(tmp_path, flavor)
    base.python.unlink()
    again, said = made_of(tmp_path, derived)
    assert "is damaged and is made again" in said[0]
    assert (again.python, says(again, "tell")) == (made.python, "1.1")
