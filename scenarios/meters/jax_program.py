"""The meter of Keras 3 on jax: the compiled program of one step, and the memory it takes.

XLA decides when it compiles what is where: the program's buffer assignment says how much memory of
the accelerator an execution takes, and its text has each copy to the host's memory and back. Both
are read from the executable that ran; nothing that Large Model Support says about itself goes in.

Without a GPU the copies are calls of Python, which the text has as well, and the memory is XLA's
own on the CPU; what the calls put elsewhere is traced by Python's allocation tracer.
"""

import re
import typing

from meters import host_memory
from meters.measurement import Copies, Measurement

_CALL = "xla_ffi_python_cpu_callback"
_HOST = "S(5)"
_SIZES = {"pred": 1, "s4": 1, "u4": 1, "bf16": 2, "c64": 8, "c128": 16}
# "%name = shape operation(operands), attributes"; the shape of several results is in parentheses.
_LINE = re.compile(r"^\s*(?:ROOT )?%?(\S+) = (\(.*?\)|\S+) ([\w-]+)\((.*)$", re.MULTILINE)
_SHAPE = re.compile(r"(\w+)\[([\d,]*)\](\{[^}]*\})?")


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
        run()
    executable = _latest(jax.local_devices()[0].client, "jit_" + function)
    peak, found = None, Copies()
    host_peak = None if on_gpu else traced.peak_bytes
    if executable is not None:
        stats = executable.get_compiled_memory_stats()
        peak = stats.temp_size_in_bytes + stats.output_size_in_bytes - stats.alias_size_in_bytes
        if on_gpu:
            host_peak = stats.host_temp_size_in_bytes
        found = copies("\n".join(module.to_string() for module in executable.hlo_modules()))
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
    shapes: typing.Dict[str, str] = {}
    out: typing.List[int] = []
    back: typing.List[int] = []
    for name, shape, operation, rest in _LINE.findall(text):
        shapes[name] = shape
        direction, moved = _move(shapes, shape, operation, rest)
        if direction:
            (out if direction == "out" else back).append(_bytes(moved))
    return Copies(len(out), len(back), sum(out), sum(back))


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
