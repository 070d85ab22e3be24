from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.base.error import UsageError
from harness.record import durations
from harness.record.models import Outcome
from tests import records


def test_a_file_holds_what_completed_and_is_read_back(tmp_path: Path) -> None:
    phases = [
        records.phase("b", duration_s=2.5),
        records.phase("a", duration_s=1.0),
        records.phase("broken", outcome=Outcome.FAILED),
        records.phase("unknown", duration_s=None),
    ]
    found = durations.of(records.run().model_copy(update={"phases": phases}))
    assert found == {"b": 2.5, "a": 1.0}
    path = tmp_path / "durations.json"
    path.write_text(durations.render(found))
    assert durations.load(path) == found
    assert durations.digest(found) == durations.digest(dict(reversed(found.items())))
    assert durations.digest(found) != durations.digest({})


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"a": "1"}', '{"a": true}', '{"a": -1}', '{"a": NaN}', '{"a": 1e99}', "[" * 10**5],
)
def test_what_holds_no_durations_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "durations.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"no JSON|no durations"):
        durations.load(path)


@pytest.mark.timeout(20)
def test_what_is_no_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not there"):
        durations.load(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="is a FIFO"):
        durations.load(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2**29)
    with pytest.raises(UsageError, match="is larger than 256 MiB"):
        durations.load(tmp_path / "large")
    (tmp_path / "good").write_text(json.dumps({}))
    assert durations.load(tmp_path / "good") == {}
