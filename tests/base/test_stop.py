from __future__ import annotations

import threading
import time

import pytest

from harness.base.error import EngineError, StoppedError
from harness.base.stop import Stop, follow, hurry_of, waited_for


def test_what_is_done_is_given_back_or_raised() -> None:
    assert waited_for(lambda: 7, threading.Event(), "counting") == 7

    def fail() -> None:
        raise EngineError("it broke")

    with pytest.raises(EngineError, match="it broke"):
        waited_for(fail, threading.Event(), "breaking")


def test_what_does_not_stop_is_left_behind() -> None:
    cancel, said, done = Stop(), [], threading.Event()
    threading.Timer(0.2, cancel.set).start()
    began = time.monotonic()
    with pytest.raises(StoppedError, match="while it was waiting for Godot"):
        waited_for(lambda: done.wait(60), cancel, "waiting for Godot", said.append)
    assert 1.0 < time.monotonic() - began < 10
    assert said == ["stopping: waiting for Godot"]
    done.set()


def test_what_stops_by_itself_is_waited_for() -> None:
    cancel = Stop()
    threading.Timer(0.2, cancel.set).start()

    def stop() -> None:
        cancel.wait(60)
        raise StoppedError("in its own words")

    with pytest.raises(StoppedError, match="in its own words"):
        waited_for(stop, cancel, "stopping")


def test_in_a_hurry_nothing_is_waited_for() -> None:
    cancel, done = Stop(), threading.Event()
    cancel.set()
    cancel.hurry.set()
    began = time.monotonic()
    with pytest.raises(StoppedError):
        waited_for(lambda: done.wait(60), cancel, "waiting")
    assert time.monotonic() - began < 1.0
    done.set()


def test_a_plain_event_hurries_nothing() -> None:
    assert not hurry_of(threading.Event()).is_set()
    stop = Stop()
    assert hurry_of(stop) is stop.hurry


def test_what_clears_away_gets_a_moment() -> None:
    cancel, cleared = Stop(), threading.Event()
    threading.Timer(0.2, cancel.set).start()

    def clear() -> None:
        cancel.wait(60)
        follow(cancel)
        time.sleep(3)
        cleared.set()
        raise StoppedError("cleared")

    with pytest.raises(StoppedError, match="cleared"):
        waited_for(clear, cancel, "building")
    assert cleared.is_set()
