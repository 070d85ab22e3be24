"""Our own provider for TensorFlow with a fault, for a harness to notice; see `providers.fault`."""

import functools
import typing

from common.runtime import Runtime
from providers import fault
from providers.fault import Fault
from providers.interface import Provider
from providers.tensorflow import insertion, renewal
from providers.tensorflow.function import FunctionEditor
from providers.tensorflow.insertion import Insertion, Tensor
from providers.tensorflow.rewrite import Wiring
from providers.tensorflow.session import SessionEditor
from providers.tensorflow.swaps import Swap, SwapIn


class _LostSwaps(Insertion):
    """Leaves swaps out, and does not count them."""

    def __init__(self, *arguments: typing.Any, fault: Fault, batch_size: insertion.Count) -> None:
        super().__init__(*arguments)
        self._fault = fault
        self._batch_size = batch_size

    def insert_all(self, swaps: typing.Sequence[Swap]) -> None:
        tensors = [self._operations[swap.producer].outputs[swap.output] for swap in swaps]
        sizes = [insertion.size(tensor, self._batch_size) or 0 for tensor in tensors]
        lost = self._fault.lost(sizes)
        super().insert_all([swap for number, swap in enumerate(swaps) if number not in lost])


class _EarlySwapIns(Insertion):
    """A swap-in waits for its swap-out alone, and those that wait for that wait for both."""

    def __init__(self, *arguments: typing.Any) -> None:
        super().__init__(*arguments)
        self._waiters: typing.Sequence[int] = ()

    def _insert(self, swap: Swap) -> None:
        self._waiters = swap.waiters
        super()._insert(swap)

    def _swap_in(self, tensor: Tensor, swapped: Tensor, swap_in: SwapIn, name: str) -> Tensor:
        back = self._copies.swap_in(swapped, tensor.op.device, name)
        consumers = {consumer for consumer, _ in swap_in.edges}
        for waiter in set(self._waiters) - consumers:
            self._rewriter.run_after(self._operations[waiter], back.op)
        return back


class _KeptCopies(Insertion):
    """Lets a reader of the tensor itself wait for the swap-in, and the consumers for the reader."""

    def _swap_in(self, tensor: Tensor, swapped: Tensor, swap_in: SwapIn, name: str) -> Tensor:
        back = super()._swap_in(tensor, swapped, swap_in, name)
        reader = self._rewriter.identity(tensor, tensor.op.device, "lms/kept")
        self._rewriter.run_after(reader.op, back.op)
        for consumer in {consumer for consumer, _ in swap_in.edges}:
            self._rewriter.run_after(self._operations[consumer], reader.op)
        return back


class _WrongValues(Insertion):
    """Swap-ins give the negative, which is as quick to compute."""

    def _swap_in(self, tensor: Tensor, swapped: Tensor, swap_in: SwapIn, name: str) -> Tensor:
        back = super()._swap_in(tensor, swapped, swap_in, name)
        if not self._is_of_batch(tensor):
            return back
        return self._rewriter.negative(back, tensor.op.device, "lms/wrong")

    def _is_of_batch(self, tensor: Tensor) -> bool:
        """Whether it is a tensor of numbers, and not one of an optimizer's formula.

        Those have roots to draw: a loss that is no number would show, but by another check. In a
        function they are plain operations, and what belongs to a batch has no known size.
        """
        of_update = self._topology.is_function and tensor.shape.is_fully_defined()
        return tensor.dtype.is_floating and not of_update


class _WrongElement(_WrongValues):
    """One number of the first tensor is another in one step."""

    _is_done = False

    def _swap_in(self, tensor: Tensor, swapped: Tensor, swap_in: SwapIn, name: str) -> Tensor:
        back = Insertion._swap_in(self, tensor, swapped, swap_in, name)
        if self._is_done or not self._is_of_batch(tensor):
            return back
        self._is_done = True
        return self._rewriter.called(back, fault.WrongElement(), "lms/wrong")


class _WrongTensor(Insertion):
    """The last tensor that has the shape of an earlier one comes back as that.

    The last: of the first two one may be what the other is made of, by a function whose gradient
    is the same for both, such as a rectifier.
    """

    def __init__(self, *arguments: typing.Any) -> None:
        super().__init__(*arguments)
        self._exchanged: typing.Optional[typing.Tuple[Tensor, Tensor]] = None
        self._swapped: typing.Dict[str, Tensor] = {}

    def insert_all(self, swaps: typing.Sequence[Swap]) -> None:
        ranks = self._schedule.ranks
        earlier: typing.Dict[typing.Any, typing.Tuple[int, Tensor]] = {}
        for swap in swaps:
            tensor = self._operations[swap.producer].outputs[swap.output]
            if not tensor.dtype.is_floating:
                continue
            producer, other = earlier.setdefault(
                (tensor.dtype, str(tensor.shape)), (swap.producer, tensor)
            )
            consumers = [edge[0] for swap_in in swap.swap_ins for edge in swap_in.edges]
            if other is not tensor and all(ranks[producer] < ranks[one] for one in consumers):
                self._exchanged = tensor, other
        super().insert_all(swaps)

    def _swap_in(self, tensor: Tensor, swapped: Tensor, swap_in: SwapIn, name: str) -> Tensor:
        self._swapped[tensor.name] = swapped
        if self._exchanged is not None and tensor is self._exchanged[0]:
            swapped = self._swapped[self._exchanged[1].name]
        return super()._swap_in(tensor, swapped, swap_in, name)


