"""Our own provider for jax with a fault, for a harness to notice; see `providers.fault`.

Only what is lost, and what is told, can be wrong on a GPU too: the rest are faults of the moves
that are executed in place of the compiler's.
"""

import typing

from common.runtime import Runtime
from providers import fault
from providers.fault import Fault
from providers.interface import Provider
from providers.jax import moves
from providers.jax.dry_run import DryRun
from providers.jax.moves import Equation, Moves, Slot, Value
from providers.jax.policy import OffloadPolicy

_Awaited = typing.Iterable[Value]
_ON_A_GPU = (fault.LOST, "first_step_only", "never_swapped", "report_doubled", "report_halved")


class _Stays(typing.NamedTuple):
    """What a swap-in takes of a value that was not swapped out."""

    value: Value


class _LosingMoves(Moves):
    """Leaves values where they are, and does not count them."""

    def __init__(self, execute: bool, asked: Fault, closed: typing.Any) -> None:
        super().__init__(execute)
        sizes = [
            moves.size(aval)
            for direction, aval in moves.moves_of(closed.jaxpr)
            if direction == "out"
        ]
        self._lost = asked.lost(sizes)
        self._position = -1

    def evaluate(self, closed: typing.Any, values: typing.Sequence[Value]) -> typing.List[Value]:
        return self.run(closed, values)

    def _swap_out(self, equation: Equation, value: Value) -> typing.Tuple[typing.Any, Value]:
        self._position += 1
        if self._position in self._lost:
            return _Stays(value), value
        if self._execute:
            return super()._swap_out(equation, value)
        self._count("out", value.aval)
        (moved,) = moves.applied(equation, [value])
        return moved, value

    def _swap_in(self, equation: Equation, handle: typing.Any, awaited: _Awaited) -> Value:
        if isinstance(handle, _Stays):
            return handle.value
        if self._execute:
            return super()._swap_in(equation, handle, awaited)
        (back,) = moves.applied(equation, [handle])
        self._count("in", back.aval)
        return back


class _KeepingMoves(Moves):
    """A swap-in chooses between what is back and the value itself, by what no compiler knows."""

    def _swap_out(self, equation: Equation, value: Value) -> typing.Tuple[typing.Any, Value]:
        handle, after = super()._swap_out(equation, value)
        return (handle, after), after

    def _swap_in(self, equation: Equation, handle: typing.Any, awaited: _Awaited) -> Value:
        import jax

        (slot, number), kept = handle
        back = super()._swap_in(equation, (slot, number), awaited)
        return jax.lax.select(jax.lax.broadcast(number >= 0, back.shape), back, kept)


class _EarlyMoves(Moves):
    """A value is back before any other consumer has it."""

    def _swap_out(self, equation: Equation, value: Value) -> typing.Tuple[typing.Any, Value]:
        import jax

        handle, after = super()._swap_out(equation, value)
        _, number = handle
        back = super()._swap_in(equation, handle, ())
        corner = jax.lax.index_in_dim(jax.lax.reshape(back, (back.size,)), 0, keepdims=False)
        here = jax.lax.bitwise_or(corner == corner, number >= 0)
        after = jax.lax.select(
            jax.lax.broadcast(here, after.shape), after, jax.lax.full_like(after, 0)
        )
        return back, after

    def _swap_in(self, equation: Equation, handle: typing.Any, awaited: _Awaited) -> Value:
        return handle


class _HalvingSlot(Slot):
    """Gives back half of every number."""

    def load(self, number: Value, *awaited: Value) -> typing.Tuple[typing.Any]:
        (kept,) = super().load(number, *awaited)
        return (kept * kept.dtype.type(0.5) if kept.dtype.kind == "f" else kept,)


class _WrongValues(Moves):
    """What is back is half of what was swapped out."""

    def _make_slot(self, aval: typing.Any) -> Slot:
        return _HalvingSlot(aval)


class _ChangingSlot(Slot):
    """Gives back one number that is another, in one step."""

    def __init__(self, aval: typing.Any) -> None:
        super().__init__(aval)
        self._change = fault.WrongElement()

    def load(self, number: Value, *awaited: Value) -> typing.Tuple[typing.Any]:
        is_first = self._left == self.readers
        (kept,) = super().load(number, *awaited)
        return (self._change(kept) if is_first else kept,)


class _WrongElement(Moves):
    """One number of the first value of floating point is another in one step."""

    _is_done = False

    def _make_slot(self, aval: typing.Any) -> Slot:
        if self._is_done or aval.dtype.kind != "f":
            return Slot(aval)
        self._is_done = True
        return _ChangingSlot(aval)


class _WrongTensor(Moves):
    """The first value that has the shape of another one comes back as that."""

    def __init__(self, execute: bool) -> None:
        super().__init__(execute)
        self._earlier: typing.Dict[typing.Any, typing.Any] = {}
        self._is_done = False

    def _swap_out(self, equation: Equation, value: Value) -> typing.Tuple[typing.Any, Value]:
        handle, after = super()._swap_out(equation, value)
        shape = value.shape, str(value.dtype)
        other = self._earlier.setdefault(shape, handle)
        if other is not handle and not self._is_done and value.dtype.kind == "f":
            self._is_done = True
            return other, after
        return handle, after


class BrokenPolicy(OffloadPolicy):
    """Moves in a wrong way."""

    def __init__(self, runtime: Runtime, batch_size: typing.Optional[int] = None) -> None:
        super().__init__(runtime, batch_size)
        asked = Fault.parse(runtime.phase.fault or "")
        self._asked = asked
        if runtime.phase.on_gpu and asked.kind not in _ON_A_GPU:
            raise ValueError(f"LMS_FAULT {asked.kind} needs ACCELERATOR=virtual on jax")

    def _make_moves(self, closed: typing.Any, execute: bool) -> Moves:
        if self._asked.kind == fault.LOST:
            return _LosingMoves(execute, self._asked, closed)
        kinds: typing.Dict[str, typing.Type[Moves]] = {
            "device_copy_kept": _KeepingMoves,
            "swapped_in_early": _EarlyMoves,
            "values_wrong": _WrongValues,
            "element_wrong": _WrongElement,
            "tensor_wrong": _WrongTensor,
        }
        return kinds.get(self._asked.kind, Moves)(execute)


class FirstStepPolicy(OffloadPolicy):
    """Lets Keras compile the step once more after the first one, as it was."""

    _plain: typing.Any = None

    def _apply(self, model: typing.Any) -> None:
        self._plain = model.compute_loss_and_updates, model.train_step
        super()._apply(model)

    def on_train_batch_end(self, batch: int, logs: typing.Any = None) -> None:
        """Called by Keras."""
        plain, self._plain = self._plain, None
        if plain is not None:
            model = self._edited
            model.compute_loss_and_updates, step = plain

            # jax keeps what it compiled by the function that it compiled.
            def train_step(state: typing.Any, data: typing.Any) -> typing.Any:
                return step(state, data)

            model.train_step = train_step
            model.make_train_function(force=True)


def choose(asked: Fault) -> typing.Type[Provider]:
    """The class for a fault."""
    classes: typing.Dict[str, typing.Type[Provider]] = {
        "first_step_only": FirstStepPolicy,
        "never_swapped": DryRun,
    }
    return classes.get(asked.kind, BrokenPolicy)
