"""What was played is what file and summary hold."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.engine.venv.process_tree import ProcessTree
from harness.measure import sampler as sampler_module
from harness.measure.gpu import GpuLostError, Memory, NvmlError
from harness.measure.meters import stat_value
from harness.measure.sampler import Sampler, next_deadline
from harness.measure.samples import (
    HEADER,
    Accumulator,
    Sample,
    Samples,
    counter_delta,
    to_line,
)
from tests import fake_nvml
from tests import samples as sampled
from tests.fake_nvml import GIB, MIB, Gpu, Scenario
from tests.nvml import fixture

nvml_library = fixture.nvml_library

A = "GPU-aaaa1111-0000-0000-0000-000000000000"
SLICE = "MIG-cccc3333-0000-0000-0000-000000000000"

# --- deadlines --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("previous", "now", "expected"),
    [
        (100, 101, (150, 0)),
        (100, 149, (150, 0)),
        (100, 150, (150, 0)),  # due at this moment: not missed
        (100, 151, (200, 1)),
        (100, 200, (200, 1)),
        (100, 449, (450, 6)),
        (100, 90, (150, 0)),  # woken early
        (100, 100, (150, 0)),
    ],
)
def test_next_deadline(previous: int, now: int, expected: tuple[int, int]) -> None:
    assert next_deadline(previous, now, 50) == expected


def test_deadlines_do_not_drift() -> None:
    deadline, taken, missed = 0, 0, 0
    for work in [3, 49, 12, 180, 50, 7, 51, 0] * 100:
        deadline, left_out = next_deadline(deadline, deadline + work, 50)
        taken, missed = taken + 1, missed + left_out
    assert deadline == 50 * (taken + missed)


# --- the summary, from samples ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("previous", "current", "bits", "expected"),
    [
        (10, 30, 64, 20),
        (10, 10, 32, 0),
        (2**32 - 5, 7, 32, 12),
        (2**32 - 5, 7, 64, 12),  # 32 bits wide underneath
        (2**64 - 5, 7, 64, 12),
        (2**40, 7, 64, None),  # set back
    ],
)
def test_counter_delta(previous: int, current: int, bits: int, expected: int | None) -> None:
    assert counter_delta(previous, current, bits) == expected


def counted(t_s: float, sent: int, received: int, bits: int = 64) -> Sample:
    return Sample(t_s, pcie_tx_bytes=sent, pcie_rx_bytes=received, pcie_bits=bits)


def test_summary() -> None:
    samples = [
        Sample(0.0, gpu_used=5, gpu_total=100, memory_version=2, foreign=0, host_rss=7),
        Sample(0.05, late_s=0.001, gpu_used=90, process_used=60, foreign=0, cgroup_shmem=4),
        Sample(0.25, late_s=0.002, missed=3, foreign=1, foreign_pids=(8,), foreign_used=2),
        Sample(0.26, gpu_used=10, process_used=50, host_rss=9, host_shared=3, cgroup_current=6),
    ]
    summary = sampled.summary(samples, 0.05)
    assert summary.n == 4
    assert summary.interval_s == 0.05
    assert summary.duration_s == 0.26
    assert summary.max_gap_s == pytest.approx(0.2)
    assert summary.missed == 3
    assert summary.gpu_samples == 3
    assert (summary.gpu_used_baseline, summary.gpu_used_peak, summary.gpu_total) == (5, 90, 100)
    assert summary.memory_version == 2
    assert summary.process_peak == 60
    assert (summary.foreign_count, summary.foreign_pids, summary.foreign_peak) == (1, (8,), 2)
    assert (summary.host_rss_peak, summary.host_shared_peak) == (9, 3)
    assert (summary.cgroup_peak, summary.cgroup_shmem_peak) == (6, 4)
    assert (summary.pcie_tx_bytes, summary.pcie_source, summary.pcie_exact) == (None, None, None)
    assert json.loads(json.dumps(summary.to_dict()))["foreign_pids"] == [8]


def test_nothing_is_known_of_no_samples() -> None:
    assert sampled.summary([], 0.05) == Samples(n=0, interval_s=0.05)


def test_own_processes_are_not_foreign_in_the_end() -> None:
    totals = Accumulator(0.05)
    totals.add(Sample(0.0, foreign=1, foreign_pids=(8,), foreign_used=2))
    early = totals.result(own_pids={8})
    assert (early.foreign_count, early.foreign_pids, early.foreign_peak) == (0, (), 0)


def test_many_foreign_processes_are_counted_and_the_first_named() -> None:
    totals = Accumulator(0.05)
    for number in range(100):
        totals.add(Sample(number * 0.05, foreign=1, foreign_pids=(1000 + number,)))
    assert totals.result().foreign_count == 100
    assert totals.result().foreign_pids == tuple(range(1000, 1016))


def test_counters_make_a_difference() -> None:
    base = 3 << 40
    once = sampled.summary([counted(0, base, base)], 0.05)
    assert (once.pcie_tx_bytes, once.pcie_rx_bytes) == (None, None)
    twice = sampled.summary(
        [counted(0, base, base), Sample(1), counted(2, base + 5, base + 7)], 0.05
    )
    assert (twice.pcie_tx_bytes, twice.pcie_rx_bytes) == (5, 7)
    assert (twice.pcie_source, twice.pcie_bits, twice.pcie_exact) == ("counters", 64, True)


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize(("gap", "exact"), [(0.05, True), (0.08, False)])
def test_narrow_counters_are_exact_while_they_cannot_come_round_unseen(
    bits: int, gap: float, exact: bool
) -> None:
    total = [k * 3 * GIB for k in range(10)]
    samples = [counted(k * gap, v % 2**32, v % 2**32, bits) for k, v in enumerate(total)]
    summary = sampled.summary(samples, gap)
    assert summary.pcie_tx_bytes == total[-1]
    assert summary.pcie_exact is exact


def test_a_counter_that_was_set_back_says_nothing() -> None:
    summary = sampled.summary([counted(0, 2**40, 0), counted(1, 3, 1), counted(2, 9, 2)], 1)
    assert summary.pcie_tx_bytes is None
    assert summary.pcie_source == "counters"


def test_throughput_is_integrated() -> None:
    samples = [Sample(t, pcie_tx_kib_s=1000, pcie_rx_kib_s=10) for t in (0.0, 0.5, 2.0)]
    summary = sampled.summary(samples, 0.05)
    assert (summary.pcie_tx_bytes, summary.pcie_rx_bytes) == (2000 * 1024, 20 * 1024)
    assert (summary.pcie_source, summary.pcie_exact) == ("throughput", False)


# --- the file ---------------------------------------------------------------------------------


def test_a_line_holds_a_sample(tmp_path: Path) -> None:
    full = Sample._make([*range(1, 11), (4, 5), *range(20, 31)])
    given = [full, Sample(0.5), Sample(0.25, late_s=0.0, gpu_used=0)]
    path = tmp_path / "samples.csv"
    path.write_text(HEADER + "".join(map(to_line, given)) + to_line(full)[:-1])
    assert sampled.read(path) == given  # the last line was cut off


def test_what_is_unknown_is_an_empty_cell() -> None:
    assert to_line(Sample(1.5)) == "1.500000,,0" + "," * 13 + ",0" + "," * 5 + "\n"


def test_memory_stat() -> None:
    stat = b"anon 12\nfile 3\nshmem_thp 4\nshmem 56\n"
    assert stat_value(stat, b"anon") == 12
    assert stat_value(stat, b"shmem") == 56
    assert stat_value(stat, b"swap") is None
    assert stat_value(b"", b"anon") is None
    assert stat_value(b"file 1\nanon 7", b"anon") == 7


# --- against the library that plays -----------------------------------------------------------

PLAY = """
import json, sys, time
from pathlib import Path
from harness.measure.nvml import Nvml
from harness.engine.venv.process_tree import ProcessTree
from harness.measure.sampler import Sampler

