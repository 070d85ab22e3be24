"""What comes back: few files, each whole and small enough, whatever a folder of work holds."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import pytest

from benchmarks.gpu import pack, summary


def write(path: Path, content: bytes | str = "x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    write(folder / "reports" / "run" / "record.json", "{}")
    write(folder / "reports" / "run" / "phases" / "a.save" / "samples.csv", "t_s\n")
    write(folder / "reports" / "run" / "phases" / "a.save" / "artifacts" / "model.keras")
    write(folder / "environment" / "bin" / "python")
    write(folder / "logs" / "sanity.log", "said\n")
    (folder / "reports" / "latest").symlink_to("run")
    (folder / "outside").symlink_to("/etc")
    return folder


def names(out: Path) -> set[str]:
    with tarfile.open(out / pack.ARCHIVE) as archive:
        return set(archive.getnames())


def test_reports_and_logs_without_models_and_links(tmp_path, work):
    pack.pack(work, tmp_path)
    assert names(tmp_path) == {
        "logs/sanity.log",
        "reports/run/record.json",
        "reports/run/phases/a.save/samples.csv",
    }


def test_samples_are_left_out_where_all_is_too_much(tmp_path, work, monkeypatch):
    for number in range(3):
        phase = work / "reports" / "run" / "phases" / f"{number}.load"
        write(phase / "samples.csv", os.urandom(20_000))
    monkeypatch.setattr(pack, "LIMIT", 50_000)
    pack.pack(work, tmp_path)
    assert names(tmp_path) == {"logs/sanity.log", "reports/run/record.json"}
    assert (tmp_path / pack.ARCHIVE).stat().st_size < 50_000


def test_and_then_whatever_is_large(tmp_path, work, monkeypatch):
    for number in range(3):
        write(work / "logs" / f"{number}.log", os.urandom(20_000))
    monkeypatch.setattr(pack, "LIMIT", 50_000)
    pack.pack(work, tmp_path)
    assert names(tmp_path) == {"logs/sanity.log", "reports/run/record.json"}


def test_the_archive_that_is_there_stays_where_none_is_small_enough(tmp_path, work, monkeypatch):
    pack.pack(work, tmp_path)
    before = names(tmp_path)
    monkeypatch.setattr(pack, "LIMIT", 10)
    pack.pack(work, tmp_path)
    assert names(tmp_path) == before


def test_proofs_beside_it_the_last_of_each_flavor(tmp_path, work):
    for folder, flavor, goal in (
        ("reports/proof-1", "keras3-torch", 1),
        ("reports/proof-2", "keras3-torch", 2),
        ("flags/proof-3", "keras3-jax", 3),
    ):
        proof = {"flavor": flavor, "goal": goal, "scenario": "save-load", "findings": []}
        write(work / folder / "proof.json", json.dumps(proof))
    write(work / "reports" / "proof-4" / "proof.json", '{"flavor": "ker')  # cut off
    pack.pack(work, tmp_path)
    found = {path.name for path in tmp_path.glob("*.json")}
    assert found == {"proof-keras3-torch.json", "proof-keras3-jax-flags.json"}
    assert json.loads((tmp_path / "proof-keras3-torch.json").read_text())["goal"] == 2


def test_a_summary_that_fails_costs_no_file(tmp_path, work, monkeypatch):
    def broken(work: Path) -> None:
        raise KeyError("status")

    monkeypatch.setattr(summary, "lines", broken)
    pack.pack(work, tmp_path)
    assert "KeyError: 'status'" in (tmp_path / pack.SUMMARY).read_text()
    assert "logs/sanity.log" in names(tmp_path)
