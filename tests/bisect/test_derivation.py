"""Which lock file a derived flavor is of, and that each is made once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from harness.base.error import UnavailableError
from harness.bisect import derivation
from harness.catalog import catalog
from harness.engine.locking import lock
from tests.paths import ROOT
from tests.projects import lay_out


@pytest.mark.parametrize(
    ("engine", "accelerator", "capability", "name"),
    [
        ("venv", "virtual", None, "requirements-cpu.txt"),
        ("venv", "gpu", (7, 0), "requirements-gpu.txt"),
        ("docker", "virtual", None, "requirements-cpu.txt"),
        ("docker", "gpu", (7, 5), "requirements-gpu.txt"),
        ("docker", "gpu", (9, 0), "requirements-ngc.txt"),
    ],
)
def test_the_lock_file_of_an_engine(engine, accelerator, capability, name) -> None:
    (flavor,) = catalog.load(ROOT).select(["tf1-keras22"]).flavors
    own = derivation.lock_file(flavor, engine, accelerator, capability)
    assert own == flavor.directory / name


def test_a_flavor_with_none_for_the_accelerator() -> None:
    (flavor,) = catalog.load(ROOT).select(["tf1-keras22"]).flavors
    bare = flavor.model_copy(update={"requirements": {}})
    with pytest.raises(UnavailableError, match="tf1-keras22 has no requirements"):
        derivation.lock_file(bare, "venv", "gpu", None)


def test_a_lock_is_made_once_for_what_it_follows_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (flavor,) = catalog.load(lay_out(tmp_path / "checkout")).flavors
    own = flavor.directory / "requirements-cpu.txt"
    source = own.with_suffix(".in")
    source.write_text("alpha==1\n")
    made: list[str] = []

    def derive(flavor, name, package, version, target, cancel) -> None:
        made.append(version)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"{package}=={version}\n")

    monkeypatch.setattr(lock, "derive", derive)

    def make(version: str) -> tuple[Path, str]:
        found, digest = derivation.make(
            tmp_path / "cache", flavor, own, "alpha", version, threading.Event()
        )
        assert (found.base, found.id) == (flavor, flavor.id)
        assert (found.directory / own.name).read_text() == f"alpha=={version}\n"
        return found.directory, digest

    first, second = make("1.1"), make("1.2")
    assert make("1.1") == first != second
    assert made == ["1.1", "1.2"]
    assert first[0].parent == tmp_path / "cache" / "test-flavor"
    source.write_text("alpha==1\nbeta\n")
    again = make("1.1")
    assert again[0] != first[0]
    assert again[1] == first[1]  # the same lock: verdicts of it still hold
    assert made == ["1.1", "1.2", "1.1"]