uuid, path, number, seconds, pid = sys.argv[1:]
with Nvml() as nvml:
    sampler = Sampler(nvml.open(uuid), ProcessTree(int(pid)), Path(path), 0.01)
    sampler.start()
    until = time.monotonic() + float(seconds)
    while time.monotonic() < until or len(Path(path).read_text().splitlines()) <= int(number):
        time.sleep(0.01)
    samples = sampler.stop()
print(json.dumps(samples.to_dict()))
"""

# A saw tooth of distinct values, one for each sample: t counts the samples.
CURVE = [(t, (t % 40) * MIB + t, t * 10 * MIB, t * 7 * MIB) for t in range(2000)]


@pytest.fixture
def child() -> Iterator[int]:
    """A process to be the target."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process.pid
        process.kill()


class Player:
    """Plays a scenario to a sampler in a process of its own, for some samples or seconds."""

    def __init__(self, library: Path, directory: Path) -> None:
        self.library = library
        self.directory = directory
        self.csv = directory / "samples.csv"

    def play(
        self,
        gpu: Gpu,
        target: int,
        number: int = 30,
        seconds: float = 0,
        uuid: str = A,
        clock: str = "calls",
    ) -> tuple[Samples, list[Sample]]:
        scenario = Scenario([gpu], clock=clock).write(self.directory / "scenario")
        arguments = (uuid, self.csv, number, seconds, target)
        found = fake_nvml.run(PLAY, self.library, scenario, *arguments)
        found["foreign_pids"] = tuple(found["foreign_pids"])
        samples, rows = Samples(**found), sampled.read(self.csv)
        assert samples.n == len(rows) > number
        return samples, rows


