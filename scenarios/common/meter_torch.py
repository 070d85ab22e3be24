"""The meter of Keras 3 on torch: what one step did with memory, as torch itself saw it.

Nothing that Large Model Support says about itself goes in. On a GPU: the allocator's peak counter,
and the profiler's record of copies between page-locked memory and the device, which are those of a
swap; a batch comes from pageable memory. Without one: the profiler's record of torch's CPU
allocator, which stands for the accelerator, and the copies between its memory and memory that
somebody else allocated, as torch's dispatcher saw them.
"""

import re

_BYTES = re.compile(r'"bytes": (\d+)')


def measure(run, on_gpu):
    """What one step did, as a dict ready for `common.step`.

    run: runs the step once; on a GPU it is called twice, because the first call of a kernel may
        try algorithms and take memory for that. on_gpu: whether the model is on a GPU.

    accelerator_peak_bytes: greatest number of bytes of the step that were alive on the
        accelerator at one time; memory from before the step is not in it.
    accelerator_retained_bytes: allocated by the step and not released when it ended.
    accelerator_bound_bytes: size of all inputs and outputs of the operation for which that is
        greatest, of memory of the step; None on a GPU.
    host_peak_bytes: on a GPU, peak of torch's page-locked memory, from before the step too; without
        one, peak of the memory that numpy allocated during the step.
    swap_out_executed, swap_in_executed, swap_out_bytes, swap_in_bytes: the copies.

    A value is None where torch recorded nothing to tell it from.
    """
    return _measure_gpu(run) if on_gpu else _measure_cpu(run)


def _measure_cpu(run):
    import torch

    profiler = torch.profiler
    watch = _watch()
    with profiler.profile(
        activities=[profiler.ProfilerActivity.CPU], profile_memory=True, acc_events=True
    ) as profile:
        with _TracedNumpy(), watch:
            run()
    changes = [
        (event.start_ns(), event.nbytes())
        for event in profile.profiler.kineto_results.events()
        if event.name() == "[memory]"
    ]
    peak, retained = _peak_and_rest(changes)
    return {
        "accelerator_peak_bytes": peak,
        "accelerator_retained_bytes": retained,
        "accelerator_bound_bytes": watch.bound_bytes,
        "host_peak_bytes": watch.host_peak_bytes,
        "swap_out_executed": watch.out_count,
        "swap_in_executed": watch.in_count,
        "swap_out_bytes": watch.out_bytes,
        "swap_in_bytes": watch.in_bytes,
    }


def _peak_and_rest(changes):
    """Greatest sum of changes up to one time, and the sum of all."""
    if not changes:
        return None, None
    live = peak = 0
    for _, size in sorted(changes, key=lambda change: change[0]):
        live += size
        peak = max(peak, live)
    return peak, live


class _TracedNumpy(object):
    """Python's allocation tracer, which numpy tells of its memory."""

    def __enter__(self):
        import tracemalloc

        self._started = not tracemalloc.is_tracing()
        if self._started:
            tracemalloc.start(1)

    def __exit__(self, *raised):
        import tracemalloc

        if self._started:
            tracemalloc.stop()


def _numpy_bytes():
    import tracemalloc

    import numpy as np

    only = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([only]).traces)


def _watch():
    """A dispatch mode: it sees every operation of torch, in the backward pass as well."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_flatten

    class Watch(TorchDispatchMode):
        def __init__(self):
            super(Watch, self).__init__()
            self.out_count = self.in_count = self.out_bytes = self.in_bytes = 0
            self.bound_bytes = self.host_peak_bytes = None
            self._of_step = set()  # storages that operations of the step made

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            taken = _storages(tree_flatten((args, kwargs))[0])
            given = _storages(tree_flatten(result)[0])
            self._of_step.update(set(given) - set(taken))
            taken.update(given)
            size = sum(taken[name].nbytes() for name in set(taken) & self._of_step)
            self.bound_bytes = max(self.bound_bytes or 0, size)
            if function is torch.ops.aten.copy_.default and not _is_variable(args[0]):
                self._count(args[0], args[1])
            return result

        def _count(self, target, source):
            if _is_foreign(target) and not _is_foreign(source):
                self.out_count += 1
                self.out_bytes += target.nbytes
                self.host_peak_bytes = max(self.host_peak_bytes or 0, _numpy_bytes())
            elif _is_foreign(source) and not _is_foreign(target):
                self.in_count += 1
                self.in_bytes += target.nbytes

    def _storages(values):
        return {
            storage._cdata: storage
            for storage in (
                value.untyped_storage() for value in values if isinstance(value, torch.Tensor)
            )
        }

    return Watch()


def _is_variable(tensor):
    import torch

    # Keras may have made it from an array of numpy's, and assigns to it.
    return isinstance(tensor, torch.nn.Parameter)


def _is_foreign(tensor):
    # torch can resize only what its own allocator gave.
    return not tensor.untyped_storage().resizable()


def _measure_gpu(run):
    import torch

    cuda = torch.cuda
    run()
    cuda.synchronize()
    before = cuda.memory_allocated()
    cuda.reset_peak_memory_stats()
    profiler = torch.profiler
    with profiler.profile(
        activities=[profiler.ProfilerActivity.CPU, profiler.ProfilerActivity.CUDA],
        acc_events=True,
    ) as profile:
        run()
        cuda.synchronize()
    measured = {
        "accelerator_peak_bytes": cuda.max_memory_allocated() - before,
        "accelerator_retained_bytes": cuda.memory_allocated() - before,
        "accelerator_bound_bytes": None,
        "host_peak_bytes": _pinned_peak(cuda),
    }
    measured.update(copies(profile.profiler.kineto_results.events()))
    return measured


def copies(events):
    """Copies between page-locked memory and the device, from a profiler's events.

    Without any event of a copy, of whatever memory, the profiler saw no device: all None.
    """
    kinds = [event for event in events if event.name().startswith("Memcpy")]
    out = [e for e in kinds if "DtoH" in e.name() and "Pinned" in e.name()]
    back = [e for e in kinds if "HtoD" in e.name() and "Pinned" in e.name()]
    return {
        "swap_out_executed": len(out) if kinds else None,
        "swap_in_executed": len(back) if kinds else None,
        "swap_out_bytes": _bytes(out) if kinds else None,
        "swap_in_bytes": _bytes(back) if kinds else None,
    }


def _bytes(events):
    found = [_BYTES.search(event.metadata_json()) for event in events]
    return None if None in found else sum(int(match.group(1)) for match in found)


def _pinned_peak(cuda):
    if not hasattr(cuda, "host_memory_stats"):
        return None
    return cuda.host_memory_stats().get("allocated_bytes.peak")
