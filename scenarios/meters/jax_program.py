"""The meter of Keras 3 on jax: the compiled program of one step, and the memory it takes.

XLA decides when it compiles what is where: the program's buffer assignment says how much memory of
the accelerator an execution takes, and its text has each copy to the host's memory and back. Both
are read from the executable that ran; nothing that Large Model Support says about itself goes in.

Without a GPU the copies are calls of Python, which the text has as well, and the memory is XLA's
own on the CPU; what the calls put elsewhere is traced by Python's allocation tracer.
"""

import re
import time
import typing

from meters import host_memory, measurement
from meters.measurement import Copies, Measurement, Points, StepSeries

_CALL = "xla_ffi_python_cpu_callback"
_HOST = "S(5)"
_SIZES = {"pred": 1, "s4": 1, "u4": 1, "bf16": 2, "c64": 8, "c128": 16}
# "%name = shape operation(operands), attributes"; the shape of several results is in parentheses.
_LINE = re.compile(r"^\s*(?:ROOT )?%?(\S+) = (\(.*?\)|\S+) ([\w-]+)\((.*)$", re.MULTILINE)
_SHAPE = re.compile(r"(\w+)\[([\d,]*)\](\{[^}]*\})?")
_ALLOCATE, _FREE, _SHARE = range(3)  # kinds of an event in a trace of XLA's heap simulator


class _Move(typing.NamedTuple):
    """A copy in a program: which of its operations, `'out'` or `'in'`, the shape, its bytes."""

    place: int
    direction: str
    shape: str
    bytes: int


class Event(typing.NamedTuple):
    """What a program's plan of its memory says, in order.

    kind: a buffer is allocated, is freed, or takes the memory of another, `shared`.
    operation: the operation that makes the buffer, also where the buffer is freed.
    """

    kind: int
    buffer: int
    operation: str
    shared: int


def measure(
    run: typing.Callable[[], typing.Any], on_gpu: bool, function: str = "train_step"
) -> Measurement:
    """What one step did.

    run: runs the step once. function: name of the function that Keras had jax compile:
        `'train_step'` or `'predict_step'`.

    accelerator_peak_bytes: what the program takes on the accelerator beyond its arguments: for
        intermediate values, and for results that do not take the place of an argument.
    accelerator_bound_bytes: None.
    host_peak_bytes: on a GPU, what the program takes of the host's memory for intermediate values;
        without one, peak of what Python and numpy allocated during the step.
    swap_out_executed, swap_in_executed, swap_out_bytes, swap_in_bytes: copies in the program; an
        execution makes each of them once. graph_swap_out, graph_swap_in: the same.

    The step has to have run before, with a batch of the same size and by the same method of Keras,
    or what jax allocates to compile it is in the host's peak; and with no other size after it: the
    program that is looked at is the one that was compiled last.
    """
    import jax

    with host_memory.Traced() as traced:
        began = time.monotonic()
        run()
    executable = _latest(jax.local_devices()[0].client, "jit_" + function)
    peak, found, over = None, Copies(), None
    host_peak = None if on_gpu else traced.peak_bytes
    if executable is not None:
        stats = executable.get_compiled_memory_stats()
        peak = stats.temp_size_in_bytes + stats.output_size_in_bytes - stats.alias_size_in_bytes
        if on_gpu:
            host_peak = stats.host_temp_size_in_bytes
        text = "\n".join(module.to_string() for module in executable.hlo_modules())
        found = copies(text)
        sizes, events = planned(getattr(stats, "serialized_buffer_assignment_proto", b""))
        over = _series(text, alive(sizes, events, places(text), peak), began)
    return Measurement(
        accelerator_peak_bytes=peak,
        accelerator_bound_bytes=None,
        host_peak_bytes=host_peak,
        swap_out_executed=found.out,
        swap_in_executed=found.back,
        swap_out_bytes=found.out_bytes,
        swap_in_bytes=found.back_bytes,
        graph_swap_out=found.out,
        graph_swap_in=found.back,
        series=over,
    )


def _latest(client: typing.Any, name: str) -> typing.Any:
    """The executable of that name that was compiled last."""
    named = [
        executable
        for executable in client.live_executables()
        if executable.hlo_modules()[0].name == name
    ]
    return named[0] if named else None


def copies(text: str) -> Copies:
    """Copies between the accelerator's memory and the host's in the text of a program."""
    if not text:
        return Copies()
    moves = _moves(text)
    out = [move.bytes for move in moves if move.direction == "out"]
    back = [move.bytes for move in moves if move.direction == "in"]
    return Copies(len(out), len(back), sum(out), sum(back))


def _moves(text: str) -> typing.List[_Move]:
    """The copies, in the order of the text."""
    shapes: typing.Dict[str, str] = {}
    found: typing.List[_Move] = []
    for place, (name, shape, operation, rest) in enumerate(_LINE.findall(text)):
        shapes[name] = shape
        direction, moved = _move(shapes, shape, operation, rest)
        if direction:
            found.append(_Move(place, direction, moved, _bytes(moved)))
    return found


def places(text: str) -> typing.Dict[str, int]:
    """Where each operation is in the text of a program, which has them as they are executed."""
    return {name: place for place, (name, *_) in enumerate(_LINE.findall(text))}


