"""NVML through the real `pynvml`, over a library that plays GPUs (`fake_nvml`)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.measure import gpu as gpus
from harness.measure import nvml
from tests import fake_nvml
from tests.fake_nvml import GIB, MIB, Gpu, Scenario
from tests.nvml import fixture

nvml_library = fixture.nvml_library

ASK = """
import dataclasses, json, sys
from harness.measure.gpu import NvmlError
from harness.measure.nvml import Nvml

def plain(value):
    if dataclasses.is_dataclass(value):
        return dataclasses.asdict(value)
    return [plain(one) for one in value] if isinstance(value, list) else value

answers = []
try:
    with Nvml() as nvml:
        for question in sys.argv[1:]:
            try:
                answers.append(plain(eval(question)))
            except NvmlError as error:
                answers.append([type(error).__name__, str(error)])
except NvmlError as error:
    answers = [[type(error).__name__, str(error)]] * (len(sys.argv) - 1)
print(json.dumps(answers))
"""

A = "GPU-aaaa1111-0000-0000-0000-000000000000"
B = "GPU-aabb2222-0000-0000-0000-000000000000"
SLICE = "MIG-cccc3333-0000-0000-0000-000000000000"


@pytest.fixture
def ask(nvml_library: Path, tmp_path: Path) -> Any:
    """Evaluates questions about `nvml` in a process that plays a scenario."""

    def answers(scenario: Scenario, *questions: str) -> Any:
        path = scenario.write(tmp_path / "scenario")
        found = fake_nvml.run(ASK, nvml_library, path, *questions)
        return found[0] if len(questions) == 1 else found

    return answers


def one_line(answer: list[str], kind: str) -> str:
    """The text of an error, checked for what every error must be."""
    name, text = answer
    assert name == kind
    assert "\n" not in text
    assert 20 < len(text) < 400
    assert "GPU=none" in text
    return text


def test_importing_loads_nothing() -> None:
    code = (
        "import sys, harness.measure.nvml, harness.measure.sampler;"
        " sys.exit('pynvml' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=fake_nvml.ROOT)


def test_facts(ask: Any) -> None:
    scenario = Scenario(
        [
            Gpu(A, "NVIDIA A100-SXM4-40GB", total=40 * GIB, mig=False),
            Gpu(B, "Tesla T4", total=15 * GIB, capability=(7, 5), memory=1),
        ],
        cuda=12080,
    )
    first, second = ask(scenario, "nvml.list_gpus()")
    assert first == {
        "index": 0,
        "uuid": A,
        "name": "NVIDIA A100-SXM4-40GB",
        "total_bytes": 40 * GIB,
        "driver_version": "550.54.15",
        "cuda_driver_version": "12.8",
        "compute_capability": [8, 0],
        "mig_enabled": False,
        "parent_uuid": None,
    }
    assert second["index"] == 1
    assert second["compute_capability"] == [7, 5]
    assert second["total_bytes"] == 15 * GIB
    assert second["mig_enabled"] is None


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (9, "DriverNotLoadedError", "modprobe"),
        (18, "DriverMismatchError", "reboot"),
        (4, "NoPermissionError", "/dev/nvidia"),
        (999, "UnknownNvmlError", "999 (Unknown Error)"),
        (77, "UnknownNvmlError", "77 (an error that the fake library plays)"),
    ],
)
def test_init_errors(ask: Any, code: int, kind: str, words: str) -> None:
    text = one_line(ask(Scenario(init=code), "nvml.list_gpus()"), kind)
    assert words in text


def test_no_library(tmp_path: Path) -> None:
    # A file that is no library stands before any driver that the machine may have.
    (tmp_path / "libnvidia-ml.so.1").write_text("")
    (answer,) = fake_nvml.run(ASK, tmp_path, None, "nvml.list_gpus()")
    assert "libnvidia-ml.so.1" in one_line(answer, "LibraryNotFoundError")


def test_find(ask: Any) -> None:
    selectors = ["0", "1", B, B.lower(), "GPU-aaaa", "gpu-AAB"]
    answers = ask(
        Scenario([Gpu(A), Gpu(B)]), *(f"nvml.find_gpu({one!r}).uuid" for one in selectors)
    )
    assert answers == [A, B, B, B, A, B]


@pytest.mark.parametrize("selector", ["2", "GPU-ff", "MIG-1", "GPU-aa", "all", "0,1", "", "-1"])
def test_find_nothing(ask: Any, selector: str) -> None:
    answer = ask(Scenario([Gpu(A, "Tesla T4"), Gpu(B)]), f"nvml.find_gpu({selector!r})")
    text = one_line(answer, "NoSuchGpuError")
    assert f"'{selector}'" in text
    assert f"0: Tesla T4 ({A})" in text
    assert B in text


def test_no_gpu_at_all(ask: Any) -> None:
    listed, found = ask(Scenario(), "nvml.list_gpus()", "nvml.find_gpu('0')")
    assert listed == []
    assert "has none" in one_line(found, "NoSuchGpuError")


def test_an_unusable_gpu_does_not_hide_the_others(ask: Any) -> None:
    scenario = Scenario([Gpu(A, unusable=15), Gpu(B)])
    listed, lost, other, opened = ask(
        scenario,
        "[gpu.index for gpu in nvml.list_gpus()]",
        "nvml.find_gpu('0')",
        "nvml.find_gpu('1').uuid",
        f"nvml.open({A!r})",
    )
    assert listed == [1]
    assert "GPU 0 is lost" in one_line(lost, "GpuLostError")
    assert other == B
    one_line(opened, "GpuLostError")


@pytest.mark.parametrize(("code", "kind"), [(4, "NoPermissionError"), (16, "GpuLostError")])
def test_no_usable_gpu(ask: Any, code: int, kind: str) -> None:
    one_line(ask(Scenario([Gpu(A, unusable=code)]), "nvml.list_gpus()"), kind)


def test_open_unknown(ask: Any) -> None:
    one_line(ask(Scenario([Gpu(A)]), "nvml.open('GPU-no')"), "NoSuchGpuError")


def test_mig(ask: Any) -> None:
    part = Gpu(SLICE, "NVIDIA A100 MIG 1g.5gb", total=5 * GIB, curve=[(0, 7 * MIB)])
    scenario = Scenario([Gpu(B), Gpu(A, "NVIDIA A100", mig=True, slices=[part])])
    listed, whole, found, memory, counters, throughput = ask(
        scenario,
        "[(gpu.index, gpu.mig_enabled) for gpu in nvml.list_gpus()]",
        "nvml.find_gpu('1')",
        "nvml.find_gpu('MIG-cc')",
        f"nvml.open({SLICE!r}).memory()",
        f"nvml.open({SLICE!r}).pcie_counters()",
        f"nvml.open({SLICE!r}).pcie_throughput()",
    )
    assert listed == [[0, None], [1, True]]
    assert SLICE in one_line(whole, "MigEnabledError")
    assert found["uuid"] == SLICE
    assert found["parent_uuid"] == A
    assert found["index"] == 1
    assert found["mig_enabled"] is True
    assert found["total_bytes"] == 5 * GIB
    assert memory["used"] == 7 * MIB
    # The bus is that of the whole GPU: nothing of it can be said to be the slice's.
    assert counters is None
    assert throughput is None


def test_mig_without_a_slice(ask: Any) -> None:
    text = one_line(ask(Scenario([Gpu(A, mig=True)]), "nvml.find_gpu('0')"), "MigEnabledError")
    assert "create one" in text


@pytest.mark.parametrize(
    ("version", "used", "reserved"), [(2, 100 * MIB, 300 * MIB), (1, 400 * MIB, None)]
)
def test_memory(ask: Any, version: int, used: int, reserved: int | None) -> None:
    gpu = Gpu(A, total=GIB, reserved=300 * MIB, memory=version, curve=[(0, 100 * MIB)])
    memory = ask(Scenario([gpu]), f"nvml.open({A!r}).memory()")
    assert memory == {
        "used": used,
        "free": GIB - 400 * MIB,
        "total": GIB,
        "reserved": reserved,
        "version": version,
    }


def test_memory_not_supported(ask: Any) -> None:
    total, memory = ask(
        Scenario([Gpu(A, memory=0)]),
        "nvml.find_gpu('0').total_bytes",
        f"nvml.open({A!r}).memory()",
    )
    assert total is None
    assert memory is None


@pytest.mark.parametrize("version", [3, 2])
def test_processes(ask: Any, version: int) -> None:
    # A pid with two contexts is summed; a size that is not available is not 0.
    entries = [(10, 5, 0, 9), (11, None, 0, 9), (12, 7, 0, 9), (12, 8, 0, 9), (13, 1, 5, 9)]
    gpu = Gpu(A, processes=version, process=entries)
    sizes = ask(Scenario([gpu], clock="calls"), f"nvml.open({A!r}).process_memory()")
    assert sizes == {"10": 5, "11": None, "12": 15}


def test_no_processes(ask: Any) -> None:
    assert ask(Scenario([Gpu(A)]), f"nvml.open({A!r}).process_memory()") == {}


@pytest.mark.parametrize("gpu", [Gpu(A, processes=0), Gpu(A, processes_error=4)])
def test_processes_not_supported(ask: Any, gpu: Gpu) -> None:
    assert ask(Scenario([gpu]), f"nvml.open({A!r}).process_memory()") is None


@pytest.mark.parametrize(
    ("driver", "newest"),
    [
        (None, 3),
        ("550.54.15", 3),
        ("535.43.02", 2),
        ("535.86.10", 2),
        ("535.104.05", 3),
        ("470.82", 3),
        ("?", 3),
    ],
)
def test_process_calls(driver: str | None, newest: int) -> None:
    calls = nvml.process_calls(driver)
    assert calls[0].endswith(f"_v{newest}")
    assert calls[-1].endswith("_v2")


def test_processes_that_come_up_between_two_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    class TooSmallError(Exception):
        value = 7

    answers = iter([TooSmallError(), [SimpleNamespace(pid=1, usedGpuMemory=2)]])

    def listing(handle: object) -> Any:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    binding = SimpleNamespace(
        NVMLError=TooSmallError, nvmlDeviceGetComputeRunningProcesses_v3=listing
    )
    monkeypatch.setattr(nvml, "_binding", lambda: binding)
    assert nvml.NvmlDevice(A, None, None).process_memory() == {1: 2}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (64, [(5 << 32) + 1, (6 << 32) + 2, 64]),
        (32, [1, 2, 32]),
        (3264, [1, 2, 64]),
        (0, None),
    ],
)
def test_counters(ask: Any, kind: int, expected: Any) -> None:
    gpu = Gpu(A, counters=kind, curve=[(0, 0, (5 << 32) + 1, (6 << 32) + 2)])
    assert ask(Scenario([gpu]), f"nvml.open({A!r}).pcie_counters()") == expected


def test_throughput(ask: Any) -> None:
    question = f"nvml.open({A!r}).pcie_throughput()"
    assert ask(Scenario([Gpu(A, throughput=(300, 400, 0))]), question) == [300, 400]
    assert ask(Scenario([Gpu(A)]), question) is None


@pytest.mark.parametrize("code", [15, 16])
def test_gpu_lost(ask: Any, code: int) -> None:
    gpu = Gpu(A, lost=(code, "calls", 1))
    first, *rest = ask(
        Scenario([gpu]),
        f"nvml.open({A!r}).memory().version",
        f"nvml.open({A!r}).memory()",
        f"nvml.open({A!r}).process_memory()",
        f"nvml.open({A!r}).pcie_counters()",
        f"nvml.open({A!r}).pcie_throughput()",
        "nvml.find_gpu('0')",
    )
    assert first == 2
    for answer in rest:
        one_line(answer, "GpuLostError")


def test_references_are_counted(ask: Any) -> None:
    inner, outer = ask(
        Scenario([Gpu(A)]),
        "nvml.__enter__().__exit__(None, None, None)",
        "len(nvml.list_gpus())",
    )
    assert inner is None
    assert outer == 1
    gone, again = ask(
        Scenario([Gpu(A)]), "nvml.__exit__(None, None, None) or nvml.list_gpus()", "1"
    )
    assert "Uninitialized" in one_line(gone, "UnknownNvmlError")
    assert again == 1


def test_live_file(ask: Any, tmp_path: Path) -> None:
    live = tmp_path / "live"
    fake_nvml.write_live(live, 5 * MIB, tx=6, rx=7, process={12: 3})
    memory, counters, processes = ask(
        Scenario([Gpu(A)], live=live),
        f"nvml.open({A!r}).memory().used",
        f"nvml.open({A!r}).pcie_counters()",
        f"nvml.open({A!r}).process_memory()",
    )
    assert memory == 5 * MIB
    assert counters == [6, 7, 64]
    assert processes == {"12": 3}


@pytest.mark.parametrize("code", [*range(1, 31), 999])
def test_every_code_has_one_line(code: int) -> None:
    error = gpus.error_for(code, "GPU 0", "Some Text")
    assert error.code == code
    assert "\n" not in str(error)
    if not isinstance(error, gpus.NotSupportedError):
        one_line([type(error).__name__, str(error)], type(error).__name__)


class Draining:
    """A device that frees its memory step by step."""

    uuid = A

    def __init__(self, *used: int) -> None:
        self.used = list(used)

    def memory(self) -> gpus.Memory | None:
        used = self.used.pop(0) if len(self.used) > 1 else self.used[0]
        return gpus.Memory(used, 0, 100, 0, 2)

    def process_memory(self) -> dict[int, int | None] | None:
        return {44: 1, 33: None}

    def pcie_counters(self) -> tuple[int, int, int] | None:
        return None

    def pcie_throughput(self) -> tuple[int, int] | None:
        return None


def test_wait_until_free() -> None:
    waits: list[float] = []
    memory = gpus.wait_until_free(Draining(9, 9, 5, 1), at_most=5, sleep=waits.append)
    assert memory is not None
    assert memory.used == 5
    assert len(waits) == 2


def test_wait_until_free_names_who_holds_it() -> None:
    with pytest.raises(gpus.GpuBusyError, match="33, 44"):
        gpus.wait_until_free(Draining(9), at_most=5, timeout_s=0.01, interval_s=0.001)
