"""What sampling costs: `python benchmarks/sampler.py [--seconds 10] [--hz 20] [--processes 5]`.

Runs the sampler beside a tree of sleeping processes, over the fake NVML library of the tests and
over files that stand in for a cgroup. Prints the processor time of the sampling thread as a share
of one core, and how late the samples were. The time that a real driver takes for an answer comes on
top; that is mostly waiting.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from harness.engine.venv.process_tree import ProcessTree
from harness.measure.nvml import Nvml
from harness.measure.sampler import Sampler
from tests import fake_nvml, samples

UUID = "GPU-00000000-0000-0000-0000-000000000000"
TREE = """
import subprocess, sys, time
children = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            for _ in range(int(sys.argv[1]) - 1)]
print(*[child.pid for child in children], flush=True)
time.sleep(600)
"""
STAT = "anon 600\nfile 300\nkernel 10\nshmem 200\n" + "".join(
    f"counter_{number} {number}\n" for number in range(50)
)


class Contained(ProcessTree):
    """A process tree with a cgroup, as an engine with containers has it."""

    def __init__(self, pid: int, cgroup: Path) -> None:
        super().__init__(pid)
        self._directory = cgroup

    def cgroup(self) -> Path | None:
        """The directory of the files that stand in."""
        return self._directory


def measure(pid: int, directory: Path, seconds: float, hz: float) -> None:
    with Nvml() as nvml:
        target = Contained(pid, directory)
        sampler = Sampler(nvml.open(UUID), target, directory / "samples.csv", 1 / hz)
        sampler.start()
        time.sleep(seconds)
        print(json.dumps(sampler.stop().to_dict()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--hz", type=float, default=20.0)
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(int(options.measure[0]), Path(options.measure[1]), options.seconds, options.hz)
        return 0
    if fake_nvml.compiler() is None:
        print("skipped: no C compiler (cc, gcc, clang) on PATH to build the fake NVML library with")
        return 0
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "memory.current").write_text("1000\n")
        (directory / "memory.stat").write_text(STAT)
        library = fake_nvml.build(directory / "lib")
        tree = subprocess.Popen(
            [sys.executable, "-c", TREE, str(options.processes)],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            assert tree.stdout is not None
            children = [int(pid) for pid in tree.stdout.readline().split()]
            busy = [(pid, 1 << 30, 0, 1e9) for pid in (tree.pid, *children[:1])]
            curve = [(t, (t % 10) << 30, t << 30, t << 29) for t in range(1000)]
            gpu = fake_nvml.Gpu(UUID, curve=curve, process=busy)
            scenario = fake_nvml.Scenario([gpu]).write(directory / "scenario")
            time.sleep(0.5)
            begun = time.monotonic()
            done = subprocess.run(
                [
                    *(sys.executable, __file__, "--measure", str(tree.pid), name),
                    *("--seconds", str(options.seconds), "--hz", str(options.hz)),
                ],
                env=fake_nvml.environment(library, scenario),
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            elapsed = time.monotonic() - begun
            rows = samples.read(directory / "samples.csv")
            late = statistics.quantiles(
                (row.late_s for row in rows if row.late_s is not None), n=100
            )[-1]
        finally:
            os.killpg(tree.pid, signal.SIGKILL)
            tree.wait()
    found = json.loads(done.stdout)
    cpu, wall, n = found["cpu_s"], found["duration_s"], found["n"]
    print(f"samples     {n} in {wall:.2f} s at {options.hz:g} Hz, {found['missed']} ticks missed")
    print(f"processor   {100 * cpu / wall:.2f} % of a core, {1e6 * cpu / n:.0f} us a sample")
    print(f"late (p99)  {1e3 * late:.2f} ms; longest gap ", end="")
    print(f"{1e3 * found['max_gap_s']:.1f} ms")
    print(f"processes   {options.processes} in the tree; whole benchmark {elapsed:.1f} s")
    print(f"errors      {found['error']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
