"""Logs on a disk that is full: the phase is not kept waiting, and nothing is made of its end."""

from __future__ import annotations

import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness.engine.docker.logs import LogFile
from harness.engine.docker.logs import replace as replace_log
from harness.record.models import Outcome
from tests.engine.docker.test_engine import Make, execute
from tests.engine.docker.test_engine import make as make
from tests.small_disks import mounted

_FLOOD = """
    import os, sys, time
    line = b"x" * 4095 + b"\\n"
    for _ in range(int({count})):
        os.write(1, line)
    {then}
"""


@pytest.mark.docker
@pytest.mark.parametrize(
    ("then", "seconds"), [("open('/output/end', 'x')", 60), ("time.sleep(90)", 8)]
)
def test_a_flood_ends_in_time(tmp_path: Path, make: Make, then: str, seconds: int) -> None:
    launch = make(textwrap.dedent(_FLOOD.format(count=20_000, then=then)), deadline_s=seconds)
    with mounted(tmp_path / "small") as small:
        began = time.monotonic()
        ended = execute(replace(launch, logs=small), grace_s=1)
        assert time.monotonic() - began < 40
        # The script came to its end: it was never kept waiting.
        assert (launch.output / "end").exists() == then.startswith("open")
        if then.startswith("open"):
            assert ended.outcome is Outcome.ENGINE_ERROR
            assert "its log could not be written: No space left on device" in ended.reason
        else:
            assert ended.outcome is Outcome.TIMED_OUT
        assert (small / "stdout.log").stat().st_size > 2**19


def test_a_log_goes_on_to_nowhere(tmp_path: Path) -> None:
    with mounted(tmp_path / "small") as small:
        log = LogFile(small / "log", limit=2**22)
        for _ in range(1000):
            log.write(b"x" * 4096)
        assert log.total == 1000 * 4096
        assert log.problem is not None
        log.close()
        kept = replace_log(log, [b"x" * 4096] * 2000, 2**22)
        assert kept is log
        assert [path.name for path in small.iterdir()] == ["log"]


def test_the_end_of_a_log_that_does_not_fit_is_lost_alone(tmp_path: Path) -> None:
    with mounted(tmp_path / "small") as small:
        log = LogFile(small / "log", limit=2**21)
        for _ in range(600):
            log.write(b"x" * 4096)
        log.close()
        assert log.problem is not None
        assert log.path.stat().st_size > 2**18
