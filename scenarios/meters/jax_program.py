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
from meters.measurement import Copies, Count, Measurement, Points, StepSeries

_CALL = "xla_ffi_python_cpu_callback"
_HOST = "S(5)"
_SIZES = {"pred": 1, "s4": 1, "u4": 1, "bf16": 2, "c64": 8, "c128": 16}
# "%name = shape operation(operands), attributes"; the shape of several results is in parentheses.
_LINE = re.compile(r"^\s*(?:ROOT )?%?(\S+) = (\(.*?\)|\S+) ([\w-]+)\((.*)$", re.MULTILINE)
_ENTRY = re.compile(r"^ENTRY ", re.MULTILINE)
_SHAPE = re.compile(r"(\w+)\[([\d,]*)\](\{[^}]*\})?")
# Operations whose results are in the memory of what they are given.
_ALIASES = frozenset(
    ["bitcast", "get-tuple-element", "tuple", "while", "conditional", "opt-barrier", "copy-done"]
)


class _Move(typing.NamedTuple):
    """A copy in a program: name of the operation, `'out'` or `'in'`, the shape, its bytes."""

    name: str
    direction: str
    shape: str
    bytes: int


class Value(typing.NamedTuple):
    """An intermediate value of a program: where it is in its memory, from and to which operation.

    begin, end: in bytes. first, last: the operation that makes it, and the last that reads it.
    """

    begin: int
    end: int
    first: int
    last: int


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
    allocator_peak_bytes, allocator_pool_bytes: None without a GPU.
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
    device = jax.local_devices()[0]
    allocator = allocated(device)
    executable = _latest(device.client, "jit_" + function)
    peak, found, over = None, Copies(), None
    host_peak = None if on_gpu else traced.peak_bytes
    if executable is not None:
        stats = executable.get_compiled_memory_stats()
        peak = taken(stats)
        if on_gpu:
            host_peak = stats.host_temp_size_in_bytes
        modules = executable.hlo_modules()
        text = "\n".join(module.to_string() for module in modules)
        found = copies(text)
        assignment = getattr(stats, "serialized_buffer_assignment_proto", b"")
        program = modules[0].as_serialized_hlo_module_proto()
        order = places(text)
        live = alive(values(assignment, program, order), peak)
        over = _series(text, live, order, began)
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
        allocator_peak_bytes=allocator.peak_bytes,
        allocator_pool_bytes=allocator.pool_bytes,
    )


class Allocated(typing.NamedTuple):
    """What XLA's allocator says of itself, since the process began; None where it does not.

    peak_bytes: of all that was in use at one time. pool_bytes: what it took of the device for that:
        it grows by regions that double, so two peaks can take the same.
    """

    peak_bytes: Count = None
    pool_bytes: Count = None


def allocated(device: typing.Any) -> Allocated:
    """What the allocator of a device of jax says. That of the CPU says nothing."""
    told = device.memory_stats() or {}
    return Allocated(told.get("peak_bytes_in_use"), told.get("peak_pool_bytes"))


def taken(stats: typing.Any) -> int:
    """Bytes that a program takes on the accelerator beyond its arguments.

    stats: XLA's `CompiledMemoryStats` of it.
    """
    size: int = stats.temp_size_in_bytes + stats.output_size_in_bytes - stats.alias_size_in_bytes
    return size


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
    for name, shape, operation, rest in _LINE.findall(text):
        shapes[name] = shape
        direction, moved = _move(shapes, shape, operation, rest)
        if direction:
            found.append(_Move(name, direction, moved, _bytes(moved)))
    return found


def places(text: str) -> typing.Dict[str, int]:
    """The operations of a program's entry, numbered as they are executed.

    What is within one of them, such as the body of a loop, is in the text before, and has no place.
    """
    entry = _ENTRY.search(text)
    lines = _LINE.findall(text, entry.start()) if entry else []
    return {name: place for place, (name, *_) in enumerate(lines)}


def _series(
    text: str,
    on_accelerator: typing.Optional[Points],
    order: typing.Dict[str, int],
    began: float,
) -> StepSeries:
    moves = _moves(text)
    out = [move for move in moves if move.direction == "out"]
    back = [move for move in moves if move.direction == "in"]
    return StepSeries(
        unit=measurement.OPERATIONS,
        end=len(order),
        accelerator=on_accelerator,
        host=None,
        swap_out=[order[move.name] for move in out if move.name in order],
        swap_in=[order[move.name] for move in back if move.name in order],
        largest=[(move.shape.split("{")[0], move.bytes) for move in out],
        began=began,
    )


