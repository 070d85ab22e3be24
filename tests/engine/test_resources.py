"""Cores and memory under the limits of cgroups, laid out as files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.engine import resources
from harness.engine.resources import Resources
from tests.paths import ROOT

GIB = 2**30
UNLIMITED_V1 = "9223372036854771712"
HOST = Resources(cores=16, memory_bytes=64 * GIB)


def within(root: Path, own: str, files: dict[str, str]) -> Resources:
    """Resources where `/proc/self/cgroup` is `own` and `/sys/fs/cgroup` holds the files."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(own)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return resources.within_cgroups(HOST.cores, HOST.memory_bytes, root)


@pytest.mark.parametrize(
    ("files", "cores", "memory"),
    [
        ({"a/b/cpu.max": "max 100000", "a/b/memory.max": "max"}, 16, 64),
        ({"a/b/cpu.max": "400000 100000", "a/b/memory.max": str(8 * GIB)}, 4, 8),
        # The limit of an ancestor holds as well, and the narrowest one counts.
        ({"a/cpu.max": "200000 100000", "a/b/cpu.max": "800000 100000"}, 2, 64),
        ({"a/memory.max": str(4 * GIB), "a/b/memory.max": str(8 * GIB)}, 16, 4),
        # What a container sees as the root is its own cgroup.
        ({"cpu.max": "300000 100000", "memory.max": str(2 * GIB), "a/b/x": ""}, 3, 2),
        # A sibling's limits are not ours.
        ({"a/c/cpu.max": "100000 100000", "a/c/memory.max": str(GIB), "a/b/x": ""}, 16, 64),
        ({"a/b/cpu.max": "150000 100000"}, 1, 64),
        ({"a/b/cpu.max": "1000 100000"}, 1, 64),
        ({"a/b/cpu.max": "3200000 100000", "a/b/memory.max": str(999 * GIB)}, 16, 64),
        ({"a/b/cpu.max": "", "a/b/memory.max": "much"}, 16, 64),
        ({"a/b/cpu.max": "100000 0", "a/b/memory.max": "-1"}, 16, 64),
    ],
)
def test_version_2(tmp_path: Path, files: dict[str, str], cores: int, memory: int) -> None:
    assert within(tmp_path, "0::/a/b\n", files) == Resources(cores, memory * GIB)


V1 = "12:memory:/docker/1\n4:cpu,cpuacct:/docker/1\n1:name=systemd:/docker/1\n"


@pytest.mark.parametrize("mount", ["cpu,cpuacct", "cpu"])
@pytest.mark.parametrize("below", ["docker/1/", "docker/", ""], ids=["own", "ancestor", "mount"])
def test_version_1(tmp_path: Path, mount: str, below: str) -> None:
    files = {
        f"{mount}/{below}cpu.cfs_quota_us": "250000",
        f"{mount}/{below}cpu.cfs_period_us": "100000",
        f"memory/{below}memory.limit_in_bytes": str(3 * GIB),
    }
    assert within(tmp_path, V1, files) == Resources(2, 3 * GIB)


def test_version_1_without_limits(tmp_path: Path) -> None:
    files = {
        "cpu,cpuacct/docker/1/cpu.cfs_quota_us": "-1",
        "cpu,cpuacct/docker/1/cpu.cfs_period_us": "100000",
        "memory/docker/1/memory.limit_in_bytes": UNLIMITED_V1,
    }
    assert within(tmp_path, V1, files) == HOST


def test_both_versions_at_once(tmp_path: Path) -> None:
    files = {
        "unified/a/cpu.max": "600000 100000",
        "cpu,cpuacct/docker/1/cpu.cfs_quota_us": "800000",
        "cpu,cpuacct/docker/1/cpu.cfs_period_us": "100000",
        "memory/docker/1/memory.limit_in_bytes": str(5 * GIB),
    }
    assert within(tmp_path, V1 + "0::/a\n", files) == Resources(6, 5 * GIB)


@pytest.mark.parametrize(
    "own", ["", "rubbish\n", "0::/../..\n", "0::\n", ":::\n", "0::/a/b/\xe9\n", "x" * 5000]
)
def test_what_cannot_be_read_limits_nothing(tmp_path: Path, own: str) -> None:
    (tmp_path / "up").mkdir()
    (tmp_path / "cpu.max").write_text("100000 100000")
    assert within(tmp_path / "up", own, {"other/cpu.max": "100000 100000"}) == HOST


def test_a_system_without_cgroups(tmp_path: Path) -> None:
    assert resources.within_cgroups(2, GIB, tmp_path) == Resources(2, GIB)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this platform")
def test_affinity_limits_the_cores() -> None:
    """As `taskset` and a batch system's cpuset do."""
    one = min(os.sched_getaffinity(0))
    code = "from harness.engine import resources; print(resources.of_host().cores)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {one}),
    )
    assert done.stdout == "1\n"
