"""The meter of Keras 3 on jax: the compiled program of one step, and the memory it takes.

XLA decides when it compiles what is where: the program's buffer assignment says how much memory of
the accelerator an execution takes, and its text has each copy to the host's memory and back. Both
are read from the executable that ran; nothing that Large Model Support says about itself goes in.

Without a GPU the copies are calls of Python, which the text has as well, and the memory is XLA's
own on the CPU; what the calls put elsewhere is traced by Python's allocation tracer.
"""

import re

_CALL = "xla_ffi_python_cpu_callback"
_HOST = "S(5)"
_SIZES = {"pred": 1, "s4": 1, "u4": 1, "bf16": 2, "c64": 8, "c128": 16}
# "%name = shape operation(operands), attributes"; the shape of several results is in parentheses.
_LINE = re.compile(r"^\s*(?:ROOT )?%?(\S+) = (\(.*?\)|\S+) ([\w-]+)\((.*)$", re.MULTILINE)
_SHAPE = re.compile(r"(\w+)\[([\d,]*)\](\{[^}]*\})?")


def measure(run, on_gpu, function="train_step"):
    """What one step did, as a dict ready for `common.step`.

    run: runs the step once. function: name of the function that Keras had jax compile:
        `'train_step'` or `'predict_step'`.

    accelerator_peak_bytes: what the program takes on the accelerator beyond its arguments: for
        intermediate values, and for results that do not take the place of an argument.
    accelerator_bound_bytes: None.
    host_peak_bytes: on a GPU, what the program takes of the host's memory for intermediate values;
        without one, peak of what Python and numpy allocated during the step.
    swap_out_executed, swap_in_executed, swap_out_bytes, swap_in_bytes: copies in the program; an
        execution makes each of them once.
    device_peak_bytes: the allocator's own peak, of the process's life; None without a GPU.

    The step has to have run before, with a batch of the same size and by the same method of Keras,
    or what jax allocates to compile it is in the host's peak.

    A value is None where there is nothing to tell it from.
    """
    import jax

    with _Traced() as traced:
        run()
    device = jax.local_devices()[0]
    executable = _latest(device.client, "jit_" + function)
    measured = {
        "accelerator_peak_bytes": None,
        "accelerator_bound_bytes": None,
        "host_peak_bytes": None if on_gpu else traced.peak,
        "device_peak_bytes": (device.memory_stats() or {}).get("peak_bytes_in_use"),
    }
    if executable is None:
        measured.update(copies(""))
        return measured
    stats = executable.get_compiled_memory_stats()
    measured["accelerator_peak_bytes"] = (
        stats.temp_size_in_bytes + stats.output_size_in_bytes - stats.alias_size_in_bytes
    )
    if on_gpu:
        measured["host_peak_bytes"] = stats.host_temp_size_in_bytes
    measured.update(copies("\n".join(module.to_string() for module in executable.hlo_modules())))
    return measured


def _latest(client, name):
    """The executable of that name that was compiled last."""
    named = [
        executable
        for executable in client.live_executables()
        if executable.hlo_modules()[0].name == name
    ]
    return named[0] if named else None


def copies(text):
    """Copies between the accelerator's memory and the host's in the text of a program."""
    shapes = {}
    found = {"out": [], "in": []}
    for name, shape, operation, rest in _LINE.findall(text):
        shapes[name] = shape
        direction, moved = _move(shapes, shape, operation, rest)
        if direction:
            found[direction].append(_bytes(moved))
    return {
        "swap_out_executed": len(found["out"]) if text else None,
        "swap_in_executed": len(found["in"]) if text else None,
        "swap_out_bytes": sum(found["out"]) if text else None,
        "swap_in_bytes": sum(found["in"]) if text else None,
    }


def _move(shapes, shape, operation, rest):
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
        return None, None
    if (_HOST in target) == (_HOST in source):
        return None, None
    return "out" if _HOST in target else "in", target


def _bytes(shape):
    match = _SHAPE.match(shape)
    if match is None:
        return 0
    kind, dimensions, _ = match.groups()
    bits = re.search(r"\d+", kind)
    size = _SIZES.get(kind) or int(bits.group()) // 8
    for dimension in dimensions.split(","):
        size *= int(dimension or 1)
    return size


class _Traced(object):
    """Python's allocation tracer, which numpy tells of its memory."""

    peak = None

    def __enter__(self):
        import tracemalloc

        self._started = not tracemalloc.is_tracing()
        if self._started:
            tracemalloc.start(1)
        tracemalloc.reset_peak()
        self._before, _ = tracemalloc.get_traced_memory()
        return self

    def __exit__(self, *raised):
        import tracemalloc

        _, peak = tracemalloc.get_traced_memory()
        self.peak = peak - self._before
        if self._started:
            tracemalloc.stop()
