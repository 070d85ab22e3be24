import zipfile
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError

from harness import lock
from harness.catalog import Catalog, Flavor
from harness.engine.daemon import Daemon
from harness.error import EngineError, UsageError

BASE = "python:3.11-slim-bookworm"
DIGEST = "sha256:" + "1" * 64
OTHER = "sha256:" + "2" * 64


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


class Registry(Daemon):
    """A daemon whose registry answers this."""

    def __init__(self, answers: dict[str, str]) -> None:
        super().__init__()
        self.__dict__.update(version={"ApiVersion": "1.41"}, info={}, address="unix:///x")
        self._answers = answers

    def client(self) -> Any:
        return self

    def inspect_distribution(self, reference: str) -> dict[str, Any]:
        if reference not in self._answers:
            raise APIError("500", explanation="dial tcp: no such host")
        return {"Descriptor": {"digest": self._answers[reference]}}


def test_compiles_every_file_with_hashes_and_nothing_of_this_machine(root: Path) -> None:
    lines = list(lock.refresh(catalog(root), root, Registry({})))
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
    assert next(iter(lock.refresh(catalog(root), root, Registry({})))).endswith("unchanged")


def test_requirements_without_a_solution_are_one_line(root: Path) -> None:
    (root / "docker/flavors/f/requirements-cpu.in").write_text("alpha>2\n")
    with pytest.raises(EngineError) as caught:
        list(lock.refresh(catalog(root), root, Registry({})))
    assert "f/requirements-cpu.txt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_digests_are_recorded_and_a_change_is_said(root: Path) -> None:
    assert lock.bases(root / "docker") == {}
    list(lock.refresh(catalog(root), root, Registry({BASE: DIGEST})))
    assert lock.bases(root / "docker") == {BASE: DIGEST}
    lines = list(lock.refresh(catalog(root), root, Registry({BASE: OTHER})))
    assert lines[-1] == f"{BASE}: {OTHER}, was {DIGEST}"
    assert lock.bases(root / "docker") == {BASE: OTHER}


def test_without_a_registry_the_digests_stay(root: Path) -> None:
    list(lock.refresh(catalog(root), root, Registry({BASE: DIGEST})))
    lines = list(lock.refresh(catalog(root), root, Registry({})))
    assert "no such host" in lines[-1]
    assert lock.bases(root / "docker") == {BASE: DIGEST}


def test_without_a_daemon_the_digests_stay(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    lines = list(lock.refresh(catalog(root), root))
    assert lines[-1].startswith("bases.toml: kept as it is")


@pytest.mark.parametrize("content", ["[bases", '[bases]\nx = "latest"\n', "bases = 3\n"])
def test_a_broken_file_of_digests_is_one_line(root: Path, content: str) -> None:
    (root / "docker" / "bases.toml").write_text(content)
    with pytest.raises(UsageError) as caught:
        lock.bases(root / "docker")
    assert "make lock" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_lock_files_of_the_project_are_complete_and_portable() -> None:
    docker = Path(__file__).parent.parent / "docker"
    sources = [*docker.glob("*.in"), *docker.glob("flavors/*/*.in")]
    assert sources
    for source in sources:
        locked = source.with_suffix(".txt").read_text()
        assert "://" not in locked, source
        assert "make lock" in locked, source
        entries = [line for line in locked.splitlines() if line[:1].isalnum()]
        assert entries, source
        assert all("==" in line and line.endswith("\\") for line in entries), source