@pytest.fixture
def player(nvml_library: Path, tmp_path: Path) -> Player:
    return Player(nvml_library, tmp_path)


def test_what_was_played_is_what_is_found(player: Player, child: int) -> None:
    gpu = Gpu(
        A,
        total=GIB,
        reserved=300 * MIB,
        curve=CURVE,
        process=[(child, 5 * MIB, 0, 10), (child, 9 * MIB, 10, 2000)],
    )
    samples, rows = player.play(gpu, child)
    used = [used for _, used, _, _ in CURVE[: samples.n]]
    assert [row.gpu_used for row in rows] == used
    assert [row.pcie_tx_bytes for row in rows] == [tx for _, _, tx, _ in CURVE[: samples.n]]
    assert [row.process_used for row in rows] == [
        5 * MIB if t < 10 else 9 * MIB for t in range(samples.n)
    ]
    assert {row.gpu_reserved for row in rows} == {300 * MIB}
    assert {row.processes for row in rows} == {1}
    assert samples.error is None
    assert samples.memory_version == 2
    assert samples.gpu_samples == samples.n
    assert samples.gpu_used_baseline == used[0]
    assert samples.gpu_used_peak == max(used)
    assert samples.gpu_total == GIB
    assert samples.process_peak == 9 * MIB
    assert (samples.foreign_count, samples.foreign_pids, samples.foreign_peak) == (0, (), 0)
    assert samples.pcie_tx_bytes == (samples.n - 1) * 10 * MIB
    assert samples.pcie_rx_bytes == (samples.n - 1) * 7 * MIB
    assert (samples.pcie_source, samples.pcie_bits) == ("counters", 64)
    assert samples.host_rss_peak == max(row.host_rss or 0 for row in rows) > 100_000
    assert samples.cgroup_peak is None
    assert samples.duration_s == pytest.approx(rows[-1].t_s - rows[0].t_s, abs=1e-5)
    assert samples.duration_s >= 0.29
    assert samples.cpu_s is not None
    # The file alone gives the same summary, but for what is not in it.
    again = sampled.summary(sampled.read(player.csv), 0.01)
    assert again.pcie_tx_bytes == samples.pcie_tx_bytes
    assert again.gpu_used_peak == samples.gpu_used_peak
    assert again.missed == samples.missed


