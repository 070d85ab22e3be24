"""What a machine with a GPU gives: NVML, the process's place, torch and jax.

    python -m benchmarks.gpu.sanity DIRECTORY GPU [--xla-flags FLAGS]

The frameworks are asked by probes, which are started as the harness starts a phase: what a phase
lacks, they lack. Each answer is in a file below DIRECTORY as soon as it is known.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shlex
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pynvml

from benchmarks.gpu.probes.answers import FILE, Answers, WrongAnswerError
from benchmarks.gpu.steps import STAND_IN
from harness.catalog import catalog
from harness.catalog.entry import CUDA_PLACES
from harness.catalog.flavors import Flavor
from harness.engine.protocol import Exit, Launch
from harness.engine.venv.engine import VenvEngine
from harness.engine.venv.process_tree import ProcessTree
from harness.measure.gpu import Gpu
from harness.measure.nvml import Nvml
from harness.measure.sampler import Sampler
from harness.measure.samples import Samples
from harness.record.models import Outcome

ROOT = Path(__file__).resolve().parents[2]
MIB = 2**20
SAMPLING_S = 2.0
CALLS = 50
PROBE_S = 80.0
# Variables by which XLA finds the rest of CUDA.
NAMED = ("PATH", *CUDA_PLACES, "LD_LIBRARY_PATH", "XLA_FLAGS")


@dataclass(frozen=True)
class Probe:
    """A script that asks a framework, as a phase of a flavor."""

    name: str
    flavor: Flavor
    script: str
    variables: Mapping[str, str] = field(default_factory=dict)


def main() -> int:
    """Asks everything; returns 0 where every answer is as it has to be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("directory", type=Path)
    parser.add_argument("gpu")
    parser.add_argument("--xla-flags", default="", help="ask jax with these flags of XLA as well")
    options = parser.parse_args()
    directory = options.directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    (directory / STAND_IN).unlink(missing_ok=True)
    _nvidia_smi(directory)
    with Nvml() as nvml:
        gpu = nvml.find_gpu(options.gpu)
        codes = [host(gpu, directory / "host")]
        flavors = {entry.id: entry for entry in catalog.load(ROOT).flavors}
        jax = Probe("jax", flavors["keras3-jax"], "with_jax.py")
        probes = [Probe("torch", flavors["keras3-torch"], "with_torch.py"), jax]
        # Side by side: both are read from a cold disk.
        with ThreadPoolExecutor(len(probes)) as pool:
            ends = list(pool.map(lambda probe: ask(probe, gpu, directory), probes))
        codes += map(code_of, ends)
        if ends[-1].outcome is Outcome.FAILED and not _compiles(directory / jax.name):
            _with_all_variables(jax, gpu, directory)
        if options.xla_flags:
            variables = {"XLA_FLAGS": options.xla_flags}
            other = replace(jax, name="jax-flags", variables=variables)
            codes.append(code_of(ask(other, gpu, directory)))
    return int(any(codes))


def code_of(ended: Exit) -> int:
    """The exit code of a probe; 1 where it has none of its own."""
    return 1 if ended.code is None else ended.code


def ask(probe: Probe, gpu: Gpu, directory: Path) -> Exit:
    """Runs a probe as a phase; says how it ended. Its output is printed when it has ended."""
    own = directory / probe.name
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(parents=True)
    engine = VenvEngine(ROOT / ".cache")
    try:
        ended = engine.execute(
            _launch(probe, engine, gpu, own), lambda target: None, threading.Event()
        )
    finally:
        engine.close()
    text = "".join(
        (own / name).read_text(encoding="utf-8", errors="replace")
        for name in ("stdout.log", "stderr.log")
        if (own / name).is_file()
    )
    print(f"-- {probe.name}: {ended.outcome.value} {ended.reason}\n{text[-4000:]}", flush=True)
    return ended


def _with_all_variables(probe: Probe, gpu: Gpu, directory: Path) -> None:
    """Tells what jax lacks from what a phase is not given: asks again with this shell's variables.

    Where jax compiles with these alone, `python-jax` in the directory is an interpreter that has
    them, so that the rest of the day can go on.
    """
    own = directory / f"{probe.name}-all-variables"
    own.mkdir(exist_ok=True)
    launch = _launch(probe, VenvEngine(ROOT / ".cache"), gpu, own)
    variables = {
        **os.environ,
        **launch.variables,
        "PYTHONPATH": str(launch.scenarios),
        "OUTPUT_DIR": str(own),
        "CUDA_VISIBLE_DEVICES": gpu.uuid,
    }
    python = launch.environment.handle
    command = [python, "-s", "-u", str(launch.scenarios / launch.script)]
    print("-- jax with all variables of this shell", flush=True)
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(command, env=variables, timeout=PROBE_S / 2)
    if not _compiles(own):
        return
    print("FINDING: jax works with this shell's variables and not with a phase's", flush=True)
    given = {name: os.environ[name] for name in NAMED if name in os.environ}
    words = " ".join(f"{name}={shlex.quote(value)}" for name, value in given.items())
    stand_in = directory / STAND_IN
    stand_in.write_text(f'#!/bin/sh\n{words} exec {shlex.quote(python)} "$@"\n', encoding="utf-8")
    stand_in.chmod(0o755)


