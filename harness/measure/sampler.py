"""The sampler: measures GPU and host memory and the PCIe bus beside a running phase.

A thread that keeps to its clock: each deadline is the one before plus the interval, so that a slow
sample delays none but itself, and a tick that could not be kept is left out and counted. Every
sample goes to disk at once, and memory use does not grow with their number.

It measures from the host: inside a container NVML's process list is not to be relied on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from harness.measure.gpu import Device, GpuLostError, NvmlError
from harness.measure.meters import GpuMeter, HostMeter, Pids
from harness.measure.samples import HEADER, Accumulator, Sample, Samples, to_line
from harness.measure.target import Target

INTERVAL_S = 0.05

_JOIN_TIMEOUT_S = 10.0


def next_deadline(previous_ns: int, now_ns: int, interval_ns: int) -> tuple[int, int]:
    """The next deadline on the grid of `previous_ns`, and how many were left out.

    Deadlines that lie in the past at `now_ns` are left out, so that samples never bunch up.
    """
    steps = max(1, -((previous_ns - now_ns) // interval_ns))
    return previous_ns + steps * interval_ns, steps - 1


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
        self._pids = Pids(target)
        self._gpu = GpuMeter(device, self._pids) if device is not None else None
        self._host = HostMeter(target, self._pids)
        self._path = path
        self._interval_ns = max(1, round(interval_s * 1e9))
        self._accumulator = Accumulator(interval_s)
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
            samples = self._accumulator.result(self._pids.ever, self._cpu_s, self._error)
            self._samples = replace(samples, began_s=self._began_ns / 1e9)
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
        self._accumulator.add(sample)
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
