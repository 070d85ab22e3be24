"""Edits a TensorFlow graph so that large tensors wait for their consumers in host memory.

A tensor with a consumer far away in the topological order is copied to the host by a swap-out
operation and back by a swap-in operation, one for each group of far consumers. Both are
identities on the host device, so the copies are those that the runtime makes between devices.
Between two CPU devices the runtime makes none, the receiver shares the sender's buffer. So where
a CPU device stands in for the accelerator both are copies, on the device that they copy to.

Every edge that is added goes upwards in the ranks of `schedule.Schedule`: a swap-out is just
above its producer, a swap-in just below its earliest consumer, and the operations that they
wait for or that wait for them are on the proper side of that. So the edited graph has no cycle,
and no search is needed to show it.
"""

import contextlib
import gc
import time
import typing

from providers.announcement import Swaps
from providers.parameters import Parameters
from providers.tensorflow import insertion
from providers.tensorflow.insertion import SWAP_IN, SWAP_OUT, Count, Record
from providers.tensorflow.rewrite import Rewriter
from providers.tensorflow.roles import Accelerator, Roles
from providers.tensorflow.schedule import Schedule
from providers.tensorflow.swaps import Selection
from providers.tensorflow.topology import Topology

# An operation of a `tf.Graph`.
_Operation = typing.Any


class Edit(typing.NamedTuple):
    """What was done to a graph.

    operations: operations added. swap_out, swap_in: how many of them are swaps.
    tensors: tensors that are swapped.
    bytes_out, bytes_in: bytes that one step moves to the host and back, by the static shapes;
        None if a first dimension is unknown and no batch size was passed.
    unsized_tensors: tensors that these do not count, because another dimension is unknown.
    milliseconds: wall time of the edit. levels: levels of the graph's topological order.
    swap_out_names, swap_in_names: names of the swap operations.
    already_edited: the graph had swap operations before and was left as it was; then the
        counts and names are those of what was found and no operation was added.
    """

    operations: int
    swap_out: int
    swap_in: int
    tensors: int
    bytes_out: Count
    bytes_in: Count
    milliseconds: float
    levels: int
    swap_out_names: typing.Tuple[str, ...]
    swap_in_names: typing.Tuple[str, ...]
    already_edited: bool
    unsized_tensors: int

    @property
    def swaps(self) -> Swaps:
        """What of it is announced."""
        return Swaps(
            self.swap_out,
            self.swap_in,
            self.bytes_out,
            self.bytes_in,
            self.operations,
            self.milliseconds,
        )


def edit(
    graph: typing.Any,
    parameters: Parameters,
    *,
    accelerator: Accelerator,
    host: str = "/cpu:0",
    training: bool = True,
    batch_size: Count = None,
    results: typing.Iterable[str] = (),
    make: insertion.Maker = insertion.Insertion,
) -> Edit:
    """Adds swap operations to a graph, in place, and returns an `Edit`.

    graph: a `tf.Graph` that no session has run, or a FuncGraph that is being traced.
    parameters: `Parameters`.
    accelerator: `'gpu'` for the operations whose device is no CPU (one without a device is
        the accelerator's), or a device such as `'/device:CPU:1'`, or several in a tuple, for
        exactly their operations. A tensor that goes from one accelerator to another is not swapped.
    host: device of the swap operations.
    training: whether the graph will be run in Keras' training phase; the branches of the other
        phase are left as they are.
    batch_size: stands in for an unknown first dimension in the bytes of the `Edit`.
    results: of a FuncGraph, names of the operations whose outputs the function gives.
    make: makes what inserts the swaps; another one for a fault.

    A graph that has swap operations of ours or of TFLMS is left as it is.
    """
    started = time.perf_counter()
    found = _swap_operations(graph)
    if found:
        return _already_edited(found, batch_size, started)
    record = Record(batch_size)
    with _uncollected():
        topology = Topology(graph, results)
        _rewrite(topology, parameters, accelerator, host, training, make, record)
    return Edit(
        operations=record.operations,
        swap_out=len(record.swap_out_names),
        swap_in=len(record.swap_in_names),
        tensors=len(record.swap_out_names),
        bytes_out=record.bytes_out,
        bytes_in=record.bytes_in,
        milliseconds=_milliseconds_since(started),
        levels=topology.depth,
        swap_out_names=tuple(record.swap_out_names),
        swap_in_names=tuple(record.swap_in_names),
        already_edited=False,
        unsized_tensors=record.unsized_tensors,
    )


@contextlib.contextmanager
def _uncollected() -> typing.Iterator[None]:
    """No garbage collection: a pass over a large graph's objects takes as long as its edit."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _rewrite(
    topology: Topology,
    parameters: Parameters,
    accelerator: Accelerator,
    host: str,
    training: bool,
    make: insertion.Maker,
    record: Record,
) -> None:
    """Plans and inserts."""
    roles = Roles(topology, accelerator, training)
    schedule = Schedule(topology, roles)
    selection = Selection(topology, roles, schedule, parameters)
    swaps = list(selection.swaps())
    with Rewriter(topology.graph).editing() as rewriter:
        copies = insertion.Copies(rewriter, accelerator, host)
        editor = make(topology, schedule, rewriter, copies, record)
        editor.insert_all(swaps)
        for operation, triggers in selection.delays():
            editor.delay(operation, triggers)
        for before, after in selection.chain():
            editor.chain(before, after)
    record.operations = rewriter.added


def _swap_operations(graph: typing.Any) -> typing.List[_Operation]:
    return [
        operation
        for operation in graph.get_operations()
        if SWAP_OUT in operation.name or SWAP_IN in operation.name
    ]


def _already_edited(found: typing.List[_Operation], batch_size: Count, started: float) -> Edit:
    outs = [operation for operation in found if SWAP_OUT in operation.name]
    ins = [operation for operation in found if SWAP_IN in operation.name]
    bytes_out, unsized = _bytes(outs, batch_size)
    bytes_in, _ = _bytes(ins, batch_size)
    return Edit(
        operations=0,
        swap_out=len(outs),
        swap_in=len(ins),
        tensors=len(outs),
        bytes_out=bytes_out,
        bytes_in=bytes_in,
        milliseconds=_milliseconds_since(started),
        levels=0,
        swap_out_names=tuple(operation.name for operation in outs),
        swap_in_names=tuple(operation.name for operation in ins),
        already_edited=True,
        unsized_tensors=unsized,
    )


def _bytes(operations: typing.List[_Operation], batch_size: Count) -> typing.Tuple[Count, int]:
    """Bytes of the outputs whose size is known, None if of none, and how many others there are."""
    sizes = [insertion.size(operation.outputs[0], batch_size) for operation in operations]
    known = [size for size in sizes if size is not None]
    return (sum(known) if known else None), len(sizes) - len(known)


def _milliseconds_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000.0
