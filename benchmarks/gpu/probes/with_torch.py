"""What torch does here: a phase that asks it, started as the harness starts any other.

What does not need a GPU is asked on the virtual accelerator as well.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import convolutions
from answers import Answers, WrongAnswerError
from convolutions import Stack

GIB = 2**30
MIB = 2**20
LIMIT = 2 * GIB


def main() -> int:
    """Asks; returns 0 where every answer is as it has to be."""
    # What is asked first has to be what a phase finds.
    from common.phase import Phase

    answers = Answers(Path(os.environ["OUTPUT_DIR"]))
    phase = Phase.from_environment()
    if not answers.ask("torch starts as in a phase", lambda: _started(phase)):
        return answers.code
    if phase.on_gpu:
        answers.ask("NVML lists this process", _listed)
        answers.ask("pinned copies", _copies)
        answers.ask("profiler sees pinned copies", _profiled)
        answers.ask("page-locked memory is counted", _page_locked)
        answers.ask("torch obeys a limit", _limited)
    for stack in convolutions.stacks(phase.on_gpu):
        answers.ask(f"{stack} swapped", lambda stack=stack: swapped(stack, phase.on_gpu))
    answers.ask("import keras", _keras)
    return answers.code


def _started(phase: Any) -> str:
    from frameworks import torch_backend

    devices = torch_backend.start(phase.resources)
    import torch

    cuda = f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    return f"torch {torch.__version__}, {cuda}, {', '.join(devices)}"


def _keras() -> str:
    import keras

    return f"{keras.__version__} on {keras.backend.backend()}"


def _gpu() -> Any:
    """NVML, and its handle of the phase's GPU, which the engine names by UUID."""
    import pynvml

    pynvml.nvmlInit()
    return pynvml, pynvml.nvmlDeviceGetHandleByUUID(os.environ["CUDA_VISIBLE_DEVICES"])


def _counters() -> list[int | None]:
    """Bytes that the GPU has sent and received; None for a counter that it does not have."""
    pynvml, gpu = _gpu()
    values = pynvml.nvmlDeviceGetFieldValues(gpu, [197, 198])
    return [None if entry.nvmlReturn else entry.value.ullVal for entry in values]


def _listed() -> str:
    """NVML's pids are the host's: here, where a driver samples, it has to know this one."""
    import torch

    pynvml, gpu = _gpu()
    held = torch.empty(64 * MIB, dtype=torch.uint8, device="cuda")
    entries = pynvml.nvmlDeviceGetComputeRunningProcesses_v3(gpu)
    sizes = {entry.pid: entry.usedGpuMemory for entry in entries}
    used = pynvml.nvmlDeviceGetMemoryInfo(gpu, version=pynvml.nvmlMemory_v2).used
    own = sizes.pop(os.getpid(), "absent")
    answer = (
        f"own pid {os.getpid()}: {own}; others {sorted(sizes)}; device {used // MIB} MiB,"
        f" torch reserved {torch.cuda.memory_reserved() // MIB} MiB"
    )
    del held
    if not isinstance(own, int):
        raise WrongAnswerError(answer)
    return answer


def _copies() -> str:
    """The bus: the counters beside copies of a known size."""
    import torch

    began = time.perf_counter()
    pinned = torch.empty(GIB, dtype=torch.uint8, pin_memory=True)
    pinning_s = time.perf_counter() - began
    device = torch.randint(0, 255, (GIB,), dtype=torch.uint8, device="cuda")

    def rate(target: Any, source: Any) -> str:
        target.copy_(source, non_blocking=True)
        torch.cuda.synchronize()
        before, began = _counters(), time.perf_counter()
        for _ in range(4):
            target.copy_(source, non_blocking=True)
        torch.cuda.synchronize()
        seconds = time.perf_counter() - began
        time.sleep(0.05)
        after = _counters()
        moved = [
            "unknown" if a is None or b is None else f"{(b - a) / GIB:.2f} GiB"
            for a, b in zip(before, after, strict=True)
        ]
        return f"{4 / seconds:.1f} GiB/s (4 GiB: TX counter {moved[0]}, RX {moved[1]})"

    return (
        f"out {rate(pinned, device)}, in {rate(device, pinned)}; 1 GiB pinned in {pinning_s:.2f} s"
    )


