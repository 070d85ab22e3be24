"""Who started a process or container: so that leftovers of a dead driver can be told apart."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import psutil

# Start times are ticks since boot plus the boot time, and the latter moves with clock steps.
_CLOCK_STEP_S = 2.0


@dataclass(frozen=True)
class Owner:
    """A process, told apart from later ones with the same pid.

    Attributes:
        started: start time in seconds since the epoch, as psutil gives it, two decimals.
        boot: the kernel's boot id: pids and start times mean nothing after a reboot.
    """

    pid: int
    started: str
    boot: str

    def alive(self) -> bool:
        """Whether that very process still runs on this boot."""
        there = of(self.pid)
        return (
            there is not None
            and there.boot == self.boot
            and abs(float(there.started) - float(self.started)) < _CLOCK_STEP_S
        )

    def text(self) -> str:
        """One line that `parse` reads back."""
        return f"{self.pid}:{self.started}:{self.boot}"


def of(pid: int) -> Owner | None:
    """The process with this pid, or None when there is none."""
    try:
        started = psutil.Process(pid).create_time()
    except psutil.Error:
        return None
    return Owner(pid, f"{started:.2f}", _boot_id())


def current() -> Owner:
    """This process."""
    owner = of(os.getpid())
    assert owner is not None
    return owner


def parse(text: str) -> Owner | None:
    """Reads what `Owner.text` wrote; None for anything else."""
    match = re.fullmatch(r"(\d{1,10}):(\d+\.\d\d):([\w-]{1,64})", text)
    return Owner(int(match[1]), match[2], match[3]) if match else None


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"