def test_ticks_are_kept_or_counted(player: Player, child: int) -> None:
    samples, rows = player.play(Gpu(A, curve=CURVE), child, seconds=1.0)
    # First and last are beside the grid; every other is on it, and what is not there is missed.
    ticks = len(rows) - 2 + samples.missed
    assert ticks == pytest.approx(samples.duration_s / 0.01, abs=2)
    grid = [(row.t_s - (row.late_s or 0)) / 0.01 for row in rows[1:-1]]
    kept = sum(tick == pytest.approx(round(tick), abs=0.1) for tick in grid)
    # Two readings of the clock are not one: the machine may do something else in between.
    assert kept > 0.5 * len(grid)


def test_memory_version_1(player: Player, child: int) -> None:
    samples, rows = player.play(Gpu(A, reserved=MIB, memory=1, curve=CURVE), child)
    assert [row.gpu_used for row in rows] == [used + MIB for _, used, _, _ in CURVE[: samples.n]]
    assert {(row.memory_version, row.gpu_reserved) for row in rows} == {(1, None)}
    assert samples.memory_version == 1


def test_throughput_where_there_are_no_counters(player: Player, child: int) -> None:
    gpu = Gpu(A, counters=0, throughput=(1000, 3000, 20), curve=CURVE)
    samples, rows = player.play(gpu, child, number=10)
    assert samples.pcie_source == "throughput"
    assert samples.pcie_exact is False
    assert samples.pcie_tx_bytes == pytest.approx(1000 * 1024 * samples.duration_s, rel=0.01)
    assert samples.pcie_rx_bytes == pytest.approx(3000 * 1024 * samples.duration_s, rel=0.01)
    assert {(row.pcie_tx_bytes, row.pcie_tx_kib_s) for row in rows} == {(None, 1000)}
    assert samples.missed > 0  # each sample took 40 ms of an interval of 10
    assert samples.gpu_used_peak is not None


def test_no_view_of_the_bus(player: Player, child: int) -> None:
    samples, _ = player.play(Gpu(A, counters=0, curve=CURVE), child)
    assert (samples.pcie_source, samples.pcie_tx_bytes, samples.pcie_rx_bytes) == (None,) * 3
    assert samples.error is None
    assert samples.gpu_used_peak is not None


@pytest.mark.parametrize("kind", [32, 3264])
def test_counters_that_come_round(player: Player, child: int, kind: int) -> None:
    curve = [(t, 1, t * GIB + 3, t * 3 * GIB) for t in range(1000)]
    samples, _ = player.play(Gpu(A, counters=kind, curve=curve), child)
    assert samples.pcie_tx_bytes == (samples.n - 1) * GIB
    assert samples.pcie_rx_bytes == (samples.n - 1) * 3 * GIB


@pytest.mark.parametrize(("code", "word"), [(15, "lost"), (16, "reset")])
def test_gpu_lost_half_way(player: Player, child: int, code: int, word: str) -> None:
    gpu = Gpu(A, curve=CURVE, lost=(code, "calls", 20), process=[(child, MIB, 0, 9999)])
    samples, rows = player.play(gpu, child)
    assert samples.error is not None
    assert samples.error.startswith("after 0.")
    assert word in samples.error
    assert "\n" not in samples.error
    assert samples.gpu_samples == 20 < samples.n
    assert samples.gpu_used_peak == max(used for _, used, _, _ in CURVE[:20])
    assert [row.gpu_used is None for row in rows] == [t >= 20 for t in range(samples.n)]
    assert all(row.host_rss for row in rows)  # the host part goes on


def test_gpu_lost_from_the_start(player: Player, child: int) -> None:
    samples, _ = player.play(Gpu(A, lost=(15, "calls", 0)), child)
    assert samples.gpu_samples == 0
    assert "lost" in (samples.error or "")
    assert samples.host_rss_peak