def _profiled() -> str:
    """What the meter of check 5 counts."""
    import torch

    from meters import torch_allocator

    size = 3 * MIB
    pinned = torch.empty(size, dtype=torch.uint8, pin_memory=True)
    device = torch.zeros(size, dtype=torch.uint8, device="cuda")
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities, acc_events=True) as profile:
        pinned.copy_(device, non_blocking=True)
        device.copy_(pinned, non_blocking=True)
        torch.cuda.synchronize()
    events = list(profile.profiler.kineto_results.events())
    found = torch_allocator.copies(events)
    names = sorted({event.name() for event in events if "emcpy" in event.name()})
    if (found.out_bytes, found.back_bytes) != (size, size):
        raise WrongAnswerError(f"{found} of {names}")
    return f"{found} of {names}"


def _page_locked() -> str:
    import torch

    stats = torch.cuda.host_memory_stats()
    peak = stats["allocated_bytes.peak"]
    if peak < GIB:
        raise WrongAnswerError(f"peak {peak} bytes after 1 GiB was page-locked")
    return f"peak {peak // MIB} MiB"


def _limited() -> str:
    import torch

    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(LIMIT / total)
    try:
        torch.empty(2 * LIMIT, dtype=torch.uint8, device="cuda")
    except torch.OutOfMemoryError as problem:
        return " ".join(str(problem).split())[:120]
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    raise WrongAnswerError(f"{2 * LIMIT // MIB} MiB were given under a limit of {LIMIT // MIB} MiB")


def swapped(stack: Stack, on_gpu: bool) -> str:
    """The provider's own storages without Keras: peaks by the meter, times, gradients to the bit.

    Raises:
        WrongAnswerError: the peak did not fall, nothing moved, or a gradient is another one.
    """
    import torch

    from meters import torch_allocator
    from providers.torch import host_memory, storage

    device = "cuda" if on_gpu else "cpu"
    torch.manual_seed(0)
    convolution = torch.nn.Conv2d
    layers = [
        convolution(stack.channels, stack.channels, 3, padding=1, device=device)
        for _ in range(stack.layers)
    ]
    x = torch.rand(stack.batch, stack.channels, stack.side, stack.side, device=device)
    kept = [x, *(parameter for layer in layers for parameter in layer.parameters())]
    resident = frozenset(tensor.untyped_storage()._cdata for tensor in kept)

    def step(hooks: contextlib.AbstractContextManager[Any]) -> float:
        for layer in layers:
            layer.zero_grad()
        began = time.perf_counter()
        with hooks:
            y = x
            for layer in layers:
                y = torch.relu(layer(y))
            y.square().mean().backward()
        if on_gpu:
            torch.cuda.synchronize()
        return 1000 * (time.perf_counter() - began)

    def measured(host: Any) -> tuple[Any, list[Any], float]:
        """The meter's reading, the gradients, and the time of a step that nothing reads."""
        step(_hooks(storage, host, device, resident))  # algorithms are chosen, buffers are made
        ms = step(_hooks(storage, host, device, resident))

        def both(measuring: contextlib.AbstractContextManager[Any]) -> None:
            with measuring:
                step(_hooks(storage, host, device, resident))

        reading = torch_allocator.measure(both, on_gpu)
        return reading, [layer.weight.grad.clone() for layer in layers], ms

    plain, gradients, plain_ms = measured(None)
    modes = [True, False] if on_gpu else [True]
    for synchronous in modes:
        host = host_memory.PinnedMemory(synchronous) if on_gpu else host_memory.NumpyMemory()
        ours, again, ms = measured(host)
        if synchronous:
            waiting_ms = ms
    low, high = ours.accelerator_peak_bytes, plain.accelerator_peak_bytes
    equal = all(torch.equal(one, other) for one, other in zip(gradients, again, strict=True))
    times = f"{waiting_ms:.1f}" + (f", not waiting {ms:.1f}" if on_gpu else "")
    answer = (
        f"peak {high / MIB:.0f} -> {low / MIB:.0f} MiB ({low / high:.2f}),"
        f" {ours.swap_out_executed} out and {ours.swap_in_executed} in,"
        f" {(ours.swap_out_bytes or 0) / MIB:.0f} MiB out, step {plain_ms:.1f} -> {times} ms,"
        f" gradients {'bit-equal' if equal else 'DIFFER'}"
    )
    if low >= high or not ours.swap_out_executed or not ours.swap_in_executed or not equal:
        raise WrongAnswerError(answer)
    return answer


@contextlib.contextmanager
def _hooks(storage: Any, host: Any, device: str, resident: frozenset[int]) -> Iterator[None]:
    """The hooks of one step; none without a host."""
    import torch

    if host is None:
        yield
        return
    made = storage.Step(host, device, resident)
    with torch.autograd.graph.saved_tensors_hooks(made.pack, made.unpack):
        yield
    host.finish()


if __name__ == "__main__":
    sys.exit(main())
