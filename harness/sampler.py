"""The sampler: measures GPU and host memory and the PCIe bus beside a running phase.

A thread that keeps to its clock: each deadline is the one before plus the interval, so that a slow
sample delays none but itself, and a tick that could not be kept is left out and counted. Every
sample goes to disk at once, and memory use does not grow with their number.

It measures from the host: inside a container NVML's process list is not to be relied on.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import psutil

from harness.gpu import Device, GpuLostError, NvmlError
from harness.samples import HEADER, MAX_FOREIGN_PIDS, Sample, Samples, Tally, to_line

if TYPE_CHECKING:
    from harness.engine import Target

INTERVAL_S = 0.05

# Finding a phase's processes can mean a look at every process of the host. Not more often than
# this, and not for more than this share of the time.
_WALK_INTERVAL_S = 0.5
_WALK_SHARE = 1 / 200
_WALK_INTERVAL_MAX_S = 5.0

_JOIN_TIMEOUT_S = 10.0
_MAX_PIDS = 65536
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def next_deadline(previous_ns: int, now_ns: int, interval_ns: int) -> tuple[int, int]:
    """The next deadline on the grid of `previous_ns`, and how many were left out.

    Deadlines that lie in the past at `now_ns` are left out, so that samples never bunch up.
    """
    steps = max(1, -((previous_ns - now_ns) // interval_ns))
    return previous_ns + steps * interval_ns, steps - 1


class ProcessTree:
    """A target that is a process and all that descend from it, with no container.

    Asks each process of the host once for its parent, so that a look costs little more than a list
    of pids. A descendant stays one when its parent ends.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._known: set[int] = set()
        self._members: set[int] | None = None

    def pids(self) -> set[int]:
        """The pids that there are now."""
        listed = set(psutil.pids())
        if self._members is None:
            self._members = {self._pid}
        self._members &= listed
        if self._members:
            self._adopt({pid: _parent(pid) for pid in sorted(listed - self._known)}, self._members)
        self._known = listed
        return set(self._members)

    def cgroup(self) -> Path | None:
        """None: the process shares its cgroup with others."""
        return None

    @staticmethod
    def _adopt(parents: dict[int, int | None], members: set[int]) -> None:
        """Adds the pids whose parent is a member; again while that makes others' parents one."""
        while found := {pid for pid, parent in parents.items() if parent in members} - members:
            members |= found


def _parent(pid: int) -> int | None:
    """The pid of a process' parent; None for a process that has ended."""
    try:
        return psutil.Process(pid).ppid()
    except psutil.Error:
        return None