_INSERTIONS = {
    "swapped_in_early": _EarlySwapIns,
    "device_copy_kept": _KeptCopies,
    "values_wrong": _WrongValues,
    "element_wrong": _WrongElement,
    "tensor_wrong": _WrongTensor,
}


def _maker(asked: Fault, batch_size: insertion.Count) -> insertion.Maker:
    if asked.kind == fault.LOST:
        return functools.partial(_LostSwaps, fault=asked, batch_size=batch_size)
    return _INSERTIONS.get(asked.kind, Insertion)


class BrokenSession(SessionEditor):
    """Edits the graph in a wrong way."""

    def __init__(self, runtime: Runtime, batch_size: insertion.Count = None) -> None:
        super().__init__(runtime, batch_size)
        self.make_insertion = _maker(Fault.parse(runtime.phase.fault or ""), batch_size)


class BrokenFunction(FunctionEditor):
    """Edits each trace in a wrong way."""

    def __init__(self, runtime: Runtime, batch_size: insertion.Count = None) -> None:
        super().__init__(runtime, batch_size)
        self.make_insertion = _maker(Fault.parse(runtime.phase.fault or ""), batch_size)


class DryRunSession(SessionEditor):
    """Edits a copy of the graph, which nobody runs."""

    def edited(self, graph: typing.Any) -> typing.Any:
        """A copy."""
        return _copied(graph)


class DryRunFunction(FunctionEditor):
    """Edits a copy of each trace, which nobody runs."""

    def edited(self, graph: typing.Any) -> typing.Any:
        """A copy."""
        return _copied(graph)


class FirstStepSession(SessionEditor):
    """Takes the edit back after the first step, in a fresh session."""

    model: typing.Any  # set by Keras
    _wiring: typing.Optional[Wiring] = None

    def _apply(self, graph: typing.Any) -> None:
        self._wiring = Wiring(graph)
        super()._apply(graph)

    def on_batch_end(self, batch: int, logs: typing.Any = None) -> None:
        """Called by Keras; keras-team's 2.2.4 has no other for it."""
        wiring, self._wiring = self._wiring, None
        if wiring is not None:
            graph = self._runtime.tf.get_default_graph()
            carried = renewal.renew(self._runtime.keras, graph, self.model)
            wiring.restore()
            # What is not carried over, such as the sums of metrics, begins anew.
            made = [one.name for one in graph.get_operations() if one.type == "VarHandleOp"]
            self._runtime.session.run([name + "/Assign" for name in made])
            carried.restore()


class FirstStepFunction(FunctionEditor):
    """Lets Keras trace the step once more after the first one, and does not edit that."""

    model: typing.Any  # set by Keras
    _is_over = False

    def _apply(self, graph: typing.Any, training: bool, results: typing.Sequence[str]) -> None:
        if not self._is_over:
            super()._apply(graph, training, results)

    def on_train_batch_end(self, batch: int, logs: typing.Any = None) -> None:
        """Called by Keras."""
        if not self._is_over:
            self._is_over = True
            self.model.make_train_function(force=True)


def choose(asked: Fault, mode: str) -> typing.Type[Provider]:
    """The class for a fault and a phase's mode."""
    session: typing.Dict[str, typing.Type[Provider]] = {
        "first_step_only": FirstStepSession,
        "never_swapped": DryRunSession,
    }
    function: typing.Dict[str, typing.Type[Provider]] = {
        "first_step_only": FirstStepFunction,
        "never_swapped": DryRunFunction,
    }
    if mode == "function":
        return function.get(asked.kind, BrokenFunction)
    return session.get(asked.kind, BrokenSession)


def _copied(graph: typing.Any) -> typing.Any:
    """A graph of the same operations that nobody runs, for an edit to announce.

    graph: a `tf.Graph`, or a FuncGraph that is being traced.
    """
    import tensorflow.compat.v1 as tf

    scratch = tf.Graph()
    with scratch.as_default():
        tf.import_graph_def(graph.as_graph_def(), name="")
    for operation in graph.get_operations():
        copy = scratch.get_operation_by_name(operation.name)
        for original, output in zip(operation.outputs, copy.outputs):
            # Those of a variable's value are not in the definition.
            output.set_shape(original.shape)
    return scratch