def values(assignment: bytes, program: bytes, order: typing.Dict[str, int]) -> typing.List[Value]:
    """The intermediate values of a program.

    assignment: a `BufferAssignmentProto` of XLA's, and program: an `HloModuleProto`
        (xla/service/hlo.proto). jax has no classes for them, so the fields are known by number.
    order: of the program's operations.

    None is known without the package `protobuf`. What is made within another operation, such as in
    the body of a loop, is left out.
    """
    try:
        told = _fields(assignment)
    except ImportError:
        return []
    operations = _entry(_fields(program))
    last = _last_uses(operations, order)
    makers = {
        _number(buffer, 1): _number(_fields(buffer.get(3, [b""])[0]), 4)
        for buffer in map(_fields, told.get(1, ()))
    }
    found: typing.List[Value] = []
    base = 0
    for allocation in map(_fields, told.get(3, ())):
        # Thread-local memory, arguments, results and constants (fields 3, 5, 7, 12) are others.
        if any(_number(allocation, kind) for kind in (3, 5, 7, 12)):
            continue
        for assigned in map(_fields, allocation.get(9, ())):
            maker = makers.get(_number(assigned, 1))
            if maker not in operations:
                continue
            first = order.get(operations[maker].name, 0)
            begin = base + _number(assigned, 2)
            end = begin + _number(assigned, 3)
            found.append(Value(begin, end, first, max(first, last.get(maker, first))))
        base += _number(allocation, 2)
    return found


class _Operation(typing.NamedTuple):
    name: str
    code: str
    operands: typing.Sequence[int]


def _entry(program: "_Message") -> typing.Dict[int, _Operation]:
    """The operations of a program's entry, by their ids."""
    found = {}
    for computation in map(_fields, program.get(3, ())):
        if _number(computation, 5) != _number(program, 6):
            continue
        for operation in map(_fields, computation.get(2, ())):
            name, code = (operation[field][0].decode("utf-8", "replace") for field in (1, 2))
            operands = [number for packed in operation.get(36, ()) for number in _varints(packed)]
            found[_number(operation, 35)] = _Operation(name, code, operands)
    return found


def _last_uses(
    operations: typing.Dict[int, _Operation], order: typing.Dict[str, int]
) -> typing.Dict[int, int]:
    """By the id of an operation, the last one that reads its result."""
    last: typing.Dict[int, int] = {}
    placed = {number: order.get(entry.name, 0) for number, entry in operations.items()}
    for number in sorted(operations, key=placed.__getitem__, reverse=True):
        entry = operations[number]
        until = placed[number]
        if entry.code in _ALIASES:
            until = max(until, last.get(number, until))
        for operand in entry.operands:
            last[operand] = max(until, last.get(operand, until))
    return last


# Values of a message of protobuf by the numbers of their fields.
_Message = typing.Dict[int, typing.List[typing.Any]]


def _fields(message: bytes) -> _Message:
    from google.protobuf import empty_pb2, unknown_fields

    parsed = empty_pb2.Empty()
    parsed.ParseFromString(message)
    found: _Message = {}
    for field in unknown_fields.UnknownFieldSet(parsed):
        found.setdefault(field.field_number, []).append(field.data)
    return found


def _number(message: _Message, field: int) -> int:
    value: int = message.get(field, [0])[0]
    return value


def _varints(packed: bytes) -> typing.Iterator[int]:
    """The numbers of a packed field: seven bits a byte, the least first."""
    value = shift = 0
    for byte in packed:
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            yield value
            value = shift = 0


def alive(found: typing.Sequence[Value], peak: int) -> typing.Optional[Points]:
    """Bytes that a program's values take at each of its operations; None where none is known.

    peak: what it takes on the accelerator. Results, and what is lost between values, are taken at
        each operation.

    Values may share memory, and what several take counts once.
    """
    if not found:
        return None
    begins: typing.Dict[int, typing.List[Value]] = {}
    ends: typing.Dict[int, typing.List[Value]] = {}
    for value in found:
        begins.setdefault(value.first, []).append(value)
        ends.setdefault(value.last + 1, []).append(value)
    points = Points([0], [0])
    living: typing.Set[Value] = set()
    for place in sorted(set(begins) | set(ends)):
        living.difference_update(ends.get(place, ()))
        living.update(begins.get(place, ()))
        points.at.append(place)
        points.bytes.append(_covered(living))
    always = max(0, peak - points.peak)
    return Points(points.at, [size + always for size in points.bytes])


def _covered(living: typing.Iterable[Value]) -> int:
    covered = until = 0
    for value in sorted(living):
        covered += max(0, value.end - max(value.begin, until))
        until = max(until, value.end)
    return covered


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
