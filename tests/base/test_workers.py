from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from harness.base.workers import Workers
from tests.paths import ROOT


def test_each_thread_keeps_what_is_its_own() -> None:
    workers: Workers[int] = Workers(2, "worker")
    try:
        threads = {workers.submit(threading.get_ident).result(10) for _ in range(20)}
    finally:
        workers.close()
    assert 1 <= len(threads) <= 2
    assert threading.get_ident() not in threads


def test_what_is_raised_is_the_future_s() -> None:
    workers: Workers[float] = Workers(1, "worker")
    with pytest.raises(ZeroDivisionError):
        workers.submit(lambda: 1 / 0).result(10)
    assert workers.submit(lambda: 1.0).result(10) == 1.0
    workers.close()


def test_a_process_ends_whatever_its_threads_hang_in() -> None:
    code = (
        "import time; from harness.base.workers import Workers;"
        "Workers(2, 'w').submit(lambda: time.sleep(600))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
