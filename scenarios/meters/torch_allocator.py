"""The meter of Keras 3 on torch: what one step did with memory, as torch itself saw it.

Nothing that Large Model Support says about itself goes in. On a GPU: the allocator's peak counter,
and the profiler's record of copies between page-locked memory and the device, which are those of a
swap; a batch comes from pageable memory. Without one: the profiler's record of torch's CPU
allocator, which stands for the accelerator, and the copies between its memory and memory that
somebody else allocated, as torch's dispatcher saw them.
"""

import contextlib
import gc
import re
import time
import typing

from meters import host_memory, measurement
from meters.measurement import Copies, Count, Measurement, Points, StepSeries

_NANOSECONDS = 1000  # of a microsecond
_BYTES = re.compile(r'"bytes": (\d+)')


Run = typing.Callable[[typing.ContextManager[typing.Any]], typing.Any]


def measure(run: Run, on_gpu: bool) -> Measurement:
    """What one step did.

    run: runs steps, the one to measure within the context that it is given, and on a GPU one before
        it: the first call of a kernel may try algorithms and take memory for that. on_gpu: whether
        the model is on a GPU.

    accelerator_bound_bytes: of memory of the step; None on a GPU.
    host_peak_bytes: on a GPU, peak of torch's page-locked memory, from before the step too; without
        one, peak of the memory that numpy allocated during the step.
    """
    recorder = _GpuRecorder() if on_gpu else _CpuRecorder()
    run(recorder)
    return recorder.measurement()


def within(run: typing.Callable[[], typing.Any]) -> Run:
    """Runs a step twice, the second time within the context."""

    def twice(measuring: typing.ContextManager[typing.Any]) -> None:
        run()
        with measuring:
            run()

    return twice


