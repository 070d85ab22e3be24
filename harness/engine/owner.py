"""Who started a process or container: so that leftovers of a dead driver can be told apart."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

# Label of everything that the harness makes on a daemon, and prefix of its other labels.
LABEL = "lms-harness"
# Who made it, and where that process can be looked up: in which PID namespace, on which machine.
OWNER_LABEL, NAMESPACE_LABEL = f"{LABEL}.owner", f"{LABEL}.pid-namespace"
HOST_LABEL = f"{LABEL}.host"
# When it has to be over: in seconds since the epoch, for drivers of other machines, and since this
# boot, which no step of a clock changes.
DEADLINE_LABEL, BOOT_DEADLINE_LABEL = f"{LABEL}.deadline", f"{LABEL}.boot-deadline"

# A driver that cannot be looked up (another machine, another PID namespace) is taken for dead when
# what it made is this long over the deadline at which a living one would have ended it.
_OVERDUE_S = 120.0
# An owner in seconds since the epoch: how far the clock may have been set since, where ticks are
# known now, and where nothing better is.
_SET_S, _STEP_S = 86400.0, 2.0


@dataclass(frozen=True)
class Owner:
    """A process, told apart from later ones with the same pid.

    Attributes:
        started: ticks from the boot to its start, which no step of a clock changes; with two
            decimals: seconds since the epoch, where the system tells no ticks.
        boot: the kernel's boot id: pids and ticks mean nothing after a reboot.
    """

    pid: int
    started: str
    boot: str

    def alive(self) -> bool:
        """Whether that very process still runs on this boot."""
        if self.boot != _boot_id():
            return False
        there = _started(self.pid)
        if there is None or "." not in self.started:
            return there == self.started
        apart = abs((_started_epoch(self.pid) or 0.0) - float(self.started))
        return apart < (_STEP_S if "." in there else _SET_S)

    def text(self) -> str:
        """One line that `parse` reads back."""
        return f"{self.pid}:{self.started}:{self.boot}"


def of(pid: int) -> Owner | None:
    """The process with this pid, or None when there is none."""
    started = _started(pid)
    return None if started is None else Owner(pid, started, _boot_id())


def current() -> Owner:
    """This process."""
    owner = of(os.getpid())
    assert owner is not None
    return owner


def parse(text: str) -> Owner | None:
    """Reads what `Owner.text` wrote; None for anything else."""
    match = re.fullmatch(r"(\d{1,10}):(\d{1,20}(?:\.\d\d)?):([\w-]{1,64})", text)
    return Owner(int(match[1]), match[2], match[3]) if match else None


def pid_namespace() -> str:
    """The namespace that this process's pid belongs to, "" where there is no such thing."""
    with contextlib.suppress(OSError):
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - not a path
    return ""


def labels(kind: str, seconds: float | None = 600.0) -> dict[str, str]:
    """Labels of what this process makes on a daemon; `kind` is what it is for.

    Args:
        seconds: until it has to be over; None: never by itself.
    """
    found = {
        LABEL: kind,
        OWNER_LABEL: current().text(),
        NAMESPACE_LABEL: pid_namespace(),
        HOST_LABEL: platform.node(),
    }
    if seconds is not None:
        found[DEADLINE_LABEL] = str(int(time.time() + seconds) + 1)
        since_boot = _since_boot()
        if since_boot is not None:
            found[BOOT_DEADLINE_LABEL] = str(int(since_boot + seconds) + 1)
    return found


def abandoned(labels: Mapping[str, str], local: bool) -> bool:
    """Whether the driver that these labels name is dead; False where that is not known.

    Args:
        local: the daemon that has them is this machine's.
    """
    driver = parse(labels.get(OWNER_LABEL, ""))
    if driver is None:
        return False
    same_boot = driver.boot == _boot_id()
    if same_boot and labels.get(NAMESPACE_LABEL, "") == pid_namespace():
        return not driver.alive()
    if not same_boot and local and labels.get(HOST_LABEL, platform.node()) == platform.node():
        return True  # this machine has been restarted since
    now = _since_boot() if same_boot and BOOT_DEADLINE_LABEL in labels else None
    deadline = labels.get(DEADLINE_LABEL if now is None else BOOT_DEADLINE_LABEL, "")
    with contextlib.suppress(ValueError):
        return (time.time() if now is None else now) > float(deadline) + _OVERDUE_S
    return False


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


def _since_boot() -> float | None:
    """Seconds since the boot, suspended or not; None where the system does not tell."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return None if clock is None else time.clock_gettime(clock)


def _started(pid: int) -> str | None:
    """When a process was started, as in `Owner`; None for one that has ended, waited for or not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
        epoch = _started_epoch(pid)
        return None if epoch is None else f"{epoch:.2f}"
    fields = stat.rpartition(b")")[2].split()  # the name before it, in brackets, may hold anything
    return None if fields[0] in (b"Z", b"X") else fields[19].decode("ascii")


def _started_epoch(pid: int) -> float | None:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).create_time()
    return None
