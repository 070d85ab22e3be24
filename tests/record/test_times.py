"""What a log says about time: in a file beside it, whole or not there, and not in the record."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.record import times
from harness.record.facts import LogFacts
from harness.record.times import FILE_LIMIT, POINTS_LIMIT, Moment, Points, Times
from tests import timelines as files
from tests.timelines import MIB


def test_what_is_kept_is_read_back(tmp_path: Path) -> None:
    told = files.told(82 * MIB)
    times.keep(told, tmp_path)
    assert times.read(tmp_path) == told


def test_it_stays_small(tmp_path: Path) -> None:
    many = Points(at=list(range(256)), bytes=[2**40] * 256)
    times.keep(Times(series=[files.step(1, accelerator=many, host=many)]), tmp_path)
    assert (tmp_path / times.FILE).stat().st_size < 20_000


def test_the_largest_that_a_log_can_say_can_be_read(tmp_path: Path) -> None:
    most = Points(at=[2**63 - 1] * POINTS_LIMIT, bytes=[2**63 - 1] * POINTS_LIMIT)
    steps = [files.step(1, accelerator=most, host=most)] * 16
    moments = [Moment(event="metric", detail="", t=2.0**62)] * 500 * 9
    times.keep(Times(series=steps, moments=moments), tmp_path)
    assert (tmp_path / times.FILE).stat().st_size < FILE_LIMIT
    assert len(times.read(tmp_path).series) == 16


def test_where_there_is_nothing_to_keep_there_is_no_file(tmp_path: Path) -> None:
    times.keep(Times(), tmp_path)
    assert not list(tmp_path.iterdir())
    assert times.read(tmp_path) == Times()


def test_a_file_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    times.keep(files.told(1), tmp_path / "file")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"series": [{"unit": "days"}]}', b"\xff"])
def test_what_is_no_such_file_says_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / times.FILE).write_bytes(content)
    assert times.read(tmp_path) == Times()


def test_it_is_no_part_of_the_record() -> None:
    facts = LogFacts(times=files.told(MIB))
    assert "times" not in facts.model_dump()
    assert LogFacts.model_validate_json(facts.to_json()) == facts.untimed == LogFacts()
