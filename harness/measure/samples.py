"""What a sampler measured: one sample, its line in `samples.csv`, and the summary. Pure.

`None` is "not known", never 0, and an empty cell in the file. Sizes are bytes, times are seconds
unless a name says otherwise, PCIe's TX is from the GPU to the host (swap-out).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any, NamedTuple

MAX_FOREIGN_PIDS = 16

# Fastest link that counters are expected on: PCIe 5.0 with 16 lanes.
_FASTEST_LINK_BYTES_S = 64e9
_SAFE_GAP_S = 2**32 / _FASTEST_LINK_BYTES_S

# More than any link moves between two samples: the counter was set back instead.
_IMPOSSIBLE_BYTES = 2**50


class Sample(NamedTuple):
    """One moment of a phase; the fields are the columns of `samples.csv`.

    Attributes:
        t_s: since the sampler's start.
        late_s: after the sample's deadline; None for the first and the last, which have none.
        missed: ticks left out before this sample because it or the machine was too slow.
        memory_version: of NVML's memory call; the `gpu_*` of one and of the other do not compare.
        gpu_used, gpu_total, gpu_reserved: memory of the whole device.
        process_used: device memory of the target's processes; None also when NVML lists none.
        foreign_used: device memory of other processes.
        foreign: number of other processes on the device; None when NVML does not list processes.
        foreign_pids: the first of their pids.
        pcie_tx_bytes, pcie_rx_bytes, pcie_bits: running counters, and their width.
        pcie_tx_kib_s, pcie_rx_kib_s: throughput, where there are no counters.
        processes: number of the target's processes that could be read.
        host_rss, host_shared: their sums. Pages that two processes share are in both; shared holds
            mapped files and shared memory, where drivers put pinned buffers.
        cgroup_current, cgroup_anon, cgroup_shmem: of the container, each page counted once.
    """

    t_s: float
    late_s: float | None = None
    missed: int = 0
    memory_version: int | None = None
    gpu_used: int | None = None
    gpu_total: int | None = None
    gpu_reserved: int | None = None
    process_used: int | None = None
    foreign_used: int | None = None
    foreign: int | None = None
    foreign_pids: tuple[int, ...] = ()
    pcie_tx_bytes: int | None = None
    pcie_rx_bytes: int | None = None
    pcie_bits: int | None = None
    pcie_tx_kib_s: int | None = None
    pcie_rx_kib_s: int | None = None
    processes: int = 0
    host_rss: int | None = None
    host_shared: int | None = None
    cgroup_current: int | None = None
    cgroup_anon: int | None = None
    cgroup_shmem: int | None = None


@dataclasses.dataclass(frozen=True)
class Samples:
    """Summary of a phase's samples. Peaks are of samples: lower bounds of the true ones.

    Attributes:
        n: number of samples.
        interval_s: what was asked for.
        began_s: when the sampler began, where `t_s` is 0, by the monotonic clock of the driver.
        duration_s: from the first sample to the last.
        max_gap_s: longest time between two samples.
        missed: ticks left out.
        gpu_samples: samples that hold device memory; fewer than `n` when the GPU was lost.
        memory_version: of NVML's memory call, 1 or 2.
        gpu_used_baseline: of the first sample.
        gpu_used_peak, process_peak, foreign_peak: device memory of all, the target, others.
        foreign_pids, foreign_count: other processes that were seen on the device (the first 16).
        pcie_tx_bytes, pcie_rx_bytes: moved over the bus by the whole physical GPU.
        pcie_source: "counters", "throughput" (an estimate from windows of 20 ms) or None.
        pcie_bits: width of the counters.
        pcie_exact: the bytes are exact; False when they are an estimate, or a lower bound because
            the counters may have come round unseen in the longest gap.
        host_rss_peak, host_shared_peak, cgroup_peak, cgroup_shmem_peak: see `Sample`.
        cpu_s: processor time of the sampling thread.
        error: the first thing that went wrong, in one line, or None.
    """

    n: int
    interval_s: float
    began_s: float | None = None
    duration_s: float = 0.0
    max_gap_s: float = 0.0
    missed: int = 0
    gpu_samples: int = 0
    memory_version: int | None = None
    gpu_total: int | None = None
    gpu_used_baseline: int | None = None
    gpu_used_peak: int | None = None
    process_peak: int | None = None
    foreign_peak: int | None = None
    foreign_count: int | None = None
    foreign_pids: tuple[int, ...] = ()
    pcie_tx_bytes: int | None = None
    pcie_rx_bytes: int | None = None
    pcie_source: str | None = None
    pcie_bits: int | None = None
    pcie_exact: bool | None = None
    host_rss_peak: int | None = None
    host_shared_peak: int | None = None
    cgroup_peak: int | None = None
    cgroup_shmem_peak: int | None = None
    cpu_s: float | None = None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**vars(self), "foreign_pids": list(self.foreign_pids)}


HEADER = ",".join(Sample._fields) + "\n"
_FOREIGN_PIDS = Sample._fields.index("foreign_pids")


def to_line(sample: Sample) -> str:
    """A sample as a line of `samples.csv`; no cell ever needs quotes."""
    cells = ["" if value is None else str(value) for value in sample]
    cells[0] = f"{sample.t_s:.6f}"
    cells[1] = "" if sample.late_s is None else f"{sample.late_s:.6f}"
    cells[_FOREIGN_PIDS] = " ".join(map(str, sample.foreign_pids))
    return ",".join(cells) + "\n"


def counter_delta(previous: int, current: int, bits: int) -> int | None:
    """Bytes between two readings of a counter that may have come round once.

    A counter of 64 bits cannot come round in a run. One that is given in 64 bits, falls, and was
    below 2**32 is 32 bits wide underneath.

    Returns:
        None when the counter was set back, so that the bytes are unknown.
    """
    if current >= previous:
        return current - previous
    width = 32 if previous < 2**32 else bits
    delta = (current - previous) % 2**width
    return delta if delta < _IMPOSSIBLE_BYTES else None


class Accumulator:
    """Adds samples up, in memory that does not grow with their number."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._n = 0
        self._gpu_samples = 0
        self._missed = 0
        self._max_gap_s = 0.0
        self._first: float | None = None
        self._last: float | None = None
        self._baseline: int | None = None
        self._memory_version: int | None = None
        self._total: int | None = None
        self._peaks: dict[str, int] = {}
        self._foreign: set[int] = set()
        self._lists_processes = False
        self._pcie = _Pcie()

    def add(self, sample: Sample) -> None:
        """Adds a sample that is later than those before it."""
        self._n += 1
        self._missed += sample.missed
        if self._first is None or self._last is None:
            self._first = sample.t_s
        else:
            self._max_gap_s = max(self._max_gap_s, sample.t_s - self._last)
        self._last = sample.t_s
        if sample.gpu_used is not None:
            self._gpu_samples += 1
            if self._baseline is None:
                self._baseline = sample.gpu_used
                self._memory_version = sample.memory_version
                self._total = sample.gpu_total
        peaks = self._peaks
        for name in _PEAKS:
            value: int | None = getattr(sample, name)
            if value is not None and value > peaks.get(name, -1):
                peaks[name] = value
        if sample.foreign is not None:
            self._lists_processes = True
            if len(self._foreign) < 1024:
                self._foreign.update(sample.foreign_pids)
        self._pcie.add(sample)

    def result(
        self,
        own_pids: Collection[int] = (),
        cpu_s: float | None = None,
        error: str | None = None,
    ) -> Samples:
        """The summary.

        Args:
            own_pids: the target's; those that a sample took for foreign, because they were not yet
                known to be the target's, are left out.
        """
        foreign = sorted(self._foreign.difference(own_pids))
        peaks = self._peaks
        foreign_peak = peaks.get("foreign_used")
        return Samples(
            n=self._n,
            interval_s=self._interval_s,
            duration_s=(self._last or 0.0) - (self._first or 0.0),
            max_gap_s=self._max_gap_s,
            missed=self._missed,
            gpu_samples=self._gpu_samples,
            memory_version=self._memory_version,
            gpu_total=self._total,
            gpu_used_baseline=self._baseline,
            gpu_used_peak=peaks.get("gpu_used"),
            process_peak=peaks.get("process_used"),
            foreign_peak=foreign_peak if foreign or foreign_peak is None else 0,
            foreign_count=len(foreign) if self._lists_processes else None,
            foreign_pids=tuple(foreign[:MAX_FOREIGN_PIDS]),
            pcie_tx_bytes=self._pcie.sent,
            pcie_rx_bytes=self._pcie.received,
            pcie_source=self._pcie.source,
            pcie_bits=self._pcie.bits,
            pcie_exact=self._pcie.exact,
            host_rss_peak=peaks.get("host_rss"),
            host_shared_peak=peaks.get("host_shared"),
            cgroup_peak=peaks.get("cgroup_current"),
            cgroup_shmem_peak=peaks.get("cgroup_shmem"),
            cpu_s=cpu_s,
            error=error,
        )


