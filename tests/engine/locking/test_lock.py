import threading
import zipfile
from pathlib import Path

import pytest

from harness.base.error import EngineError
from harness.catalog.catalog import Catalog
from harness.catalog.flavors import Flavor
from harness.engine.locking import lock
from tests.paths import ROOT
from tests.wheels import wheel as tiny

BASE = "python:3.11-slim-bookworm"


def wheel(directory: Path, name: str, version: str) -> None:
    """The smallest wheel that an index may offer."""
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(directory / f"{name}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", "")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one flavor, and a folder of wheels that stands in for the index."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for version in ("1.0", "1.1"):
        wheel(wheels, "alpha", version)
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    flavor = tmp_path / "docker" / "flavors" / "f"
    flavor.mkdir(parents=True)
    (tmp_path / "docker" / "requirements-build.in").write_text("alpha\n")
    (flavor / "requirements-cpu.in").write_text("# why\nalpha<1.1\n")
    return tmp_path


def catalog(root: Path) -> Catalog:
    flavor = Flavor.model_validate(
        {
            "id": "f",
            "directory": root / "docker" / "flavors" / "f",
            "description": "d",
            "keras": "keras",
            "mode": "session",
            "python": "3.11",
            "requirements": {"virtual": "requirements-cpu.txt"},
            "image": [
                {"accelerator": "virtual", "base": BASE, "requirements": "requirements-cpu.txt"}
            ],
        }
    )
    return Catalog(flavors=(flavor,), scenarios=(), environments=(flavor,))


def test_compiles_every_file_with_hashes_and_nothing_of_this_machine(root: Path) -> None:
    lines = list(lock.refresh(catalog(root), root))
    locked = (root / "docker/flavors/f/requirements-cpu.txt").read_text()
    assert "alpha==1.0 \\\n    --hash=sha256:" in locked
    assert "make lock" in locked
    assert str(root) not in locked
    assert "http" not in locked
    assert "alpha==1.1" in (root / "docker/requirements-build.txt").read_text()
    assert lines[:2] == [
        "docker/requirements-build.txt: refreshed",
        "f/requirements-cpu.txt: refreshed",
    ]
    assert next(iter(lock.refresh(catalog(root), root))).endswith("unchanged")


def test_requirements_without_a_solution_are_one_line(root: Path) -> None:
    (root / "docker/flavors/f/requirements-cpu.in").write_text("alpha>2\n")
    with pytest.raises(EngineError) as caught:
        list(lock.refresh(catalog(root), root))
    assert "f/requirements-cpu.txt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_lock_files_of_the_project_are_complete_and_portable() -> None:
    docker = ROOT / "docker"
    sources = [*docker.glob("*.in"), *docker.glob("flavors/*/*.in")]
    assert sources
    for source in sources:
        locked = source.with_suffix(".txt").read_text()
        assert "://" not in locked, source
        assert "make lock" in locked, source
        entries = [line for line in locked.splitlines() if line[:1].isalnum()]
        assert entries, source
        assert all("==" in line and line.endswith("\\") for line in entries), source


def test_another_version_changes_no_more_than_it_has_to(root: Path) -> None:
    wheels = root / "wheels"
    for version in ("1.0", "1.1"):
        tiny(wheels, "beta", version)
    tiny(wheels, "alpha", "1.2", requires=["beta"])
    tiny(wheels, "alpha", "1.3", requires=["beta>=1.1"])
    directory = root / "docker/flavors/f"
    (directory / "requirements-cpu.in").write_text("alpha\nbeta\n")
    (directory / "requirements-cpu.txt").write_text("alpha==1.0\nbeta==1.0\n")
    (flavor,) = catalog(root).flavors
    found = {}
    for version in ("1.1", "1.2", "1.3"):
        target = root / version / "requirements-cpu.txt"
        lock.derive(flavor, target.name, "alpha", version, target, threading.Event())
        text = target.read_text()
        assert str(root) not in text
        assert text.count("--hash=sha256:") == 2
        found[version] = [line.split()[0] for line in text.splitlines() if line[:1].isalnum()]
    assert found == {
        "1.1": ["alpha==1.1", "beta==1.0"],
        "1.2": ["alpha==1.2", "beta==1.0"],
        "1.3": ["alpha==1.3", "beta==1.1"],
    }


def test_a_version_without_a_solution_leaves_no_file(root: Path) -> None:
    directory = root / "docker/flavors/f"
    (directory / "requirements-cpu.txt").write_text("alpha==1.0\n")
    (flavor,) = catalog(root).flavors
    target = root / "derived" / "requirements-cpu.txt"
    with pytest.raises(EngineError, match=r"uv pip compile failed: .*alpha==9"):
        lock.derive(flavor, target.name, "alpha", "9", target, threading.Event())
    assert not target.exists()
