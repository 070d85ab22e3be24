from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from harness.engine import owner
from harness.engine.owner import (
    BOOT_DEADLINE_LABEL,
    DEADLINE_LABEL,
    HOST_LABEL,
    LABEL,
    NAMESPACE_LABEL,
    OWNER_LABEL,
)


def test_this_process_lives():
    assert owner.current().pid == os.getpid()
    assert owner.current().alive()


def test_text_is_read_back():
    assert owner.parse(owner.current().text()) == owner.current()


@pytest.mark.parametrize(
    "text", ["", "12", "a:b:c", "1:2.00:x:y", "-1:2.00:x", "1:2.00:../x", "1:2.0:x", "1::x"]
)
def test_anything_else_is_nobody(text):
    assert owner.parse(text) is None


def test_a_later_process_with_the_same_pid_is_another():
    assert not replace(owner.current(), started="1.00").alive()
    assert not replace(owner.current(), started="1").alive()
    assert not replace(owner.current(), boot="other").alive()


@pytest.mark.parametrize("waited_for", [True, False])
def test_an_ended_process_is_not_alive(waited_for):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    there = owner.of(child.pid)
    assert there is not None
    assert there.alive()
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    if waited_for:
        child.wait()
    assert not there.alive()
    assert owner.of(child.pid) is None
    child.wait()


@pytest.mark.parametrize("step_s", [-3600, -5, 5, 3600])
def test_no_step_of_the_clock_makes_another_process_of_it(step_s, monkeypatch):
    """The boot time in /proc/stat, of which start times in seconds are made, moves with it."""
    before, epoch = owner.current(), psutil.Process().create_time()
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: epoch + step_s)
    monkeypatch.setattr(time, "time", lambda: epoch + step_s)
    assert before.alive()
    assert owner.parse(before.text()).alive()
    labels = owner.labels("phase", seconds=60)
    assert not owner.abandoned(labels, local=True)
    assert not owner.abandoned(labels | {NAMESPACE_LABEL: "pid:[1]"}, local=True)
    # As the owner was told before there were ticks.
    assert replace(before, started=f"{epoch:.2f}").alive()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_name_in_the_process_table_is_hostile(tmp_path):
    program = tmp_path / ") Z 1 ("
    program.symlink_to("/bin/sleep")
    child = subprocess.Popen([program, "60"])
    there = owner.of(child.pid)
    assert there is not None
    assert there.alive()
    child.kill()
    child.wait()
    assert not there.alive()


# --- labels ---------------------------------------------------------------------------------------


def dead() -> str:
    return replace(owner.current(), started="1").text()


def test_what_a_dead_driver_made_is_abandoned():
    labels = owner.labels("phase")
    assert not owner.abandoned(labels, local=True)
    assert owner.abandoned(labels | {OWNER_LABEL: dead()}, local=True)
    assert owner.abandoned(labels | {OWNER_LABEL: dead()}, local=False)


def test_an_owner_that_cannot_be_looked_up_is_dead_only_when_overdue():
    labels = owner.labels("phase") | {NAMESPACE_LABEL: "pid:[1]", OWNER_LABEL: dead()}
    assert not owner.abandoned(labels, local=True)
    since_boot = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert not owner.abandoned(labels | {BOOT_DEADLINE_LABEL: str(int(since_boot))}, local=True)
    assert owner.abandoned(labels | {BOOT_DEADLINE_LABEL: str(int(since_boot) - 500)}, local=True)
    assert not owner.abandoned(labels | {BOOT_DEADLINE_LABEL: "soon"}, local=True)


def test_a_deadline_of_an_earlier_form_is_one_of_the_wall_clock():
    labels = {LABEL: "phase", OWNER_LABEL: dead(), NAMESPACE_LABEL: "pid:[1]"}
    assert not owner.abandoned(labels, local=True)
    assert not owner.abandoned(labels | {DEADLINE_LABEL: str(int(time.time()))}, local=True)
    assert owner.abandoned(labels | {DEADLINE_LABEL: str(int(time.time()) - 500)}, local=True)
    assert not owner.abandoned(labels | {DEADLINE_LABEL: "soon"}, local=True)


def test_an_owner_of_an_earlier_boot_is_dead_unless_it_may_be_another_machine():
    earlier = replace(owner.current(), boot="another-boot").text()
    labels = owner.labels("phase") | {OWNER_LABEL: earlier}
    assert owner.abandoned(labels, local=True)
    assert not owner.abandoned(labels, local=False)
    assert not owner.abandoned(labels | {HOST_LABEL: "another"}, local=True)
    overdue = {HOST_LABEL: "another", DEADLINE_LABEL: str(int(time.time()) - 500)}
    assert owner.abandoned(labels | overdue, local=True)


@pytest.mark.parametrize("text", ["", "1", "x:y:z", "1:2:3:4", "-1:1.00:boot"])
def test_labels_that_are_not_ours_are_left_alone(text):
    labels = {LABEL: "phase", OWNER_LABEL: text}
    assert not owner.abandoned(labels, local=True)