def _series(text: str, on_accelerator: typing.Optional[Points], began: float) -> StepSeries:
    moves = _moves(text)
    out = [move for move in moves if move.direction == "out"]
    return StepSeries(
        unit=measurement.OPERATIONS,
        end=len(_LINE.findall(text)),
        accelerator=on_accelerator,
        host=None,
        swap_out=[move.place for move in out],
        swap_in=[move.place for move in moves if move.direction == "in"],
        largest=[(move.shape.split("{")[0], move.bytes) for move in out],
        began=began,
    )


def planned(assignment: bytes) -> typing.Tuple[typing.Dict[int, int], typing.List[Event]]:
    """Bytes of the buffers of a program, and what becomes of those of intermediate values.

    assignment: a `BufferAssignmentProto` of XLA's (xla/service/hlo.proto), or nothing. jax has no
        class for it, so the fields are known by their numbers.

    Nothing is known without the package `protobuf`.
    """
    try:
        told = _fields(assignment)
    except ImportError:
        return {}, []
    sizes = {}
    for buffer in map(_fields, told.get(1, ())):
        sizes[_number(buffer, 1)] = _number(buffer, 2)
    # Of thread-local memory, of arguments and results, and of constants (fields 3, 5, 7 and 12)
    # none is for intermediate values.
    temporary = {
        _number(allocation, 1)
        for allocation in map(_fields, told.get(3, ()))
        if not any(_number(allocation, kind) for kind in (3, 5, 7, 12))
    }
    events = [
        Event(
            _number(event, 1),
            _number(event, 2),
            event.get(4, [b""])[0].decode("utf-8", "replace"),
            _number(event, 5),
        )
        for trace in map(_fields, told.get(4, ()))
        if _number(trace, 3) in temporary
        for event in map(_fields, trace.get(1, ()))
    ]
    return sizes, events


def _fields(message: bytes) -> typing.Dict[int, typing.List[typing.Any]]:
    """The values of a message of protobuf by the numbers of their fields."""
    from google.protobuf import empty_pb2, unknown_fields

    parsed = empty_pb2.Empty()
    parsed.ParseFromString(message)
    found: typing.Dict[int, typing.List[typing.Any]] = {}
    for field in unknown_fields.UnknownFieldSet(parsed):
        found.setdefault(field.field_number, []).append(field.data)
    return found


def _number(fields: typing.Dict[int, typing.List[typing.Any]], number: int) -> int:
    value: int = fields.get(number, [0])[0]
    return value


def alive(
    sizes: typing.Dict[int, int],
    events: typing.Sequence[Event],
    order: typing.Dict[str, int],
    peak: int,
) -> typing.Optional[Points]:
    """Bytes that a program's values take at each of its operations; None without events.

    sizes: of its buffers. order: of its operations. peak: what it takes on the accelerator: what is
        no intermediate value, and what is lost between buffers, is taken at each operation.
    """
    if not events:
        return None
    owner: typing.Dict[int, int] = {}  # of a buffer's memory
    users: typing.Dict[int, int] = {}  # buffers that are in it
    changes: typing.List[typing.Tuple[int, int]] = []
    at = 0
    for event in events:
        at = max(at, order.get(event.operation, at)) if event.kind != _FREE else at
        if event.kind == _FREE:
            memory = owner.pop(event.buffer, event.buffer)
            users[memory] = users.get(memory, 1) - 1
            if not users[memory]:
                changes.append((at, -sizes.get(memory, 0)))
            continue
        memory = event.buffer if event.kind == _ALLOCATE else owner.get(event.shared, event.shared)
        owner[event.buffer] = memory
        users[memory] = users.get(memory, 0) + 1
        if event.kind == _ALLOCATE:
            changes.append((at, sizes.get(memory, 0)))
    points = measurement.live(changes)
    always = max(0, peak - points.peak)
    return Points(points.at, [size + always for size in points.bytes])


def _move(
    shapes: typing.Dict[str, str], shape: str, operation: str, rest: str
) -> typing.Tuple[typing.Optional[str], str]:
    """Direction of a move, `'out'` or `'in'`, and the shape that it moves; None for others."""
    operands = re.findall(r"%([\w.-]+)", rest.split(")")[0])
    first = shapes.get(operands[0], "") if operands else ""
    if operation == "custom-call" and _CALL in rest:
        # A swap-out gives a number and no array, and a swap-in takes one first.
        return ("out", first) if shape == "s32[]" else ("in", shape)
    if operation == "copy-start":
        # The results are the target, the source, and the state of the copy.
        both = [match.group(0) for match in _SHAPE.finditer(shape)][:2]
        target, source = both if len(both) == 2 else ("", "")
    elif operation == "copy":
        target, source = shape, first
    else:
        return None, ""
    if (_HOST in target) == (_HOST in source):
        return None, ""
    return "out" if _HOST in target else "in", target


def _bytes(shape: str) -> int:
    match = _SHAPE.match(shape)
    if match is None:
        return 0
    kind, dimensions, _ = match.groups()
    size = _SIZES.get(kind) or _bits(kind) // 8
    for dimension in dimensions.split(","):
        size *= int(dimension or 1)
    return size


def _bits(kind: str) -> int:
    """32 of `f32`, 8 of `f8e4m3fn`: the first number in the name of a type; 0 without one."""
    found = re.search(r"\d+", kind)
    return int(found.group()) if found else 0
