"""What a user may name as a run or a baseline, and what each mistake is answered."""

from __future__ import annotations

import json
import os

import pytest

from harness.base.error import UsageError
from harness.comparison import baseline, source
from harness.record import store
from tests import records


@pytest.fixture
def run(tmp_path):
    store.write(records.run(), tmp_path / "run")
    return tmp_path / "run"


def test_a_run_its_record_a_copy_of_it_and_an_accepted_file_are_the_same(run, tmp_path):
    made = source.load(run)
    assert made.runs == [records.run().id]
    assert source.load(run / "record.json") == made
    copy = tmp_path / "last-good.json"
    copy.write_bytes((run / "record.json").read_bytes())
    assert source.load(copy) == made
    accepted = tmp_path / "baseline.json"
    accepted.write_text(made.to_text())
    assert source.load(accepted).to_text() == made.to_text()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"notes of a meeting", "is not a valid record: Invalid JSON"),
        (b"[]", "is not a valid record"),
        (b"", "is not a valid record"),
        (b"[" * 100_000, "is not a valid record"),
        (b'{"schema_version": 99}', "has schema version 99, this harness reads 1"),
        (b'{"baseline_version": 9}', "is a baseline of version 9, this harness reads 1"),
        (b'{"baseline_version": 1}', "is no valid baseline: runs: Field required"),
    ],
)
def test_what_is_none_of_them_is_one_line(tmp_path, content, message):
    path = tmp_path / "some.json"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        source.load(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_there_or_no_file_is_one_line(tmp_path):
    with pytest.raises(UsageError, match="is not there: name a run"):
        source.load(tmp_path / "none")
    with pytest.raises(UsageError, match=r"holds no record\.json"):
        source.load(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="is a FIFO"):
        source.load(tmp_path / "pipe")


def test_a_field_that_a_baseline_does_not_have_is_refused(tmp_path):
    document = json.loads(baseline.of([records.green()]).to_text())
    path = tmp_path / "b.json"
    path.write_text(json.dumps({**document, "more": 1}))
    with pytest.raises(UsageError, match="is no valid baseline: more"):
        source.load(path)