class _Recorder:
    """The context of a step that is measured."""

    def __enter__(self) -> "_Recorder":
        self._entered = contextlib.ExitStack()
        self._begin(self._entered)
        self._began = time.monotonic()
        self._began_ns = time.time_ns()
        return self

    def __exit__(self, *raised: typing.Any) -> None:
        self._ended_ns = time.time_ns()
        self._entered.close()

    def _begin(self, entered: contextlib.ExitStack) -> None:
        raise NotImplementedError

    def measurement(self) -> Measurement:
        """What was recorded."""
        raise NotImplementedError

    def _micros(self, nanoseconds: int) -> int:
        """Since the step began; the profiler's clock is that of the system."""
        return max(0, (nanoseconds - self._began_ns) // _NANOSECONDS)


class _CpuRecorder(_Recorder):
    def _begin(self, entered: contextlib.ExitStack) -> None:
        import torch

        profiler = torch.profiler
        # Cycles hold tensors until Python collects them. When it does so next follows from what was
        # made since the last time, and with that the peak of the step: so it is the same each time.
        gc.collect()
        self._resident = _resident_bytes()
        self._profile = entered.enter_context(
            profiler.profile(
                activities=[profiler.ProfilerActivity.CPU], profile_memory=True, acc_events=True
            )
        )
        entered.enter_context(host_memory.Traced())
        self._watch = entered.enter_context(_watch())

    def measurement(self) -> Measurement:
        watch = self._watch
        changes = [
            (event.start_ns(), event.nbytes())
            for event in self._profile.profiler.kineto_results.events()
            if event.name() == "[memory]"
        ]
        changes.sort(key=lambda change: change[0])
        on_accelerator = (
            measurement.live(changes, self._began_ns, _NANOSECONDS) if changes else None
        )
        host = [(self._micros(at), size) for at, size in watch.host]
        return Measurement(
            accelerator_peak_bytes=on_accelerator.peak if on_accelerator else None,
            accelerator_retained_bytes=on_accelerator.bytes[-1] if on_accelerator else None,
            accelerator_resident_bytes=self._resident,
            accelerator_bound_bytes=watch.bound_bytes,
            host_peak_bytes=max((size for _, size in host), default=None),
            swap_out_executed=len(watch.out),
            swap_in_executed=len(watch.back),
            swap_out_bytes=sum(move.bytes for move in watch.out),
            swap_in_bytes=sum(move.bytes for move in watch.back),
            series=StepSeries(
                unit=measurement.MICROSECONDS,
                end=self._micros(self._ended_ns),
                accelerator=on_accelerator,
                host=Points([at for at, _ in host], [size for _, size in host]) if host else None,
                swap_out=[self._micros(move.at) for move in watch.out],
                swap_in=[self._micros(move.at) for move in watch.back],
                began=self._began,
            ),
        )


class _GpuRecorder(_Recorder):
    def _begin(self, entered: contextlib.ExitStack) -> None:
        import torch

        cuda, profiler = torch.cuda, torch.profiler
        cuda.synchronize()
        self._before = cuda.memory_allocated()
        cuda.reset_peak_memory_stats()
        self._profile = entered.enter_context(
            profiler.profile(
                activities=[profiler.ProfilerActivity.CPU, profiler.ProfilerActivity.CUDA],
                acc_events=True,
            )
        )
        entered.callback(cuda.synchronize)
        entered.callback(self._read)

    def _read(self) -> None:
        import torch

        self._peak = torch.cuda.max_memory_allocated() - self._before
        self._retained = torch.cuda.memory_allocated() - self._before

    def measurement(self) -> Measurement:
        import torch

        events = list(self._profile.profiler.kineto_results.events())
        found = copies(events)
        return Measurement(
            accelerator_peak_bytes=self._peak,
            accelerator_retained_bytes=self._retained,
            accelerator_resident_bytes=self._before,
            accelerator_bound_bytes=None,
            host_peak_bytes=_pinned_peak(torch.cuda),
            swap_out_executed=found.out,
            swap_in_executed=found.back,
            swap_out_bytes=found.out_bytes,
            swap_in_bytes=found.back_bytes,
            series=StepSeries(
                unit=measurement.MICROSECONDS,
                end=self._micros(self._ended_ns),
                accelerator=None,
                host=None,
                swap_out=[self._micros(event.start_ns()) for event in events if _is_out(event)],
                swap_in=[self._micros(event.start_ns()) for event in events if _is_back(event)],
                began=self._began,
            ),
        )


class _Move(typing.NamedTuple):
    """A copy between torch's memory and somebody else's: nanoseconds of the system's clock, bytes.

    What is copied are bytes of a storage; which tensor that was is not told.
    """

    at: int
    bytes: int


def _watch() -> typing.Any:
    """A dispatch mode: it sees every operation of torch, in the backward pass as well."""
    import torch
    from torch.multiprocessing.reductions import StorageWeakRef
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_flatten

    aten = torch.ops.aten
    copying = (aten._to_copy.default, aten.clone.default)

    class Watch(TorchDispatchMode):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.out: typing.List[_Move] = []
            self.back: typing.List[_Move] = []
            self.bound_bytes: Count = None
            # Nanoseconds of the system's clock, and bytes that numpy held then.
            self.host: typing.List[typing.Tuple[int, int]] = []
            # What has gone out in the step, by the identity of its storage.
            self._out: typing.Dict[int, typing.Any] = {}
            # Storages that operations of the step made.
            self._of_step: typing.Set[int] = set()

        def __torch_dispatch__(
            self,
            function: typing.Any,
            types: typing.Any,
            args: typing.Any = (),
            kwargs: typing.Any = None,
        ) -> typing.Any:
            result = function(*args, **(kwargs or {}))
            inputs = _storages(tree_flatten((args, kwargs))[0])
            outputs = _storages(tree_flatten(result)[0])
            self._of_step.update(set(outputs) - set(inputs))
            both = {**inputs, **outputs}
            size = sum(both[name].nbytes() for name in set(both) & self._of_step)
            self.bound_bytes = max(self.bound_bytes or 0, size)
            if function is aten.copy_.default and not _is_variable(args[0]):
                self._count(args[0], args[1])
            elif function in copying and self._is_out(args[0]) is not self._is_out(result):
                self._count(result, args[0])
            return result

        def _is_out(self, tensor: typing.Any) -> bool:
            # A batch is memory of numpy's too, and a copy of it is no swap.
            known = self._out.get(tensor.untyped_storage()._cdata)
            return known is not None and not known.expired()

        def _count(self, target: typing.Any, source: typing.Any) -> None:
            now = time.time_ns()
            if _is_foreign(target) and not _is_foreign(source):
                self._out[target.untyped_storage()._cdata] = StorageWeakRef(
                    target.untyped_storage()
                )
                self.out.append(_Move(now, target.nbytes))
                self.host.append((now, host_memory.numpy_bytes()))
            elif _is_foreign(source) and not _is_foreign(target):
                self.back.append(_Move(now, target.nbytes))
                self.host.append((now, host_memory.numpy_bytes()))

    def _storages(values: typing.Iterable[typing.Any]) -> typing.Dict[int, typing.Any]:
        return {
            storage._cdata: storage
            for storage in (
                value.untyped_storage() for value in values if isinstance(value, torch.Tensor)
            )
        }

    return Watch()


def _resident_bytes() -> int:
    """What tensors that are alive have of torch's allocator, which tells nothing on a CPU."""
    import torch

    alive = (entry for entry in gc.get_objects() if isinstance(entry, torch.Tensor))
    storages = {
        storage._cdata: storage.nbytes()
        for storage in (tensor.untyped_storage() for tensor in alive if tensor.is_cpu)
        if storage.resizable()
    }
    return sum(storages.values())


def _is_variable(tensor: typing.Any) -> bool:
    import torch

    # Keras may have made it from an array of numpy's, and assigns to it.
    return isinstance(tensor, torch.nn.Parameter)


def _is_foreign(tensor: typing.Any) -> bool:
    # torch can resize only what its own allocator gave.
    return not tensor.untyped_storage().resizable()


def copies(events: typing.Iterable[typing.Any]) -> Copies:
    """Copies between page-locked memory and the device, from a profiler's events.

    Without any event of a copy, of whatever memory, the profiler saw no device: all None.
    """
    kinds = [event for event in events if event.name().startswith("Memcpy")]
    if not kinds:
        return Copies()
    out = [event for event in kinds if _is_out(event)]
    back = [event for event in kinds if _is_back(event)]
    return Copies(len(out), len(back), _bytes(out), _bytes(back))


def _is_out(event: typing.Any) -> bool:
    return event.name().startswith("Memcpy") and "DtoH" in event.name() and "Pinned" in event.name()


def _is_back(event: typing.Any) -> bool:
    return event.name().startswith("Memcpy") and "HtoD" in event.name() and "Pinned" in event.name()


def _bytes(events: typing.Iterable[typing.Any]) -> Count:
    total = 0
    for event in events:
        found = _BYTES.search(event.metadata_json())
        if found is None:
            return None
        total += int(found.group(1))
    return total


def _pinned_peak(cuda: typing.Any) -> Count:
    if not hasattr(cuda, "host_memory_stats"):
        return None
    peak: Count = cuda.host_memory_stats().get("allocated_bytes.peak")
    return peak