class Sampler:
    """Samples a phase from `start` to `stop`.

    Args:
        device: the GPU, opened; None measures the host alone. NVML must stay initialised until
            `stop` has returned.
        target: the phase.
        path: the CSV file to write.
        interval_s: between two samples.
    """

    def __init__(
        self, device: Device | None, target: Target, path: Path, interval_s: float = INTERVAL_S
    ) -> None:
        self._pids = _Pids(target)
        self._gpu = _GpuMeter(device, self._pids) if device is not None else None
        self._host = _HostMeter(target, self._pids)
        self._path = path
        self._interval_ns = max(1, round(interval_s * 1e9))
        self._tally = Tally(interval_s)
        self._file: TextIO | None = None
        self._halt = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._began_ns = 0
        self._cpu_s: float | None = None
        self._error: str | None = None
        self._samples: Samples | None = None

    def start(self) -> None:
        """Takes the first sample, which is the baseline, and starts the thread.

        Raises:
            OSError: the file cannot be created.
        """
        self._file = self._path.open("w", encoding="ascii", newline="\n", buffering=1)
        self._began_ns = time.monotonic_ns()
        self._attempt(self._write, HEADER)
        self._take(None, 0)
        self._thread.start()

    def stop(self) -> Samples:
        """Takes the last sample, ends the thread and returns the summary; again, the same one.

        Never raises for what went wrong while sampling: that is in `Samples.error`.
        """
        if self._samples is None:
            self._halt.set()
            if self._thread.ident is not None:
                self._thread.join(_JOIN_TIMEOUT_S)
            if self._thread.is_alive():
                self._report(f"the sampler has hung for {_JOIN_TIMEOUT_S:.0f} s, in NVML or a file")
            self._samples = self._tally.result(self._pids.ever, self._cpu_s, self._error)
        return self._samples

    def _run(self) -> None:
        """The thread: a sample at every deadline, and one at the end."""
        deadline, missed = self._began_ns + self._interval_ns, 0
        while not self._halt.wait(max(0, deadline - time.monotonic_ns()) / 1e9):
            late_s = max(0, time.monotonic_ns() - deadline) / 1e9
            self._take(late_s, missed)
            deadline, missed = next_deadline(deadline, time.monotonic_ns(), self._interval_ns)
        overdue_ns = time.monotonic_ns() - deadline
        if overdue_ns >= 0:
            missed += overdue_ns // self._interval_ns + 1
        self._take(None, missed)
        self._attempt(self._host.close)
        if self._file is not None:
            self._attempt(self._file.close)
        self._cpu_s = time.thread_time()

    def _take(self, late_s: float | None, missed: int) -> None:
        """Takes one sample; what fails in it stays unknown, and the rest goes on."""
        now_ns = time.monotonic_ns()
        cells: dict[str, Any] = {
            "t_s": (now_ns - self._began_ns) / 1e9,
            "late_s": late_s,
            "missed": missed,
        }
        self._attempt(self._pids.refresh, now_ns)
        if self._gpu is not None:
            self._attempt(self._gpu.read, cells)
        self._attempt(self._host.read, cells)
        sample = Sample(**cells)
        self._tally.add(sample)
        self._attempt(self._write, to_line(sample))

    def _write(self, line: str) -> None:
        """Appends a line; the file is line-buffered, so that a killed driver leaves it whole."""
        file = self._file
        if file is not None:
            try:
                file.write(line)
            except OSError:
                self._file = None  # a full disk: measure on, with no file
                with suppress(OSError):
                    file.close()
                raise

    def _attempt(self, step: Callable[..., None], *arguments: Any) -> None:
        """Does a step; an error is reported, a lost GPU is measured no longer."""
        try:
            step(*arguments)
        except GpuLostError as error:
            self._gpu = None
            self._report(str(error))
        except NvmlError as error:
            self._report(str(error))
        except Exception as error:
            # A thread's exception is seen by nobody; a measurement that failed must be.
            self._report(f"{type(error).__name__}: {error}")

    def _report(self, text: str) -> None:
        """Keeps the first error: those after it mostly follow from it."""
        if self._error is None:
            elapsed_s = (time.monotonic_ns() - self._began_ns) / 1e9
            self._error = f"after {elapsed_s:.2f} s: {' '.join(text.split())}"


class _Pids:
    """The target's processes, looked up no more often than is cheap.

    Attributes:
        current: pids that there are, as of the last look.
        ever: pids that there ever were: NVML lists a process for some time after its end.
        changed: counts the looks that found others than the one before.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._due_ns = 0
        self.current: set[int] = set()
        self.ever: set[int] = set()
        self.changed = 0

    def refresh(self, now_ns: int) -> None:
        """Looks the processes up, if that is due."""
        if now_ns >= self._due_ns:
            self.look(now_ns)

    def look(self, now_ns: int) -> None:
        """Looks the processes up now."""
        began = time.thread_time()
        try:
            pids = self._target.pids()
        finally:
            cost_s = time.thread_time() - began
            pause_s = max(_WALK_INTERVAL_S, min(cost_s / _WALK_SHARE, _WALK_INTERVAL_MAX_S))
            self._due_ns = now_ns + round(pause_s * 1e9)
        if pids != self.current:
            self.changed += 1
            self.current = set(pids)
            if len(self.ever) > _MAX_PIDS:
                self.ever.clear()
            self.ever |= pids


class _GpuMeter:
    """Reads a device into the cells of a sample."""

    def __init__(self, device: Device, pids: _Pids) -> None:
        self._device = device
        self._pids = pids
        self._strangers: set[int] = set()
        self._source: str | None = None

    def read(self, cells: dict[str, Any]) -> None:
        """Reads memory, processes and bus; what was read before an error stays."""
        memory = self._device.memory()
        if memory is not None:
            cells["memory_version"] = memory.version
            cells["gpu_used"] = memory.used
            cells["gpu_total"] = memory.total
            cells["gpu_reserved"] = memory.reserved
        self._read_bus(cells)
        sizes = self._device.process_memory()
        if sizes is not None:
            self._share(sizes, cells)

    def _share(self, sizes: dict[int, int | None], cells: dict[str, Any]) -> None:
        """Tells the target's memory from that of others."""
        if any(pid not in self._pids.ever and pid not in self._strangers for pid in sizes):
            # Perhaps a process that the target started since the last look. Asked once for each.
            self._pids.look(time.monotonic_ns())
        own = [size for pid, size in sizes.items() if pid in self._pids.ever]
        foreign = {pid: size for pid, size in sizes.items() if pid not in self._pids.ever}
        self._strangers = set(foreign)
        cells["process_used"] = _total(own)
        cells["foreign_used"] = _total(list(foreign.values())) if foreign else 0
        cells["foreign"] = len(foreign)
        cells["foreign_pids"] = tuple(sorted(foreign)[:MAX_FOREIGN_PIDS])

    def _read_bus(self, cells: dict[str, Any]) -> None:
        """Reads counters, or throughput where there are none; the first success settles which."""
        if self._source != "throughput":
            counters = self._device.pcie_counters()
            if counters is not None:
                self._source = "counters"
                cells["pcie_tx_bytes"], cells["pcie_rx_bytes"], cells["pcie_bits"] = counters
        if self._source != "counters":
            throughput = self._device.pcie_throughput()
            if throughput is not None:
                self._source = "throughput"
                cells["pcie_tx_kib_s"], cells["pcie_rx_kib_s"] = throughput


