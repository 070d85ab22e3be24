"""Wheels for a machine without network: of a small project, and of this one from the index."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from benchmarks.gpu import carry
from harness.base.error import EngineError
from tests import wheels
from tests.paths import ROOT

OTHER = "cp312-cp312-manylinux_2_17_x86_64"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two packages, and Keras, which needs numpy; the index has later ones too.

    Versions are such as uv has not seen of others of that name.
    """
    index = wheels.stand_in(tmp_path / "index", monkeypatch)
    made = {
        "driver-dep": wheels.wheel(index, "driver_dep", "1.0", requires=["below>=1"]),
        "below": wheels.wheel(index, "below", "1.0", pure=False, tag=OTHER),
        "keras": wheels.wheel(index, "keras", "3.99.1", requires=["numpy", "driver-dep"]),
        "numpy": wheels.wheel(index, "numpy", "2.99.1"),
    }
    wheels.wheel(index, "below", "2.0")
    wheels.wheel(index, "driver_dep", "2.0")
    root = tmp_path / "project"
    flavor = root / "docker" / "flavors" / "keras3-torch"
    flavor.mkdir(parents=True)
    old = "old-python; python_version < '3.12'"
    text = f'[project]\ndependencies = ["driver-dep>=1", "{old}"]\n'
    (root / "pyproject.toml").write_text(text)
    lock(root / "requirements.txt", made, "driver-dep==1.0", "below==1.0")
    # Of another version in the flavor's lock: the driver's is the first that has it.
    lock(flavor / "requirements-gpu.txt", made, "keras==3.99.1", "numpy==2.99.1", "below==2.0")
    return root


def lock(path: Path, made: dict[str, Path], *pins: str) -> None:
    lines = []
    for pin in pins:
        digest = hashlib.sha256(made[pin.partition("==")[0]].read_bytes()).hexdigest()
        lines.append(f"{pin} \\\n    --hash=sha256:{digest}\n    # via something\n")
    path.write_text("".join(lines))


def carried(folder: Path) -> set[str]:
    return {"-".join(path.name.split("-")[:2]) for path in folder.iterdir()}


def test_what_the_driver_and_keras_need_in_the_locked_versions(project):
    folder = carry.fill(project)
    # numpy is what the machine's torch and jax are built against.
    assert carried(folder) == {"driver_dep-1.0", "below-1.0", "keras-3.99.1"}
    assert not list((project / ".cache").iterdir())


def test_what_was_carried_before_is_gone(project):
    (project / ".whl").mkdir()
    (project / ".whl" / "old-1.0-py3-none-any.whl").write_text("")
    assert "old-1.0" not in carried(carry.fill(project))


def test_another_file_of_that_name_is_refused(project):
    path = project / "requirements.txt"
    begin, _, hashed = path.read_text().partition("sha256:")
    path.write_text(f"{begin}sha256:{'0' * 64}{hashed[64:]}")
    (project / ".whl").mkdir()
    with pytest.raises(EngineError, match=r"pip download: .*HASH"):
        carry.fill(project)
    assert (project / ".whl").is_dir()  # what was there stays


def test_a_package_that_no_lock_has(project):
    path = project / "requirements.txt"
    path.write_text(path.read_text().partition("below")[0])
    flavor = project / "docker" / "flavors" / "keras3-torch" / "requirements-gpu.txt"
    flavor.write_text(flavor.read_text().partition("below")[0])
    with pytest.raises(EngineError, match="no lock file has below: run `make lock`"):
        carry.fill(project)


def test_a_folder_that_is_no_project(tmp_path):
    with pytest.raises(EngineError, match="no lock file is in"):
        carry.fill(tmp_path)


def test_git_leaves_the_folder_out():
    command = ["git", "check-ignore", "--quiet", ".whl/keras-3.0-py3-none-any.whl"]
    if subprocess.run(["git", "rev-parse"], cwd=ROOT, capture_output=True).returncode != 0:
        pytest.skip("no git checkout")
    assert subprocess.run(command, cwd=ROOT).returncode == 0


@pytest.mark.slow
def test_this_project_from_the_index(tmp_path):
    """What a bare Python 3.12 of that machine lacks, and all of it."""
    root = tmp_path / "project"
    root.mkdir()
    for name in ("pyproject.toml", "requirements.txt", "docker"):
        (root / name).symlink_to(ROOT / name)
    folder = carry.fill(root)
    names = {path.name.split("-")[0] for path in folder.iterdir()}
    assert {"keras", "uv", "pydantic_core", "nvidia_ml_py", "optree", "google_re2"} <= names
    assert not names & {"numpy", "h5py", "torch", "jax", "tomli"}
    for path in folder.iterdir():
        assert zipfile.ZipFile(path).testzip() is None
        assert "x86_64" in path.name or path.name.endswith("-none-any.whl")
        assert not any(f"cp3{minor}-cp3{minor}" in path.name for minor in (10, 11, 13, 14))
    assert sum(path.stat().st_size for path in folder.iterdir()) < carry.LIMIT_MIB * carry.MIB


def test_a_problem_is_one_line(project, monkeypatch, capsys):
    (project / "requirements.txt").unlink()
    monkeypatch.setattr(carry, "ROOT", project)
    monkeypatch.setattr(sys, "argv", ["carry"])
    assert carry.main() == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("carry: ")