def _compiles(directory: Path) -> bool:
    try:
        answers = json.loads((directory / FILE).read_bytes())
    except (OSError, ValueError):
        return False
    return bool(answers.get("jax compiles and runs", {}).get("ok"))


def _launch(probe: Probe, engine: VenvEngine, gpu: Gpu, directory: Path) -> Launch:
    flavor = probe.flavor
    variables = {
        **flavor.variables,
        **probe.variables,
        "LMS_PROVIDER": "builtin",
        "ACCELERATOR": "gpu",
        "KERAS": flavor.keras,
        "EXECUTION_MODE": flavor.mode,
    }
    return Launch(
        key=probe.name,
        run_id="gpu-sanity",
        environment=engine.prepare(flavor, "gpu", print, threading.Event()),
        script=f"../benchmarks/gpu/probes/{probe.script}",
        variables=variables,
        scenarios=ROOT / "scenarios",
        data=directory,
        input=None,
        output=directory,
        logs=directory,
        gpu=gpu.uuid,
        deadline_s=PROBE_S,
        cold=True,
    )


def host(gpu: Gpu, directory: Path) -> int:
    """What NVML and the kernel say; returns 0 where it is what the harness can work with."""
    directory.mkdir(parents=True, exist_ok=True)
    answers = Answers(directory)
    handle = pynvml.nvmlDeviceGetHandleByUUID(gpu.uuid)
    for name, function in (
        ("GPU", lambda: _facts(gpu)),
        ("memory call", lambda: _memory(gpu)),
        ("PCIe counters 197, 198", lambda: _counters(handle)),
        ("PCIe throughput", lambda: _throughput(gpu)),
        ("memory by process", lambda: _processes(gpu)),
        ("accounting", lambda: _accounting(handle)),
        ("state", lambda: _state(handle)),
        ("cost of a call", lambda: _costs(gpu)),
        ("sampler at 20 Hz", lambda: _sampled(gpu, directory)),
        ("pid namespace", _namespace),
        ("cgroup", _cgroup),
        ("host memory", _host_memory),
        ("tools of a phase", _tools),
    ):
        answers.ask(name, function)
    return answers.code


def _facts(gpu: Gpu) -> str:
    size = "?" if gpu.total_bytes is None else gpu.total_bytes // MIB
    versions = f"driver {gpu.driver_version}, CUDA {gpu.cuda_driver_version}"
    return f"{gpu.name}, {versions}, {size} MiB, {gpu.uuid}"


def _memory(gpu: Gpu) -> str:
    with Nvml() as nvml:
        found = nvml.open(gpu.uuid).memory()
    if found is None:
        raise WrongAnswerError("NVML tells no memory")
    reserved = "unknown" if found.reserved is None else f"{found.reserved // MIB} MiB"
    return f"version {found.version}, used {found.used // MIB} MiB, reserved {reserved}"


def _counters(handle: Any) -> str:
    """As the driver gives them, and as wide as their type says."""
    entries = pynvml.nvmlDeviceGetFieldValues(handle, [197, 198])
    codes = [entry.nvmlReturn for entry in entries]
    if any(codes):
        raise WrongAnswerError(f"return codes {codes}: throughput is what is left")
    # nvmlValueType_t: 1 unsigned int, 2 unsigned long, 3 unsigned long long.
    kinds = [entry.valueType for entry in entries]
    values = [entry.value.ullVal if entry.valueType > 1 else entry.value.uiVal for entry in entries]
    bits = [64 if kind > 1 else 32 for kind in kinds]
    return f"value types {kinds} ({bits} bits), values {values}"


def _throughput(gpu: Gpu) -> str:
    with Nvml() as nvml:
        found = nvml.open(gpu.uuid).pcie_throughput()
    return "not supported" if found is None else f"{found[0]} and {found[1]} KiB/s"


def _processes(gpu: Gpu) -> str:
    with Nvml() as nvml:
        found = nvml.open(gpu.uuid).process_memory()
    if found is None:
        raise WrongAnswerError("NVML lists no processes: the device's memory is what is left")
    return f"{len(found)} with a context: {found}"