class _HostMeter:
    """Reads the memory of the target's processes and of its cgroup into the cells of a sample.

    `/proc/<pid>/statm` is read directly, through files that stay open: `psutil` opens it each time,
    which for five processes takes as long as all the rest of a sample.
    """

    def __init__(self, target: Target, pids: _Pids) -> None:
        self._target = target
        self._pids = pids
        self._seen = -1
        self._files: dict[int, int] = {}  # descriptor of statm by pid
        self._cgroup: _CgroupMemory | None = None

    def read(self, cells: dict[str, Any]) -> None:
        """Reads both; processes that have ended are left out."""
        if self._seen != self._pids.changed:
            self._follow()
        rss = shared = processes = 0
        for pid, descriptor in list(self._files.items()):
            try:
                # Pages: of the address space, resident, resident and shared, ...
                size, resident, common, *_ = os.pread(descriptor, 128, 0).split()
            except OSError:
                os.close(self._files.pop(pid))
                continue
            if size != b"0":  # else a zombie
                processes += 1
                rss += int(resident)
                shared += int(common)
        cells["processes"] = processes
        if processes:
            cells["host_rss"] = rss * _PAGE_BYTES
            cells["host_shared"] = shared * _PAGE_BYTES
        if self._cgroup is not None:
            self._cgroup.read(cells)

    def _follow(self) -> None:
        """Takes over the target's processes and its cgroup after they have changed."""
        self._seen = self._pids.changed
        current = self._pids.current
        for pid in self._files.keys() - current:
            os.close(self._files.pop(pid))
        for pid in current - self._files.keys():
            descriptor = _open(Path(f"/proc/{pid}/statm"))
            if descriptor is not None:  # else it has ended since
                self._files[pid] = descriptor
        if self._cgroup is None:
            directory = self._target.cgroup()
            self._cgroup = _CgroupMemory(directory) if directory is not None else None

    def close(self) -> None:
        """Gives the files back."""
        while self._files:
            os.close(self._files.popitem()[1])
        if self._cgroup is not None:
            self._cgroup.close()


class _CgroupMemory:
    """Memory of a cgroup (version 2), read from files that stay open."""

    def __init__(self, directory: Path) -> None:
        self._current = _open(directory / "memory.current")
        self._stat = _open(directory / "memory.stat")

    def read(self, cells: dict[str, Any]) -> None:
        """Reads what is there; nothing once the container is gone."""
        try:
            if self._current is not None:
                cells["cgroup_current"] = int(os.pread(self._current, 64, 0))
            if self._stat is not None:
                stat = os.pread(self._stat, 16384, 0)
                cells["cgroup_anon"] = stat_value(stat, b"anon")
                cells["cgroup_shmem"] = stat_value(stat, b"shmem")
        except OSError:
            self.close()

    def close(self) -> None:
        """Closes the files."""
        for descriptor in (self._current, self._stat):
            if descriptor is not None:
                os.close(descriptor)
        self._current = self._stat = None


def stat_value(stat: bytes, key: bytes) -> int | None:
    """The value of a key in the text of a `memory.stat`."""
    start = 0 if stat.startswith(key + b" ") else stat.find(b"\n" + key + b" ") + 1
    if start == 0 and not stat.startswith(key + b" "):
        return None
    end = stat.find(b"\n", start)
    return int(stat[start + len(key) + 1 : end if end >= 0 else None])


def _open(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def _total(sizes: list[int | None]) -> int | None:
    """The sum; None when there is nothing, or when a part is not known."""
    known = [size for size in sizes if size is not None]
    return sum(known) if known and len(known) == len(sizes) else None
