"""Swap operations in a graph: what is added for each swap, and what is counted of it."""

import typing

from common import graph_names
from providers.tensorflow.rewrite import Rewriter
from providers.tensorflow.roles import Accelerator
from providers.tensorflow.schedule import Schedule
from providers.tensorflow.swaps import Swap, SwapIn
from providers.tensorflow.topology import Topology

# The name of the tensor follows.
SWAP_OUT = graph_names.SWAP_OUT + "_"
SWAP_IN = graph_names.SWAP_IN + "_"

Count = typing.Optional[int]
# A tensor and an operation of a `tf.Graph`.
Tensor = typing.Any
_Operation = typing.Any


class Record:
    """Counts what is added.

    operations: in all. swap_out_names, swap_in_names: of the swap operations. bytes_out, bytes_in:
    what they move in a step, by the static shapes; None if a first dimension is unknown and no
    batch size was passed. unsized_tensors: those that these do not count.
    """

    def __init__(self, batch_size: Count) -> None:
        self._batch_size = batch_size
        self.operations = 0
        self.bytes_out: Count = 0
        self.bytes_in: Count = 0
        self.unsized_tensors = 0
        self.swap_out_names: typing.List[str] = []
        self.swap_in_names: typing.List[str] = []

    def add(self, tensor: Tensor, swap_ins: int) -> None:
        """Counts the bytes of a tensor that is swapped out once, and in so many times."""
        bytes_ = size(tensor, self._batch_size)
        if self._batch_size is None and tensor.shape.as_list()[0] is None:
            self.bytes_out = self.bytes_in = None
        if bytes_ is None:
            self.unsized_tensors += 1
        elif self.bytes_out is not None and self.bytes_in is not None:
            self.bytes_out += bytes_
            self.bytes_in += bytes_ * swap_ins


class Copies:
    """Makes the swap operations, of the type and on the device that suit the accelerator."""

    def __init__(self, rewriter: Rewriter, accelerator: Accelerator, host: str) -> None:
        self._virtual = accelerator != "gpu"
        self._make = rewriter.copy if self._virtual else rewriter.identity
        self._host = host

    def swap_out(self, tensor: Tensor, name: str) -> Tensor:
        """A tensor in the host's memory."""
        return self._make(tensor, self._host, name)

    def swap_in(self, swapped: Tensor, producer_device: str, name: str) -> Tensor:
        """What is in the host's memory, for consumers on the device of the tensor's producer."""
        return self._make(swapped, self.device_back(producer_device), name)

    def device_back(self, producer_device: str) -> str:
        """The device of a swap-in."""
        return producer_device if self._virtual else self._host


class Insertion:
    """Inserts swaps and control edges."""

    def __init__(
        self,
        topology: Topology,
        schedule: Schedule,
        rewriter: Rewriter,
        copies: Copies,
        record: Record,
    ) -> None:
        self._topology = topology
        self._operations = topology.operations
        self._schedule = schedule
        self._rewriter = rewriter
        self._copies = copies
        self._record = record
        # What has to be done for an operation to be done, and held back to hold it back.
        self._outlets: typing.Dict[int, typing.List[_Operation]] = {}
        self._inlets: typing.Dict[int, typing.List[_Operation]] = {}

    def insert_all(self, swaps: typing.Sequence[Swap]) -> None:
        """Adds the operations of all swaps."""
        for swap in swaps:
            self._insert(swap)

    def _insert(self, swap: Swap) -> None:
        tensor = self._operations[swap.producer].outputs[swap.output]
        suffix = tensor.name.replace("/", "_").replace(":", "_")
        swapped = self._copies.swap_out(tensor, SWAP_OUT + suffix)
        self._outlets.setdefault(swap.producer, []).append(swapped.op)
        self._record.swap_out_names.append(swapped.op.name)
        for waiter in swap.waiters:
            self._rewriter.run_after(self._operations[waiter], swapped.op)
        for swap_in in swap.swap_ins:
            back = self._swap_in(tensor, swapped, swap_in, SWAP_IN + suffix)
            self._record.swap_in_names.append(back.op.name)
            for consumer, position in swap_in.edges:
                self._rewriter.reconnect(self._operations[consumer], position, back)
        self._record.add(tensor, len(swap.swap_ins))

    def _swap_in(self, tensor: Tensor, swapped: Tensor, swap_in: SwapIn, name: str) -> Tensor:
        """Adds one swap-in of a tensor, and what it waits for."""
        back = self._copies.swap_in(swapped, tensor.op.device, name)
        for trigger in swap_in.triggers:
            self._rewriter.run_after(back.op, self._operations[trigger])
        consumers = {consumer for consumer, _ in swap_in.edges}
        if len(consumers) == 1:
            self._inlets.setdefault(consumers.pop(), []).append(back.op)
        return back

    def delay(self, operation: int, triggers: typing.List[int]) -> None:
        """Lets an operation wait for others."""
        for trigger in triggers:
            self._rewriter.run_after(self._operations[operation], self._operations[trigger])

    def chain(self, before: int, after: int) -> None:
        """Lets `after` start, and its swap-ins, when `before` and its swap-outs are done."""
        for outlet in self._outlets.get(before) or [self._operations[before]]:
            for inlet in self._inlets.get(after) or [self._operations[after]]:
                self._rewriter.run_after(inlet, outlet)


# Makes an `Insertion`; one for a fault is another.
Maker = typing.Callable[[Topology, Schedule, Rewriter, Copies, Record], Insertion]


def size(tensor: Tensor, batch_size: Count) -> Count:
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
