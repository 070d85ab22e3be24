"""What NVML says once a second, in a file: a record in which the harness has no part.

    python -m benchmarks.gpu.watch FILE GPU

It also keeps the driver loaded between phases. Runs until it is stopped.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pynvml

COLUMNS = ("time", "used", "free", "tx", "rx", "sm_mhz", "watts", "celsius", "processes")


def row(gpu: Any) -> list[object]:
    """One line, sizes in bytes, a process as `pid:bytes`; "" for what is not known."""
    memory = _asked(pynvml.nvmlDeviceGetMemoryInfo, gpu, version=pynvml.nvmlMemory_v2)
    fields = _asked(pynvml.nvmlDeviceGetFieldValues, gpu, [197, 198]) or []
    moved = [entry.value.ullVal if entry.nvmlReturn == 0 else "" for entry in fields]
    milliwatts = _asked(pynvml.nvmlDeviceGetPowerUsage, gpu)
    clock = _asked(pynvml.nvmlDeviceGetClockInfo, gpu, pynvml.NVML_CLOCK_SM)
    celsius = _asked(pynvml.nvmlDeviceGetTemperature, gpu, pynvml.NVML_TEMPERATURE_GPU)
    listed = _asked(pynvml.nvmlDeviceGetComputeRunningProcesses_v3, gpu) or []
    cells = [
        f"{time.time():.1f}",
        getattr(memory, "used", None),
        getattr(memory, "free", None),
        *(moved or ["", ""]),
        clock,
        None if milliwatts is None else milliwatts / 1000,
        celsius,
        " ".join(f"{entry.pid}:{entry.usedGpuMemory}" for entry in listed),
    ]
    return ["" if cell is None else cell for cell in cells]


def main() -> None:
    """Appends a line a second."""
    path, index = sys.argv[1:]
    pynvml.nvmlInit()
    gpu = pynvml.nvmlDeviceGetHandleByIndex(int(index))
    with Path(path).open("a", buffering=1, newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(COLUMNS)
        while True:
            lines.writerow(row(gpu))
            time.sleep(1.0)


def _asked(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    try:
        return function(*arguments, **options)
    except pynvml.NVMLError:
        return None


if __name__ == "__main__":
    main()