def test_foreign_process(player: Player, child: int) -> None:
    gpu = Gpu(A, process=[(child, MIB, 0, 9999), (1, 7 * MIB, 10, 20), (2**31, None, 15, 18)])
    samples, rows = player.play(gpu, child)
    assert [row.foreign for row in rows[:22]] == [0] * 10 + [1] * 5 + [2] * 3 + [1] * 2 + [0] * 2
    assert rows[15].foreign_pids == (1, 2**31)
    assert rows[15].foreign_used is None
    assert rows[12].foreign_used == 7 * MIB
    assert {row.process_used for row in rows} == {MIB}
    assert samples.foreign_count == 2
    assert samples.foreign_pids == (1, 2**31)
    assert samples.foreign_peak == 7 * MIB


def test_process_sizes_that_are_not_available(player: Player, child: int) -> None:
    samples, _ = player.play(Gpu(A, process=[(child, None, 0, 9999)]), child)
    assert samples.process_peak is None
    assert samples.foreign_count == 0
    samples, _ = player.play(Gpu(A, processes=0), child)
    assert (samples.process_peak, samples.foreign_count, samples.foreign_peak) == (None,) * 3


def test_mig_slice(player: Player, child: int) -> None:
    part = Gpu(SLICE, total=5 * GIB, curve=CURVE, process=[(child, MIB, 0, 9999)])
    samples, _ = player.play(Gpu(A, mig=True, slices=[part]), child, uuid=SLICE)
    assert samples.gpu_total == 5 * GIB
    assert samples.gpu_used_peak == max(used for _, used, _, _ in CURVE[: samples.n])
    assert samples.process_peak == MIB
    assert samples.pcie_source is None


def test_curve_in_time(player: Player, child: int) -> None:
    gpu = Gpu(A, curve=[(0, MIB), (0.5, 5 * MIB), (0.9, 2 * MIB)])
    samples, rows = player.play(gpu, child, seconds=1.2, clock="seconds")
    assert (samples.gpu_used_baseline, samples.gpu_used_peak) == (MIB, 5 * MIB)
    assert list(dict.fromkeys(row.gpu_used for row in rows)) == [MIB, 5 * MIB, 2 * MIB]


def test_a_phase_that_says_what_it_uses(player: Player, child: int, tmp_path: Path) -> None:
    live = tmp_path / "live"
    fake_nvml.write_live(live, 0)
    scenario = Scenario([Gpu(A)], live=live).write(tmp_path / "scenario")
    arguments = [A, str(player.csv), "0", "0.8", str(child)]
    with subprocess.Popen(
        [sys.executable, "-c", PLAY, *arguments],
        env=fake_nvml.environment(player.library, scenario),
        stdout=subprocess.PIPE,
    ) as process:
        wait_for_rows(player.csv, 3)
        fake_nvml.write_live(live, 7 * MIB, tx=100, rx=50, process={child: 6 * MIB})
        output, _ = process.communicate(timeout=60)
    found = json.loads(output)
    assert (found["gpu_used_baseline"], found["gpu_used_peak"]) == (0, 7 * MIB)
    assert (found["pcie_tx_bytes"], found["pcie_rx_bytes"]) == (100, 50)
    assert (found["process_peak"], found["foreign_count"]) == (6 * MIB, 0)


def test_a_killed_driver_leaves_a_readable_file(player: Player, child: int) -> None:
    scenario = Scenario([Gpu(A, curve=CURVE)], clock="calls").write(player.directory / "scenario")
    with subprocess.Popen(
        [sys.executable, "-c", PLAY, A, str(player.csv), "0", "60", str(child)],
        env=fake_nvml.environment(player.library, scenario),
    ) as process:
        wait_for_rows(player.csv, 10)
        process.send_signal(signal.SIGKILL)
    rows = sampled.read(player.csv)
    assert len(rows) >= 10
    assert [row.gpu_used for row in rows] == [used for _, used, _, _ in CURVE[: len(rows)]]


