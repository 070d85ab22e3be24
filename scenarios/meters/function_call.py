"""The allocation meter of function mode: what one call of a traced function did with memory.

Reads what TensorFlow's profiler recorded (`profile`), and the function as the runtime holds it.
Nothing that Large Model Support says about itself goes in.
"""

import re
import typing

from common.graph_names import SWAP_IN, SWAP_OUT, swapped, unit
from meters import measurement
from meters.measurement import Count, Measurement, Points, StepSeries
from meters.placement import Definition, Placement
from meters.profiler import Event

_CALL = "EagerExecute"
_RUN = "FunctionRun"
_ALLOCATION, _RELEASE = "MemoryAllocation", "MemoryDeallocation"
_GPU_ALLOCATOR = re.compile(r"GPU_(\d+)_bfc")
# Copies between devices have the name of the operation that they copy from, and a number.
_TRANSFER = re.compile(r"/_\d+$")
_PICOSECONDS = 10**6  # of a microsecond

_Lookup = typing.Callable[[str], Definition]


class Call:
    """The last call of one of several functions in a profile.

    name: the function's name in the runtime. started, ended: picoseconds. steps: the numbers under
        which the runtime executed it.
    """

    def __init__(self, events: typing.Iterable[Event], names: typing.Collection[str]) -> None:
        """events: of the profile. names: of the functions. Raises LookupError if none ran."""
        calls = [e for e in events if e.name == _CALL and e.stats.get("eager_op") in names]
        if not calls:
            raise LookupError("the function was not called while the profiler ran")
        call = calls[-1]
        self.name: str = call.stats["eager_op"]
        self.started, self.ended = call.start, call.end
        self.steps = {
            event.stats.get("id")
            for event in events
            if event.name == _RUN and event.thread == call.thread and self.holds(event)
        }

    def holds(self, event: Event) -> bool:
        """Whether an event began while the call lasted."""
        return self.started <= event.start <= self.ended


class Buffer:
    """Memory that a step allocated: for which operation, where, when, how much."""

    def __init__(self, operation: str, device: str, event: Event) -> None:
        self.operation = operation
        self.device = device
        self.started = event.start
        self.released: Count = None
        self.bytes: int = event.stats["requested_bytes"]
        self.is_output = event.stats.get("region_type") == "output"


