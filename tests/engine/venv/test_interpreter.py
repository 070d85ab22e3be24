from __future__ import annotations

import platform
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness.base.error import StoppedError, UnavailableError
from harness.engine.venv import interpreter

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
REAL = Path(getattr(sys, "_base_executable", sys.executable))


def shim(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_setting_comes_first(tmp_path):
    found = interpreter.find(VERSION, {interpreter.setting_name(VERSION): str(REAL)})
    assert (found.path, found.source) == (REAL, "setting")
    assert found.version.startswith(VERSION)


def test_setting_that_does_not_work_is_not_passed_over(tmp_path):
    with pytest.raises(UnavailableError, match=r"PYTHON_2_9=/nope is not a working Python 2\.9"):
        interpreter.find("2.9", {"PYTHON_2_9": "/nope"})


def test_path_comes_before_pyenv(tmp_path):
    shim(tmp_path / "bin" / f"python{VERSION}", f'exec {REAL} "$@"')
    shim(tmp_path / "pyenv/versions" / f"{VERSION}.99" / "bin/python", f'exec {REAL} "$@"')
    environ = {"PATH": str(tmp_path / "bin"), "PYENV_ROOT": str(tmp_path / "pyenv")}
    assert interpreter.find(VERSION, environ).source == "PATH"


def test_a_shim_that_fails_is_passed_over(tmp_path):
    shim(tmp_path / "bin" / f"python{VERSION}", "echo 'pyenv: not enabled' >&2; exit 127")
    for patch, text in (
        ("9", ': > {0}/older; exec {1} "$@"'),
        ("10", ': > {0}/latest; exec {1} "$@"'),
        ("11", "exit 1"),
    ):
        shim(
            tmp_path / "pyenv/versions" / f"{VERSION}.{patch}" / "bin/python",
            text.format(tmp_path, REAL),
        )
    environ = {"PATH": str(tmp_path / "bin"), "PYENV_ROOT": str(tmp_path / "pyenv")}
    found = interpreter.find(VERSION, environ)
    assert (found.path, found.source) == (REAL, "pyenv")
    assert (tmp_path / "latest").exists()
    assert not (tmp_path / "older").exists()


@pytest.mark.parametrize("preference", ["only-managed", "managed", "system"])
def test_uv_s_own_order_does_not_count(tmp_path, monkeypatch, preference):
    monkeypatch.setenv("UV_PYTHON_PREFERENCE", preference)
    monkeypatch.setenv("UV_MANAGED_PYTHON", "1")
    shim(tmp_path / "bin" / f"python{VERSION}", f'exec {REAL} "$@"')
    assert interpreter.find(VERSION, {"PATH": str(tmp_path / "bin")}).source == "PATH"


def test_an_environment_on_path_is_no_interpreter_for_others(tmp_path):
    """Environments of environments end with the one below them."""
    subprocess.run([REAL, "-m", "venv", "--without-pip", tmp_path / "active"], check=True)
    shim(tmp_path / "bin" / f"python{VERSION}", f'exec {REAL} "$@"')
    environ = {"PATH": f"{tmp_path / 'active/bin'}:{tmp_path / 'bin'}"}
    found = interpreter.find(VERSION, environ)
    assert not found.path.is_relative_to(tmp_path)


def test_uv_is_not_asked_to_download_where_the_user_forbids_it(tmp_path, monkeypatch):
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "none"))
    with pytest.raises(UnavailableError, match=r"no Python 3\.9: "):
        interpreter.find("3.9", {"PATH": "", "HOME": str(tmp_path)})


def test_a_stopped_run_ends_the_search(tmp_path):
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(StoppedError):
        interpreter.find(VERSION, cancel=cancel)


def test_none_to_be_had_says_what_to_do(tmp_path):
    with pytest.raises(UnavailableError, match=r"no Python 2\.9: .* set PYTHON_2_9="):
        interpreter.find("2.9", {"PATH": "", "HOME": str(tmp_path)}, download=False)


def test_an_interpreter_that_stands_in_for_a_flavor():
    found = interpreter.stand_in("keras3-torch", {"PYTHON_keras3_torch": sys.executable})
    assert found is not None
    assert found.setting == "PYTHON_keras3_torch"
    assert found.version == platform.python_version()
    assert any(entry.startswith("pytest==") for entry in found.packages)
    assert interpreter.stand_in("keras3-jax", {"PYTHON_keras3_torch": sys.executable}) is None


def test_a_stand_in_that_does_not_run():
    with pytest.raises(UnavailableError, match="PYTHON_keras3_torch=/bin/false is not a working"):
        interpreter.stand_in("keras3-torch", {"PYTHON_keras3_torch": "/bin/false"})