def wait_for_rows(path: Path, number: int) -> None:
    wait_until(lambda: path.exists() and len(sampled.read(path)) >= number)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- the host side, and what goes wrong -------------------------------------------------------


class Pids:
    """A target with given pids."""

    def __init__(self, *pids: int, cgroup: Path | None = None) -> None:
        self.answer: set[int] = set(pids)
        self.directory = cgroup
        self.looks = 0

    def pids(self) -> set[int]:
        self.looks += 1
        return self.answer

    def cgroup(self) -> Path | None:
        return self.directory


class Still:
    """A device on which nothing happens."""

    uuid = A

    def memory(self) -> Memory | None:
        return Memory(1, 2, 3, 0, 2)

    def process_memory(self) -> dict[int, int | None] | None:
        return {}

    def pcie_counters(self) -> tuple[int, int, int] | None:
        return 1, 1, 64

    def pcie_throughput(self) -> tuple[int, int] | None:
        return None


def sample(device: Any, target: Any, path: Path, seconds: float = 0.2) -> Samples:
    sampler = Sampler(device, target, path, 0.01)
    sampler.start()
    time.sleep(seconds)
    return sampler.stop()


def test_host_alone(tmp_path: Path) -> None:
    # The parent starts a child that holds 64 MiB: the sum is that of the tree.
    hold = "import time; held = bytearray(64 << 20); time.sleep(60)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}])"
    path = tmp_path / "s.csv"
    with subprocess.Popen([sys.executable, "-c", code], start_new_session=True) as process:
        sampler = Sampler(None, ProcessTree(process.pid), path, 0.01)
        sampler.start()
        wait_until(lambda: any((row.host_rss or 0) > 64 * MIB for row in sampled.read(path)))
        samples = sampler.stop()
        os.killpg(process.pid, signal.SIGKILL)
    assert samples.error is None
    assert 64 * MIB < (samples.host_rss_peak or 0) < 200 * MIB
    assert 0 < (samples.host_shared_peak or 0) < samples.host_rss_peak  # type: ignore[operator]
    assert samples.gpu_samples == 0
    assert samples.gpu_used_peak is None
    assert max(row.processes for row in sampled.read(path)) == 2


