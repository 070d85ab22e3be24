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

from common import graph_names
from providers.announcement import Swaps
from providers.parameters import Parameters
from providers.tensorflow.rewrite import Rewriter
from providers.tensorflow.roles import Accelerator, Roles
from providers.tensorflow.schedule import Schedule
from providers.tensorflow.swaps import Selection, Swap
from providers.tensorflow.topology import Topology

# The name of the tensor follows.
SWAP_OUT = graph_names.SWAP_OUT + "_"
SWAP_IN = graph_names.SWAP_IN + "_"

Count = typing.Optional[int]
# A tensor and an operation of a `tf.Graph`.
_Tensor = typing.Any
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
    corrupt: bool = False,
    results: typing.Iterable[str] = (),
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
    corrupt: swap back wrong values, so that a harness can be seen to notice.
    results: of a FuncGraph, names of the operations whose outputs the function gives.

    A graph that has swap operations of ours or of TFLMS is left as it is.
    """
    started = time.perf_counter()
    found = _swap_operations(graph)
    if found:
        return _already_edited(found, batch_size, started)
    record = _Record(batch_size)
    with _uncollected():
        topology = Topology(graph, results)
        _rewrite(topology, parameters, accelerator, host, training, corrupt, record)
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
    corrupt: bool,
    record: "_Record",
) -> None:
    """Plans and inserts."""
    roles = Roles(topology, accelerator, training)
    schedule = Schedule(topology, roles)
    selection = Selection(topology, roles, schedule, parameters)
    swaps = list(selection.swaps())
    with Rewriter(topology.graph).editing() as rewriter:
        copies = _Copies(rewriter, accelerator, host, corrupt, topology.is_function)
        editor = _Editor(topology, rewriter, copies, record)
        for swap in swaps:
            editor.insert(swap)
        for operation, triggers in selection.delays():
            editor.delay(operation, triggers)
        for before, after in selection.chain():
            editor.chain(before, after)
    record.operations = rewriter.added


class _Record:
    """Counts what is added."""

    def __init__(self, batch_size: Count) -> None:
        self._batch_size = batch_size
        self.operations = 0
        self.bytes_out: Count = 0
        self.bytes_in: Count = 0
        self.unsized_tensors = 0
        self.swap_out_names: typing.List[str] = []
        self.swap_in_names: typing.List[str] = []

    def add(self, tensor: _Tensor, swap_ins: int) -> None:
        bytes_ = size(tensor, self._batch_size)
        if self._batch_size is None and tensor.shape.as_list()[0] is None:
            self.bytes_out = self.bytes_in = None
        if bytes_ is None:
            self.unsized_tensors += 1
        elif self.bytes_out is not None and self.bytes_in is not None:
            self.bytes_out += bytes_
            self.bytes_in += bytes_ * swap_ins


class _Copies:
    """Makes the swap operations, of the type and on the device that suit the accelerator."""

    def __init__(
        self,
        rewriter: Rewriter,
        accelerator: Accelerator,
        host: str,
        corrupt: bool,
        is_function: bool,
    ) -> None:
        self._virtual = accelerator != "gpu"
        self._make = rewriter.copy if self._virtual else rewriter.identity
        self._negative = rewriter.negative
        self._host = host
        self._corrupt = corrupt
        self._is_function = is_function

    def swap_out(self, tensor: _Tensor, name: str) -> _Tensor:
        return self._make(tensor, self._host, name)

    def swap_in(self, tensor: _Tensor, producer_device: str, name: str) -> _Tensor:
        # The negative of a value is as quick to compute and not what a consumer expects.
        corrupt = self._corrupt and tensor.dtype.is_floating and not self._is_of_update(tensor)
        make = self._negative if corrupt else self._make
        return make(tensor, producer_device if self._virtual else self._host, name)

    def _is_of_update(self, tensor: _Tensor) -> bool:
        """Whether a tensor may be one of an optimizer's formula, which has roots to draw.

        In a function these are plain operations, and what belongs to a batch has no known size.
        A loss that is no number would show, but by another check.
        """
        return self._is_function and bool(tensor.shape.is_fully_defined())


class _Editor:
    """Inserts swaps and control edges."""

    def __init__(
        self, topology: Topology, rewriter: Rewriter, copies: _Copies, record: _Record
    ) -> None:
        self._operations = topology.operations
        self._rewriter = rewriter
        self._copies = copies
        self._record = record
        # What has to be done for an operation to be done, and held back to hold it back.
        self._outlets: typing.Dict[int, typing.List[_Operation]] = {}
        self._inlets: typing.Dict[int, typing.List[_Operation]] = {}

    def insert(self, swap: Swap) -> None:
        operations, rewriter, copies = self._operations, self._rewriter, self._copies
        tensor = operations[swap.producer].outputs[swap.output]
        suffix = tensor.name.replace("/", "_").replace(":", "_")
        swapped = copies.swap_out(tensor, SWAP_OUT + suffix)
        self._outlets.setdefault(swap.producer, []).append(swapped.op)
        self._record.swap_out_names.append(swapped.op.name)
        for waiter in swap.waiters:
            rewriter.run_after(operations[waiter], swapped.op)
        for swap_in in swap.swap_ins:
            back = copies.swap_in(swapped, tensor.op.device, SWAP_IN + suffix)
            self._record.swap_in_names.append(back.op.name)
            for trigger in swap_in.triggers:
                rewriter.run_after(back.op, operations[trigger])
            for consumer, position in swap_in.edges:
                rewriter.reconnect(operations[consumer], position, back)
            if len({consumer for consumer, _ in swap_in.edges}) == 1:
                self._inlets.setdefault(swap_in.edges[0][0], []).append(back.op)
        self._record.add(tensor, len(swap.swap_ins))

    def delay(self, operation: int, triggers: typing.List[int]) -> None:
        for trigger in triggers:
            self._rewriter.run_after(self._operations[operation], self._operations[trigger])

    def chain(self, before: int, after: int) -> None:
        """Lets `after` start, and its swap-ins, when `before` and its swap-outs are done."""
        for outlet in self._outlets.get(before) or [self._operations[before]]:
            for inlet in self._inlets.get(after) or [self._operations[after]]:
                self._rewriter.run_after(inlet, outlet)


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
    sizes = [size(operation.outputs[0], batch_size) for operation in operations]
    known = [size for size in sizes if size is not None]
    return (sum(known) if known else None), len(sizes) - len(known)


def size(tensor: _Tensor, batch_size: Count) -> Count:
    """Bytes of a tensor by its static shape; None if that is not known.

    batch_size: stands in for an unknown first dimension."""
    if tensor.shape.ndims is None:
        return None
    dimensions = tensor.shape.as_list()
    if dimensions and dimensions[0] is None:
        dimensions[0] = batch_size
    if None in dimensions:
        return None
    total: int = tensor.dtype.size
    for dimension in dimensions:
        total *= dimension
    return total


def _milliseconds_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000.0
