from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from harness.engine import owner


def test_this_process_lives():
    assert owner.current().pid == os.getpid()
    assert owner.current().alive()


def test_text_is_read_back():
    assert owner.parse(owner.current().text()) == owner.current()


@pytest.mark.parametrize("text", ["", "12", "a:b:c", "1:2.00:x:y", "-1:2.00:x", "1:2.00:../x"])
def test_anything_else_is_nobody(text):
    assert owner.parse(text) is None


def test_a_later_process_with_the_same_pid_is_another():
    assert not replace(owner.current(), started="1.00").alive()
    assert not replace(owner.current(), boot="other").alive()


def test_an_ended_process_is_not_alive():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    there = owner.of(child.pid)
    assert there is not None
    assert there.alive()
    child.communicate(b"\n")
    assert not there.alive()