_PEAKS = (
    "gpu_used",
    "process_used",
    "foreign_used",
    "host_rss",
    "host_shared",
    "cgroup_current",
    "cgroup_shmem",
)


class _Pcie:
    """Bytes over the bus, from counters or else from throughput."""

    def __init__(self) -> None:
        self.source: str | None = None
        self.bits: int | None = None
        self._sent = self._received = 0.0
        self._known = False  # two readings, so that there is a difference
        self._set_back = False
        self._previous: tuple[float, int, int] | None = None
        self._max_gap_s = 0.0
        self._highest = 0

    def add(self, sample: Sample) -> None:
        if sample.pcie_tx_bytes is not None and sample.pcie_rx_bytes is not None:
            self._count(sample.t_s, sample.pcie_tx_bytes, sample.pcie_rx_bytes, sample.pcie_bits)
        elif sample.pcie_tx_kib_s is not None and sample.pcie_rx_kib_s is not None:
            self.source = self.source or "throughput"
            if self._previous is not None:
                # A window of 20 ms stands for all of the time since the sample before.
                elapsed = sample.t_s - self._previous[0]
                self._sent += sample.pcie_tx_kib_s * 1024 * elapsed
                self._received += sample.pcie_rx_kib_s * 1024 * elapsed
                self._known = True
            self._previous = (sample.t_s, 0, 0)

    def _count(self, t_s: float, sent: int, received: int, bits: int | None) -> None:
        self.source = "counters"
        self.bits = bits or 64
        self._highest = max(self._highest, sent, received)
        if self._previous is not None:
            before, last_sent, last_received = self._previous
            self._max_gap_s = max(self._max_gap_s, t_s - before)
            more_sent = counter_delta(last_sent, sent, self.bits)
            more_received = counter_delta(last_received, received, self.bits)
            if more_sent is None or more_received is None:
                self._set_back = True
            else:
                self._sent += more_sent
                self._received += more_received
                self._known = True
        self._previous = (t_s, sent, received)

    @property
    def sent(self) -> int | None:
        return round(self._sent) if self._known and not self._set_back else None

    @property
    def received(self) -> int | None:
        return round(self._received) if self._known and not self._set_back else None

    @property
    def exact(self) -> bool | None:
        if self.sent is None:
            return None
        # As long as a value of 64 bits stays below 2**32, it may be 32 bits wide underneath.
        narrow = self._highest < 2**32
        return self.source == "counters" and not (narrow and self._max_gap_s > _SAFE_GAP_S)
