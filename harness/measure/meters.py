"""What one sample reads: the target's processes, a device, and the host's memory."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from harness.measure.gpu import Device
from harness.measure.samples import MAX_FOREIGN_PIDS
from harness.measure.target import Target

# Finding a phase's processes can mean a look at every process of the host. Not more often than
# this, and not for more than this share of the time.
_WALK_INTERVAL_S = 0.5
_WALK_SHARE = 1 / 200
_WALK_INTERVAL_MAX_S = 5.0

_MAX_PIDS = 65536
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Pids:
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


class GpuMeter:
    """Reads a device into the cells of a sample."""

    def __init__(self, device: Device, pids: Pids) -> None:
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


class HostMeter:
    """Reads the memory of the target's processes and of its cgroup into the cells of a sample.

    `/proc/<pid>/statm` is read directly, through files that stay open: `psutil` opens it each time,
    which for five processes takes as long as all the rest of a sample.
    """

    def __init__(self, target: Target, pids: Pids) -> None:
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