def measure(
    events: typing.List[Event],
    names: typing.Collection[str],
    definition: _Lookup,
    accelerator_device: str,
    host_device: str,
) -> Measurement:
    """What the last call of a function did.

    events: of a profile that covers the call. names: of the functions that are meant.
    definition: gives the `FunctionDef` of a name. accelerator_device, host_device: as in
    `'/device:CPU:1'`.

    An allocation that is for no operation of the function, but in its step, is the accelerator's.

    Raises LookupError if none of the functions was called.
    """
    call = Call(events, names)
    function = definition(call.name)
    placement = Placement(function, definition)
    accelerator, host = unit(accelerator_device), unit(host_device)
    buffers = _buffers(events, call, placement, accelerator, host)
    executed = _executed(events, call)
    own_names = {name: placement.name(name) or name for name in executed}
    out = {name for name in executed if own_names[name].startswith(SWAP_OUT)}
    back = {name for name in executed if own_names[name].startswith(SWAP_IN)}
    on_accelerator = [buffer for buffer in buffers if buffer.device == accelerator]
    on_host = [buffer for buffer in buffers if buffer.device == host]
    accelerator_live, retained = _live_and_retained(on_accelerator, call.started)
    host_live, _ = _live_and_retained(on_host, call.started)
    sizes = _sizes(buffers, out)
    in_graph = swaps_in_graph(function, definition)
    return Measurement(
        accelerator_peak_bytes=accelerator_live.peak if accelerator_live else None,
        accelerator_retained_bytes=retained,
        host_peak_bytes=host_live.peak if host_live else None,
        accelerator_bound_bytes=_bound_bytes(on_accelerator, placement),
        swap_out_executed=len(out),
        swap_in_executed=len(back),
        swap_out_bytes=_moved(sizes, out),
        swap_in_bytes=_moved(_sizes(buffers, back), back),
        graph_swap_out=len(_named(in_graph, SWAP_OUT)),
        graph_swap_in=len(_named(in_graph, SWAP_IN)),
        series=StepSeries(
            unit=measurement.MICROSECONDS,
            end=(call.ended - call.started) // _PICOSECONDS,
            accelerator=accelerator_live,
            host=host_live,
            swap_out=[(executed[name] - call.started) // _PICOSECONDS for name in out],
            swap_in=[(executed[name] - call.started) // _PICOSECONDS for name in back],
            largest=[(swapped(own_names[name]), size) for name, size in sizes.items()],
        ),
    )


def swaps_in_graph(function: Definition, definition: _Lookup) -> typing.Set[str]:
    """Names of the swap operations of a `FunctionDef` and of the functions that it calls."""
    found: typing.Set[str] = set()
    waiting, seen = [function], set()
    while waiting:
        current = waiting.pop()
        seen.add(current.signature.name)
        for node in current.node_def:
            if node.name.startswith((SWAP_OUT, SWAP_IN)):
                found.add(node.name)
            for attribute in node.attr.values():
                called = attribute.func.name
                if called and called not in seen:
                    seen.add(called)
                    waiting.append(definition(called))
    return found


def _named(names: typing.Iterable[str], prefix: str) -> typing.Set[str]:
    return {name for name in names if name.startswith(prefix)}


def _buffers(
    events: typing.Iterable[Event], call: Call, placement: Placement, accelerator: str, host: str
) -> typing.List[Buffer]:
    """The `Buffer`s that the call allocated, in order."""
    buffers: typing.List[Buffer] = []
    alive: typing.Dict[typing.Any, Buffer] = {}
    for event in events:
        if event.name not in (_ALLOCATION, _RELEASE) or not call.holds(event):
            continue
        allocator = event.stats.get("allocator_name")
        address = allocator, event.stats.get("addr")
        if event.name == _RELEASE:
            if address in alive:
                alive.pop(address).released = event.start
        elif event.stats.get("id") in call.steps:
            operation = event.stats.get("tf_op") or ""
            device = _device(allocator, placement.device(operation), accelerator, host)
            alive[address] = Buffer(operation, device, event)
            buffers.append(alive[address])
    return buffers


def _device(
    allocator: typing.Optional[str], placed: typing.Optional[str], accelerator: str, host: str
) -> str:
    """The device whose memory a buffer is."""
    gpu = _GPU_ALLOCATOR.match(allocator or "")
    if gpu:
        return "GPU:" + gpu.group(1)
    if accelerator.startswith("GPU"):
        return host
    return placed or accelerator


def _executed(events: typing.Iterable[Event], call: Call) -> typing.Dict[str, int]:
    """Operations that ran in the call, and when each began, in picoseconds."""
    executed: typing.Dict[str, int] = {}
    for event in events:
        is_copy = event.name.endswith(("_Send", "_Recv"))
        if call.holds(event) and ":" in event.name and not is_copy:
            executed.setdefault(event.name.split(":")[0], event.start)
    return executed


def _live_and_retained(
    buffers: typing.List[Buffer], begin: int
) -> typing.Tuple[typing.Optional[Points], Count]:
    """Released buffers that were alive over time, and the bytes of all others.

    begin: of the call, in picoseconds.
    """
    if not buffers:
        return None, None
    changes = []
    for buffer in buffers:
        if buffer.released is not None:
            changes.append((buffer.started, buffer.bytes))
            changes.append((buffer.released, -buffer.bytes))
    retained = sum(buffer.bytes for buffer in buffers if buffer.released is None)
    return measurement.live(sorted(changes), begin, _PICOSECONDS), retained


def _bound_bytes(buffers: typing.List[Buffer], placement: Placement) -> Count:
    """Buffers of an operation and those that it reads, the greatest sum of them.

    Of an operation with several outputs a reader may hold a single one: those are not counted.
    """
    of_operation: typing.Dict[str, typing.List[Buffer]] = {}
    for buffer in buffers:
        of_operation.setdefault(buffer.operation, []).append(buffer)
    bound: Count = None
    for operation, own in of_operation.items():
        outputs = [buffer for buffer in own if buffer.is_output]
        others = [buffer for buffer in own if not buffer.is_output]
        workspace, _ = _live_and_retained(others, own[0].started)
        held = {id(buffer): buffer.bytes for buffer in outputs}
        for name in placement.inputs(operation):
            found = _read(name, own[0].started, of_operation, placement)
            if found is not None:
                held[id(found)] = found.bytes
        bound = max(bound or 0, sum(held.values()) + (workspace.peak if workspace else 0))
    return bound


def _read(
    operation: str,
    time: int,
    of_operation: typing.Dict[str, typing.List[Buffer]],
    placement: Placement,
    depth: int = 4,
) -> typing.Optional[Buffer]:
    """The buffer that a reader of an operation's output holds at a time; None if not known.

    An operation without a buffer of its own hands on one that it reads: of those that are alive
    the smallest, at least.
    """
    outputs = [
        buffer
        for buffer in of_operation.get(operation, ())
        if buffer.is_output and (buffer.released is None or buffer.released > time)
    ]
    if outputs or depth == 0:
        return outputs[0] if len(outputs) == 1 else None
    read = [
        _read(name, time, of_operation, placement, depth - 1)
        for name in placement.inputs(operation)
    ]
    return min((buffer for buffer in read if buffer), key=lambda b: b.bytes, default=None)


def _sizes(buffers: typing.List[Buffer], names: typing.Set[str]) -> typing.Dict[str, int]:
    """Bytes of the outputs of operations, of those that have a buffer of their own."""
    sizes: typing.Dict[str, int] = {}
    for buffer in buffers:
        operation = _TRANSFER.sub("", buffer.operation)
        if operation in names and buffer.is_output:
            sizes[operation] = sizes.get(operation, 0) + buffer.bytes
    return sizes


def _moved(sizes: typing.Dict[str, int], names: typing.Set[str]) -> Count:
    """Bytes that swap operations moved; None if none has a buffer of its own."""
    return sum(sizes.values()) if sizes or not names else None
