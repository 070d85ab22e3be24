"""The allocation meter: what one traced step did with memory, from TensorFlow's own records.

Reads a `RunMetadata` that a session, or `context.export_run_metadata()`, filled under
`FULL_TRACE`. Nothing that Large Model Support says about itself goes in.
"""

import re
import typing

from common.graph_names import SWAP_IN, SWAP_OUT, swapped, unit
from meters import measurement
from meters.measurement import Count, Measurement, Points, StepSeries

# "[cpu 24.5MB 24.5MB] name = Type(input, other:1)"; the bracket is absent if nothing was allocated.
_LABEL = re.compile(r"(?:\[.*?\] )?\S+ = (\w+)\((.*)\)$")
# Their outputs are no memory of the step.
_RESIDENT = frozenset(["Const", "ReadVariableOp", "VarHandleOp", "VariableV2", "_Arg"])

# A `NodeExecStats` of TensorFlow's, several of them, and micros allocated, micros released, bytes.
_Node = typing.Any
_Nodes = typing.List[_Node]
_Allocation = typing.Tuple[int, typing.Optional[int], int]


def measure(run_metadata: typing.Any, accelerator_device: str, host_device: str) -> Measurement:
    """What one step did.

    run_metadata: `RunMetadata` of one step. accelerator_device, host_device: as in
    `'/device:CPU:1'` and `'/device:CPU:0'`; job, replica and task are ignored.

    In the lower bound a buffer that is both input and output is counted once, and one of a variable
    or constant not at all.
    """
    devices = _by_device(run_metadata.step_stats)
    accelerator = devices.get(unit(accelerator_device), [])
    host = devices.get(unit(host_device), [])
    # Other devices of the record are streams of a profiler, which show the same again.
    every = accelerator + host
    begin = min((node.all_start_micros for node in every), default=0)
    on_accelerator, accelerator_retained = _live_and_retained(accelerator, begin)
    on_host, _ = _live_and_retained(host, begin)
    swaps_out, swaps_in = _executed(every, SWAP_OUT), _executed(every, SWAP_IN)
    out_count, out_bytes = _swaps(swaps_out)
    in_count, in_bytes = _swaps(swaps_in)
    return Measurement(
        accelerator_peak_bytes=on_accelerator.peak if on_accelerator else None,
        accelerator_retained_bytes=accelerator_retained,
        host_peak_bytes=on_host.peak if on_host else None,
        accelerator_bound_bytes=_bound_bytes(accelerator),
        swap_out_executed=out_count,
        swap_in_executed=in_count,
        swap_out_bytes=out_bytes,
        swap_in_bytes=in_bytes,
        wall_ms=_wall_ms(every),
        series=StepSeries(
            unit=measurement.MICROSECONDS,
            end=max(_end(node) for node in every) - begin,
            accelerator=on_accelerator,
            host=on_host,
            swap_out=[node.all_start_micros - begin for node in swaps_out or ()],
            swap_in=[node.all_start_micros - begin for node in swaps_in or ()],
            largest=[
                (swapped(node.node_name), _output_bytes(node) or 0) for node in swaps_out or ()
            ],
        )
        if every
        else None,
    )


def _by_device(step_stats: typing.Any) -> typing.Dict[str, _Nodes]:
    devices: typing.Dict[str, _Nodes] = {}
    for device in step_stats.dev_stats:
        devices.setdefault(unit(device.device), []).extend(device.node_stats)
    return devices


def _allocations(nodes: _Nodes) -> typing.Iterator[_Allocation]:
    """`(micros allocated, micros released or None, bytes)` of every allocation of a step.

    The records of one operation say when so many bytes were allocated or, as a negative number,
    released, but not which release belongs to which allocation: of equal sizes the oldest is
    taken.
    """
    for node in nodes:
        for memory in node.memory:
            alive: typing.Dict[int, typing.List[int]] = {}
            for record in memory.allocation_records:
                if record.alloc_bytes > 0:
                    alive.setdefault(record.alloc_bytes, []).append(record.alloc_micros)
                elif alive.get(-record.alloc_bytes):
                    started = alive[-record.alloc_bytes].pop(0)
                    yield started, record.alloc_micros, -record.alloc_bytes
            for size, starts in alive.items():
                for started in starts:
                    yield started, None, size


def _live_and_retained(nodes: _Nodes, begin: int) -> typing.Tuple[typing.Optional[Points], Count]:
    """Released allocations that were alive over time, and the sum of all others.

    begin: of the step, in the microseconds of the records.
    """
    allocations = list(_allocations(nodes))
    if not allocations:
        return None, None
    changes = []
    retained = 0
    for started, released, size in allocations:
        if released is None:
            retained += size
        elif released > started:  # else it was alive for less than the records can tell
            changes.append((started, size))
            changes.append((released, -size))
    # Within a microsecond releases come first: an operation's inputs are released before the
    # operations that it makes ready can allocate.
    return measurement.live(sorted(changes), begin), retained


def _bound_bytes(nodes: _Nodes) -> Count:
    sizes = {}  # address and bytes of the buffer of each output
    labels = {}
    resident = set()
    for node in nodes:
        label = _LABEL.match(node.timeline_label)
        labels[node.node_name] = label
        for output in node.output:
            buffer = output.tensor_description.allocation_description
            sizes[f"{node.node_name}:{output.slot}"] = (
                buffer.ptr,
                buffer.requested_bytes,
            )
            if label is None or label.group(1) in _RESIDENT:
                resident.add(buffer.ptr)
    bound: Count = None
    for node in nodes:
        label = labels[node.node_name]
        if label is None:
            continue
        names = [f"{node.node_name}:{output.slot}" for output in node.output]
        names += [
            name if ":" in name else name + ":0"
            for name in label.group(2).split(", ")
            if name and not name.startswith("^")
        ]
        buffers = dict(sizes[name] for name in names if name in sizes)
        size = sum(buffers[address] for address in set(buffers) - resident)
        size += node.memory_stats.temp_memory_size
        bound = max(bound or 0, size)
    return bound


def _executed(nodes: _Nodes, prefix: str) -> typing.Optional[_Nodes]:
    """The swap operations of one direction; None where nothing was recorded."""
    if not nodes:
        return None
    # The sends and receives of a swap operation are recorded as well, by names below its own;
    # a swap operation's name has no slash but that of the prefix.
    return [
        node
        for node in nodes
        if node.node_name.startswith(prefix) and "/" not in node.node_name[len(prefix) :]
    ]


def _swaps(executed: typing.Optional[_Nodes]) -> typing.Tuple[Count, Count]:
    if executed is None:
        return None, None
    sizes = [_output_bytes(node) for node in executed]
    known = [size for size in sizes if size is not None]
    return len(executed), sum(known) if len(known) == len(sizes) else None


def _output_bytes(node: _Node) -> Count:
    sizes = [
        output.tensor_description.allocation_description.requested_bytes for output in node.output
    ]
    return sum(sizes) if sizes else None


def _wall_ms(nodes: _Nodes) -> typing.Optional[float]:
    if not nodes:
        return None
    start: int = min(node.all_start_micros for node in nodes)
    return (max(_end(node) for node in nodes) - start) / 1000.0


def _end(node: _Node) -> int:
    end: int = node.all_start_micros + node.all_end_rel_micros
    return end
