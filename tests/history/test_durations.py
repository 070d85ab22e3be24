"""How long phases took the last time, from the records of earlier runs, whatever these hold."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.history import durations
from harness.record import store
from harness.record.models import Outcome
from tests import records

KEYS = ("k", "other")


def keep(reports: Path, name: str, seconds: float, key: str = "k", **values: object) -> None:
    """A run with one phase."""
    directory = reports / name
    directory.mkdir(parents=True)
    phase = records.phase(key, duration_s=seconds, **values)
    store.write(records.record([], phases=[phase]), directory)


def test_the_newest_run_that_completed_a_phase_says_how_long_it_takes(tmp_path) -> None:
    keep(tmp_path, "20250301-100000-0001", 1.0)
    keep(tmp_path, "20250302-100000-0002", 2.0)
    keep(tmp_path, "20250303-100000-0003", 3.0, outcome=Outcome.FAILED)
    keep(tmp_path, "20250304-100000-0004", 9.0, key="other")
    assert durations.last(tmp_path, "venv", "virtual", KEYS) == {"k": 2.0, "other": 9.0}


def test_a_run_on_another_engine_or_accelerator_says_nothing(tmp_path) -> None:
    keep(tmp_path, "20250301-100000-0001", 1.0)
    assert durations.last(tmp_path, "docker", "virtual", KEYS) == {}
    assert durations.last(tmp_path, "venv", "gpu", KEYS) == {}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "nothing",
        "[" * 100_000,
        json.dumps({"engine": "venv", "accelerator": "virtual", "phases": "none"}),
        *(
            json.dumps(
                {
                    "engine": "venv",
                    "accelerator": "virtual",
                    "phases": [{"key": "k", "outcome": "completed", "duration_s": seconds}, 1, {}],
                }
            )
            for seconds in ("1", None, True, -1.0, float("nan"), float("inf"))
        ),
    ],
)
def test_a_record_that_is_none_says_nothing(tmp_path, content) -> None:
    run = tmp_path / "20250301-100000-0001"
    run.mkdir()
    (run / "record.json").write_text(content)
    assert durations.last(tmp_path, "venv", "virtual", KEYS) == {}


def test_nor_does_what_is_no_file_or_no_run(tmp_path) -> None:
    assert durations.last(tmp_path / "nowhere", "venv", "virtual", KEYS) == {}
    (tmp_path / "20250301-100000-0001").mkdir()
    os.mkfifo(tmp_path / "20250301-100000-0001" / "record.json")
    keep(tmp_path, "latest", 1.0)
    assert durations.last(tmp_path, "venv", "virtual", KEYS) == {}


def test_no_record_is_read_that_is_not_needed(tmp_path) -> None:
    keep(tmp_path, "20250301-100000-0001", 1.0, key="older")
    keep(tmp_path, "20250302-100000-0002", 2.0)
    assert durations.last(tmp_path, "venv", "virtual", ["k"]) == {"k": 2.0}
    assert durations.last(tmp_path, "venv", "virtual", ["k", "x"]) == {"k": 2.0, "older": 1.0}
