"""The moves of an offload policy on jax, found in the traced step, and executed without a GPU.

jax writes a move as `device_put` to the host's memory space, or back. The CPU backend has such a
space by name only. In its place each move becomes a call of Python: a swap-out copies into memory
that numpy allocates, and leaves the program with a number; a swap-in copies from there. So XLA's
memory stands for the accelerator's, and what is out is none of it.

Timing is that of `sync_mode` 3: the producer's other successors wait for the swap-out, and a
swap-in waits until its consumer is otherwise ready; every consumer has its own.
"""

import functools
import itertools
import typing

# A program as jax traced it, an operation of one, an array or what stands for one, and its shape
# and type.
_Jaxpr = typing.Any
Equation = typing.Any
Value = typing.Any
_Aval = typing.Any

# The operations that execute moves, by name.
SWAP_OUT, SWAP_IN = "lms_swapout", "lms_swapin"

# Their programs run any number of times, and a slot holds one tensor. So moves within them stay
# what they are, which is nothing on a CPU: they are neither executed there nor counted.
_CONTROL_FLOW = ("scan", "while", "cond")


class Moves:
    """Evaluates one traced step with its moves.

    execute: replace the moves; else they are left to the compiler and only counted.

    swap_out, swap_in: moves in the step; bytes_out, bytes_in: their sizes.
    """

    def __init__(self, execute: bool) -> None:
        self.swap_out = self.swap_in = self.bytes_out = self.bytes_in = 0
        self._execute = execute

    def evaluate(self, closed: typing.Any, values: typing.Sequence[Value]) -> typing.List[Value]:
        """What the step gives, a flat list. closed: the step as jax traced it."""
        from jax.extend import core

        if not self._execute:
            self._count_all(closed.jaxpr)
            return list(core.jaxpr_as_fun(closed)(*values))
        return self.run(closed, values)

    def run(self, closed: typing.Any, values: typing.Sequence[Value]) -> typing.List[Value]:
        """What the step gives, a flat list, with its moves replaced."""
        return [_ready(value, ()) for value in self._run(closed.jaxpr, closed.consts, values)]

    def _count_all(self, jaxpr: _Jaxpr) -> None:
        for direction, aval in moves_of(jaxpr):
            self._count(direction, aval)

    def _count(self, direction: str, aval: _Aval) -> None:
        if direction == "out":
            self.swap_out += 1
            self.bytes_out += size(aval)
        else:
            self.swap_in += 1
            self.bytes_in += size(aval)

    def _run(
        self,
        jaxpr: _Jaxpr,
        consts: typing.Iterable[Value],
        values: typing.Iterable[Value],
    ) -> typing.List[Value]:
        from jax.extend import core

        known = dict(zip(jaxpr.constvars, consts))
        known.update(zip(jaxpr.invars, values))

        def read(atom: typing.Any) -> Value:
            return atom.val if isinstance(atom, core.Literal) else known[atom]

        for equation in jaxpr.eqns:
            inputs = [read(atom) for atom in equation.invars]
            direction = _direction(equation)
            if direction == "out":
                handle, after = self._swap_out(equation, _ready(inputs[0], ()))
                known[equation.invars[0]] = after
                results: typing.List[typing.Any] = [handle]
            elif direction == "in":
                results = [_Later(functools.partial(self._swap_in, equation, inputs[0]))]
            elif equation.primitive.name not in _CONTROL_FLOW and any(
                _moves(inner) for inner in _inner(equation)
            ):
                results = self._run_inner(equation, inputs)
            else:
                results = applied(equation, inputs)
            known.update(zip(equation.outvars, results))
        return [read(atom) for atom in jaxpr.outvars]

    def _run_inner(self, equation: Equation, inputs: typing.List[Value]) -> typing.List[Value]:
        (inner,) = _inner(equation)
        (closed,) = [
            value for value in equation.params.values() if getattr(value, "jaxpr", value) is inner
        ]
        return self._run(inner, getattr(closed, "consts", ()), inputs)

    def _swap_out(self, equation: Equation, value: Value) -> typing.Tuple[typing.Any, Value]:
        """What a swap-in takes, and the value for its other consumers."""
        import jax

        self._count("out", value.aval)
        slot = self._make_slot(value.aval)
        number = _store().bind(value, slot=slot)
        # The compiler cannot know that numbers of slots are not negative.
        after = jax.lax.select(
            jax.lax.broadcast(number >= 0, value.shape), value, jax.lax.full_like(value, 0)
        )
        return (slot, number), after

    def _swap_in(
        self, equation: Equation, handle: typing.Any, awaited: typing.Iterable[Value]
    ) -> Value:
        """The value that is back. awaited: values that have to be there first."""
        import jax

        slot, number = handle
        self._count("in", slot.aval)
        slot.readers += 1
        # One element of what has to be there first.
        corners = [jax.lax.slice(value, [0] * value.ndim, [1] * value.ndim) for value in awaited]
        return _load().bind(number, *corners, slot=slot)

    def _make_slot(self, aval: _Aval) -> "Slot":
        return Slot(aval)


