from __future__ import annotations

import threading
import time

import pytest

from harness.base.error import EngineError
from harness.measure import lease

UUID = "GPU-11111111-2222"


def test_one_holder_at_a_time(tmp_path):
    cancel = threading.Event()
    told: list[str] = []
    order: list[str] = []

    def second():
        with lease.hold(UUID, cancel, told.append, tmp_path):
            order.append("second")

    with lease.hold(UUID, cancel, told.append, tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.3)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]
    assert told == [f"GPU {UUID} is held by another run; waiting"]


def test_cancel_ends_the_wait(tmp_path):
    cancel = threading.Event()
    with lease.hold(UUID, cancel, print, tmp_path):
        threading.Timer(0.2, cancel.set).start()
        begin = time.monotonic()
        with lease.hold(UUID, cancel, print, tmp_path):
            assert time.monotonic() - begin < 5


def test_no_gpu_needs_no_lease(tmp_path):
    with lease.hold(None, threading.Event(), print, tmp_path):
        assert list(tmp_path.iterdir()) == []


def test_a_planted_link_is_refused(tmp_path):
    (tmp_path / f"lms-harness-{UUID}.lock").symlink_to(tmp_path / "victim")
    with (
        pytest.raises(EngineError, match="could not open the GPU's lease"),
        lease.hold(UUID, threading.Event(), print, tmp_path),
    ):
        pass
    assert not (tmp_path / "victim").exists()
