"""A `libnvidia-ml.so.1` that plays a scenario, so that tests go through the real `pynvml`.

`build` compiles `nvml/fake_nvml.c`; a process that is started with `environment(...)` finds that
library before any driver's. What it plays is written with `Scenario` and `Gpu`:

    scenario = Scenario([Gpu("GPU-aaaa", total=8 << 30, curve=[(0, 1000), (2.5, 2000)])])
    env = environment(build(tmp_path), scenario.write(tmp_path / "scenario"))
    subprocess.run([sys.executable, "-m", "harness", ...], env=env)

A curve is a list of (t, used, tx, rx); from t on, the device has `used` bytes in use and its
counters stand at `tx` and `rx`. t is in seconds since NVML was initialised or, with
`clock="calls"`, in calls of a memory function of that GPU, which makes a test independent of time.

Where the scenario is not known beforehand, a stand-in for a training script can say what it uses:
with `live=path` the first GPU takes its state from that file, see `write_live`.

A fake library can do what a test wants, which proves the harness, not a driver.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.paths import ROOT

VARIABLE = "FAKE_NVML_SCENARIO"
SOURCE = ROOT / "tests" / "nvml" / "fake_nvml.c"

MIB = 1 << 20
GIB = 1 << 30


@dataclass
class Gpu:
    """A GPU of a scenario; `None` and 0 mean "not supported" where nothing else is said.

    Attributes:
        memory: newest version of the memory call (2, 1, 0).
        counters: width of the PCIe counters: 64, 32, 3264 (32 bits wide in a 64 bit value) or 0.
        throughput: (tx, rx) in KiB/s, and how many milliseconds a call blocks.
        processes: newest version of the process list (3, 2, 0).
        process: (pid, bytes or None for N/A, from t, until t) of each process.
        processes_error, unusable: return codes of the process list, and of opening the GPU.
        lost: (code, "calls" or "seconds", after how many).
        slices: MIG slices; of their attributes only those of memory and processes are used.
    """

    uuid: str
    name: str = "Fake GPU"
    total: int = 16 * GIB
    reserved: int = 0
    curve: Sequence[tuple[float, ...]] = ()
    memory: int = 2
    counters: int = 64
    throughput: tuple[int, int, int] | None = None
    processes: int = 3
    process: Sequence[tuple[int, int | None, float, float]] = ()
    processes_error: int = 0
    unusable: int = 0
    lost: tuple[int, str, float] | None = None
    mig: bool | None = None
    capability: tuple[int, int] = (8, 0)
    slices: Sequence[Gpu] = ()

    def lines(self, word: str = "gpu") -> list[str]:
        """The lines of the scenario file."""
        lines = [
            f"{word} {self.uuid} {self.name}",
            f"total {self.total}",
            f"reserved {self.reserved}",
            f"memory {self.memory}",
            f"counters {self.counters}",
            f"processes {self.processes}",
            f"processes_error {self.processes_error}",
            f"unusable {self.unusable}",
            f"capability {self.capability[0]} {self.capability[1]}",
        ]
        if self.mig is not None:
            lines.append(f"mig {int(self.mig)}")
        if self.throughput is not None:
            lines.append("throughput " + " ".join(map(str, self.throughput)))
        if self.lost is not None:
            lines.append("lost " + " ".join(map(str, self.lost)))
        lines += ["at " + " ".join(map(str, point)) for point in self.curve]
        for pid, size, begin, end in self.process:
            lines.append(f"process {pid} {'-' if size is None else size} {begin} {end}")
        for part in self.slices:
            lines += part.lines("slice")
        return lines


@dataclass
class Scenario:
    """What the library plays; `init` is the return code of its initialisation."""

    gpus: Sequence[Gpu] = ()
    init: int = 0
    driver: str = "550.54.15"
    cuda: int = 12040
    clock: str = "seconds"
    live: Path | None = None

    def write(self, path: Path) -> Path:
        """Writes the scenario file."""
        lines = [
            f"init {self.init}",
            f"driver {self.driver}",
            f"cuda {self.cuda}",
            f"clock {self.clock}",
            *([f"live {self.live}"] if self.live else []),
            *(line for gpu in self.gpus for line in gpu.lines()),
        ]
        path.write_text("\n".join(lines) + "\n")
        return path


def write_live(
    path: Path, used: int, tx: int = 0, rx: int = 0, process: Mapping[int, int] | None = None
) -> None:
    """Sets the state of the first GPU: what is used, the PCIe counters, bytes by pid."""
    lines = [f"used {used}", f"tx {tx}", f"rx {rx}"]
    lines += [f"process {pid} {size}" for pid, size in (process or {}).items()]
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text("\n".join(lines) + "\n")
    temporary.replace(path)


def compiler() -> str | None:
    """The C compiler, if there is one."""
    return next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


def build(directory: Path) -> Path:
    """Compiles the library into `directory` and returns that.

    Raises:
        FileNotFoundError: there is no C compiler; the fixture in `nvml/fixture.py` skips instead.
    """
    directory.mkdir(parents=True, exist_ok=True)
    command = compiler()
    if command is None:
        raise FileNotFoundError("no C compiler (cc, gcc, clang) on PATH")
    subprocess.run(
        [
            *(command, "-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror"),
            *("-O1", "-shared", "-fPIC", "-pthread", "-Wl,-soname,libnvidia-ml.so.1"),
            *("-o", str(directory / "libnvidia-ml.so.1"), str(SOURCE)),
        ],
        check=True,
        timeout=120,
    )
    return directory


def environment(library: Path, scenario: Path | None) -> dict[str, str]:
    """This process' environment, with the library in `library` and the scenario."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    variables["LD_LIBRARY_PATH"] = str(library)
    variables.pop(VARIABLE, None)
    if scenario is not None:
        variables[VARIABLE] = str(scenario)
    return variables


def run(code: str, library: Path, scenario: Path | None, *arguments: object) -> Any:
    """Runs Python code beside the library; returns what it printed, read as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment(library, scenario),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