def _accounting(handle: Any) -> str:
    """Only asked: it is a setting of the device."""
    try:
        mode = pynvml.nvmlDeviceGetAccountingMode(handle)
        room = pynvml.nvmlDeviceGetAccountingBufferSize(handle)
    except pynvml.NVMLError as problem:
        return f"not supported ({problem})"
    return f"{'on' if mode else 'off'}, room for {room} processes"


def _state(handle: Any) -> str:
    parts = []
    for name, function in (
        ("persistence", "nvmlDeviceGetPersistenceMode"),
        ("compute mode", "nvmlDeviceGetComputeMode"),
        ("MIG", "nvmlDeviceGetMigMode"),
        ("PCIe generation", "nvmlDeviceGetCurrPcieLinkGeneration"),
        ("lanes", "nvmlDeviceGetCurrPcieLinkWidth"),
        ("ECC", "nvmlDeviceGetEccMode"),
    ):
        try:
            parts.append(f"{name} {getattr(pynvml, function)(handle)}")
        except pynvml.NVMLError as problem:
            parts.append(f"{name} not known ({problem})")
    return ", ".join(parts)


def _costs(gpu: Gpu) -> str:
    """Median wall time of each of the calls that a sample is made of."""
    with Nvml() as nvml:
        device = nvml.open(gpu.uuid)
        calls = (device.memory, device.process_memory, device.pcie_counters)
        return ", ".join(f"{call.__name__} {_median_us(call):.0f} us" for call in calls)


def _median_us(call: Callable[[], object]) -> float:
    seconds = []
    for _ in range(CALLS):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return 1e6 * statistics.median(seconds)


def _sampled(gpu: Gpu, directory: Path) -> str:
    """The harness' own sampler, beside this process."""
    with Nvml() as nvml:
        path = directory / "samples.csv"
        sampler = Sampler(nvml.open(gpu.uuid), ProcessTree(os.getpid()), path)
        sampler.start()
        time.sleep(SAMPLING_S)
        found: Samples = sampler.stop()
    cost = "?" if found.cpu_s is None else f"{1e6 * found.cpu_s / found.n:.0f} us"
    answer = (
        f"{found.n} samples in {found.duration_s:.1f} s,"
        f" largest gap {1000 * found.max_gap_s:.0f} ms, {found.missed} missed,"
        f" {cost} of processor each, memory version {found.memory_version},"
        f" {found.pcie_source or 'no PCIe bytes'} {found.pcie_bits or '?'} bits"
    )
    if found.error:
        raise WrongAnswerError(f"{answer}: {found.error}")
    return answer


def _namespace() -> str:
    """NVML's pids are the host's; more than one NSpid says that this process's are not."""
    status = Path("/proc/self/status").read_text().splitlines()
    pids = [line.split()[1:] for line in status if line.startswith("NSpid")]
    return f"pid {os.getpid()}, NSpid {pids}, 1 is {Path('/proc/1/comm').read_text().strip()}"


def _cgroup() -> str:
    lines = Path("/proc/self/cgroup").read_text().split()
    own = [line[3:] for line in lines if line.startswith("0::")]
    folder = Path("/sys/fs/cgroup", *(entry.lstrip("/") for entry in own))
    found = {}
    for name in ("memory.current", "memory.max", "memory.peak", "memory.stat"):
        try:
            found[name] = (folder / name).read_text().splitlines()[0]
        except (OSError, IndexError) as problem:
            found[name] = getattr(problem, "strerror", "empty")
    return f"{lines}, {found}"


def _host_memory() -> str:
    text = Path("/proc/meminfo").read_text()
    found = dict(line.split(":", 1) for line in text.splitlines())
    wanted = ("MemTotal", "MemAvailable", "Shmem", "Mlocked")
    sizes = ", ".join(f"{name} {found.get(name, '?').strip()}" for name in wanted)
    return f"{sizes}; memlock {resource.getrlimit(resource.RLIMIT_MEMLOCK)}"


def _tools() -> str:
    """What XLA looks for, on a phase's PATH and in the variables that name a place."""
    path = "/usr/local/bin:/usr/bin:/bin"
    programs = {name: shutil.which(name, path=path) for name in ("ptxas", "nvlink", "nvcc")}
    here = " ".join(f"{name}={os.environ[name]}" for name in NAMED if name in os.environ)
    return f"{programs}; in this shell {here or 'none of the variables'}"


def _nvidia_smi(directory: Path) -> None:
    if shutil.which("nvidia-smi") is None:
        print("nvidia-smi is not here")
        return
    subprocess.run(["nvidia-smi"])
    with (directory / "nvidia-smi-q.txt").open("wb") as file:
        subprocess.run(["nvidia-smi", "-q"], stdout=file)


if __name__ == "__main__":
    sys.exit(main())