class _Later:
    """A value that is made anew for each operation that needs it, just before."""

    def __init__(self, make: typing.Callable[[typing.Any], Value]) -> None:
        self.make = make


def _ready(value: Value, awaited: typing.Iterable[Value]) -> Value:
    return value.make(awaited) if isinstance(value, _Later) else value


def applied(equation: Equation, inputs: typing.List[Value]) -> typing.List[Value]:
    """Results of an operation without moves, or, if all it needs comes later, what makes them."""
    import jax

    def apply(awaited: typing.Iterable[Value]) -> typing.List[Value]:
        params = equation.primitive.get_bind_params(equation.params)
        operands = [_ready(value, awaited) for value in inputs]
        with equation.ctx.manager:
            results = equation.primitive.bind(*operands, **params)
        return results if equation.primitive.multiple_results else [results]

    present = [value for value in inputs if isinstance(value, jax.Array) and value.size]
    if present or not any(isinstance(value, _Later) for value in inputs):
        return apply(present)

    def one(index: int, awaited: typing.Iterable[Value]) -> Value:
        return apply(awaited)[index]

    return [_Later(functools.partial(one, index)) for index in range(len(equation.outvars))]


def moves_of(jaxpr: _Jaxpr) -> typing.Iterator[typing.Tuple[str, _Aval]]:
    """Each move in a program: `'out'` or `'in'`, and the shape and type of what is moved."""
    for equation in equations(jaxpr):
        direction = _direction(equation)
        if direction:
            yield direction, equation.invars[0].aval


def equations(jaxpr: _Jaxpr) -> typing.Iterator[Equation]:
    """Each operation of a program, and of the programs within."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in _inner(equation):
            yield from equations(inner)


def size(aval: _Aval) -> int:
    """Bytes of a value."""
    count: int = aval.size * aval.dtype.itemsize
    return count


def _direction(equation: Equation) -> typing.Optional[str]:
    """`'out'`, `'in'`, or None for what is no move between memories."""
    if equation.primitive.name != "device_put":
        return None
    space = str(equation.params["devices"][0])
    return {"MemorySpace.Host": "out", "MemorySpace.Device": "in"}.get(space)


def _inner(equation: Equation) -> typing.List[_Jaxpr]:
    """The programs within an operation."""
    values = itertools.chain.from_iterable(
        value if isinstance(value, (tuple, list)) else [value] for value in equation.params.values()
    )
    programs = [getattr(value, "jaxpr", value) for value in values]
    return [program for program in programs if hasattr(program, "eqns")]


def _moves(jaxpr: _Jaxpr) -> bool:
    return any(True for _ in moves_of(jaxpr))


class Slot:
    """Where one tensor is while it is out; hashed by identity, for jax."""

    _numbers = itertools.count()

    def __init__(self, aval: _Aval) -> None:
        self.aval = aval
        self.number = next(self._numbers)
        self.readers = 0
        self._kept: typing.Any = None
        self._left = 0

    def store(self, value: Value) -> typing.Tuple[typing.Any]:
        """Copies a tensor out."""
        import numpy as np

        self._kept = np.array(value)
        self._left = self.readers
        return (np.int32(self.number),)

    def load(self, number: Value, *awaited: Value) -> typing.Tuple[typing.Any]:
        """Copies it back; the last time, the memory is free again."""
        kept = self._kept
        self._left -= 1
        if not self._left:
            self._kept = None
        return (kept,)


@functools.lru_cache(maxsize=None)
def _store() -> typing.Any:
    import jax
    import numpy as np

    return _call(SWAP_OUT, "store", lambda slot: jax.core.ShapedArray((), np.int32))


@functools.lru_cache(maxsize=None)
def _load() -> typing.Any:
    import jax

    return _call(
        SWAP_IN,
        "load",
        lambda slot: jax.core.ShapedArray(slot.aval.shape, slot.aval.dtype),
    )


def _call(name: str, method: str, result: typing.Callable[["Slot"], _Aval]) -> typing.Any:
    """An operation that calls a method of its slot with arrays of numpy's.

    `jax.pure_callback` would make arrays of jax's of them, which with few threads can wait for
    each other for ever.
    """
    from jax.extend import core
    from jax.interpreters import mlir

    primitive = core.Primitive(name)

    @primitive.def_abstract_eval  # type: ignore[untyped-decorator]
    def abstract(*operands: typing.Any, slot: Slot) -> _Aval:
        return result(slot)

    def lower(context: typing.Any, *operands: typing.Any, slot: Slot) -> typing.Any:
        results, _, _ = mlir.emit_python_callback(
            context,
            getattr(slot, method),
            None,
            operands,
            context.avals_in,
            context.avals_out,
            has_side_effect=True,
            returns_token=False,
        )
        return results

    mlir.register_lowering(primitive, lower, platform="cpu")
    return primitive