def test_process_tree() -> None:
    # A child outlives its parent, and is then a child of something else.
    code = """
import subprocess
print(subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL).pid, flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        tree = ProcessTree(process.pid)
        orphan = int(process.stdout.readline())
        assert tree.pids() == {process.pid, orphan}
        process.communicate("\n")
    assert tree.pids() == {orphan}
    os.kill(orphan, signal.SIGKILL)


def test_a_target_that_ends(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        sampler = Sampler(Still(), ProcessTree(process.pid), tmp_path / "s.csv", 0.01)
        sampler.start()
        process.kill()
        process.wait()
        time.sleep(0.1)
        samples = sampler.stop()
    rows = sampled.read(tmp_path / "s.csv")
    assert samples.error is None
    assert rows[0].processes == 1
    assert (rows[-1].processes, rows[-1].host_rss) == (0, None)
    assert rows[-1].gpu_used == 1
    assert samples.host_rss_peak


def test_a_target_that_never_was(tmp_path: Path) -> None:
    samples = sample(Still(), ProcessTree(2**22 + 1), tmp_path / "s.csv")
    assert samples.error is None
    assert samples.host_rss_peak is None


def test_processes_are_not_looked_up_for_every_sample(tmp_path: Path) -> None:
    target = Pids(os.getpid())
    samples = sample(Still(), target, tmp_path / "s.csv", 0.7)
    assert samples.n > 10
    assert target.looks in (2, 3)


def test_a_process_that_nvml_shows_first(tmp_path: Path) -> None:
    target = Pids(os.getpid())

    class Growing(Still):
        def process_memory(self) -> dict[int, int | None] | None:
            target.answer = {os.getpid(), 77}
            return {77: 5, 78: 1}

    samples = sample(Growing(), target, tmp_path / "s.csv", 0.1)
    assert samples.process_peak == 5
    assert samples.foreign_pids == (78,)
    assert target.looks in (2, 3)  # at the start, and because of 77 and 78; not each time


def test_cgroup(tmp_path: Path) -> None:
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.stat").write_text("anon 600\nfile 300\nshmem 200\n")
    sampler = Sampler(None, Pids(os.getpid(), cgroup=tmp_path), tmp_path / "s.csv", 0.01)
    sampler.start()
    (tmp_path / "memory.current").write_text("9000\n")
    (tmp_path / "memory.stat").write_text("anon 600\nfile 300\nshmem 8000\n")
    time.sleep(0.1)
    samples = sampler.stop()
    assert (samples.cgroup_peak, samples.cgroup_shmem_peak) == (9000, 8000)
    first = sampled.read(tmp_path / "s.csv")[0]
    assert (first.cgroup_current, first.cgroup_anon, first.cgroup_shmem) == (1000, 600, 200)
    assert samples.error is None


def test_no_files_in_the_cgroup(tmp_path: Path) -> None:
    samples = sample(None, Pids(os.getpid(), cgroup=tmp_path / "gone"), tmp_path / "s.csv")
    assert (samples.cgroup_peak, samples.error) == (None, None)


def test_stop_is_prompt_and_takes_a_last_sample(tmp_path: Path) -> None:
    sampler = Sampler(Still(), Pids(os.getpid()), tmp_path / "s.csv", 30.0)
    sampler.start()
    time.sleep(0.1)
    began = time.monotonic()
    samples = sampler.stop()
    assert time.monotonic() - began < 1
    assert samples.n == 2
    assert samples.duration_s >= 0.1
    assert sampler.stop() is samples
    assert "sampler" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NvmlError("a\nb"), "a b"),
        (GpuLostError("gone"), "gone"),
        (ValueError("broken"), "ValueError: broken"),
    ],
)
def test_errors_in_the_thread_are_reported(tmp_path: Path, error: Exception, expected: str) -> None:
    class Failing(Still):
        calls = 0

        def memory(self) -> Memory | None:
            Failing.calls += 1
            if Failing.calls == 3:
                raise error
            return super().memory()

    samples = sample(Failing(), Pids(os.getpid()), tmp_path / "s.csv")
    assert samples.error is not None
    assert samples.error.endswith(f" s: {expected}")
    # One reading is lost; after a lost GPU all that follow are.
    lost = isinstance(error, GpuLostError)
    assert samples.gpu_samples == (2 if lost else samples.n - 1)


def test_errors_of_the_target_are_reported(tmp_path: Path) -> None:
    class Broken(Pids):
        def pids(self) -> set[int]:
            raise RuntimeError("no daemon")

    samples = sample(Still(), Broken(), tmp_path / "s.csv")
    assert "RuntimeError: no daemon" in (samples.error or "")
    assert samples.gpu_samples == samples.n > 3


def test_a_full_disk_does_not_end_the_sampling() -> None:
    samples = sample(Still(), Pids(os.getpid()), Path("/dev/full"))
    assert "No space left" in (samples.error or "")
    assert samples.n > 3
    assert samples.gpu_used_peak == 1


def test_a_file_that_cannot_be_made(tmp_path: Path) -> None:
    sampler = Sampler(Still(), Pids(), tmp_path / "no" / "s.csv")
    with pytest.raises(FileNotFoundError):
        sampler.start()


def test_a_driver_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler_module, "_JOIN_TIMEOUT_S", 0.1)
    release = threading.Event()

    class Hanging(Still):
        calls = 0

        def memory(self) -> Memory | None:
            Hanging.calls += 1
            if Hanging.calls > 2:
                release.wait(30)
            return super().memory()

    samples = sample(Hanging(), Pids(os.getpid()), tmp_path / "s.csv")
    release.set()
    assert "has hung" in (samples.error or "")
    assert samples.n == 2
