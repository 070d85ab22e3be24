"""What TensorFlow, TFLMS and Python say of their own accord: one line in, facts out.

Sources of the sentences: `tensorflow/c/c_api.cc` (RecordMutation) for mutations; TFLMS branches
tflmsv1 and tflmsv2 for LMS lines; CPython for exceptions; the CUDA libraries' status names.
Nothing here keeps state: what spans several lines is put together in `logs.parser`.

What counts as a problem, exactly:

- A traceback counts where its header stands at the start of a line, unless the line before says
  that the exception was caught: "Exception ignored in", "--- Logging error ---", or a line that a
  Python logger wrote at WARNING or below. One logged at ERROR counts. A chain of exceptions
  ("During handling of the above exception ...") is one problem, named by the last of them.
- What Python's loggers or warnings report at WARNING or below was caught: it never counts as out
  of memory or as a CUDA error, nor does the exception of a traceback that does not count, nor an
  indented line, which continues or quotes something. Lines of TensorFlow's C++ runtime count at
  any level, because a failed operation is logged there as a warning.
- Out of memory: an exception whose type says so, a failed operation ("OOM when allocating
  tensor"), the kernel's or the shell's report of a kill. An allocator that tries, fails, and goes
  on with less is no problem ("ran out of memory trying to allocate", "failed to allocate ... from
  device: CUDA_ERROR_OUT_OF_MEMORY"): if it cannot go on, one of the former lines follows.
- CUDA errors: the names CUDA_ERROR_* and *_STATUS_*, except for success, and the sentences of
  TensorFlow and torch for a library that does not start. A log of a machine without a GPU may
  hold "failed call to cuInit"; whether that matters is for the caller, who knows whether a GPU
  was asked for (`no_gpu`).
- A loss that is NaN or infinite counts in any line, whoever wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.logs.markers import TEXT_LIMIT, clean
from harness.record.facts import Edit, Metric, Mutation, Problem

GIB = 2**30

MUTATED = b" after it was run by a session"
TRACEBACK = b"Traceback (most recent call last):"

# One of these is in every line that says something. A fixed text is found by bytes.find, which is
# the faster the longer it is; a pattern must start with a fixed text, which `re` looks for first.
Needle = bytes | re.Pattern[bytes]
LMS_NEEDLES: tuple[Needle, ...] = (
    re.compile(rb"LMS(?:\]\[0\]| off\b| swap operations| is disabled)"),
    b"not supported with TensorFlow Large Model Support",
)
NAN_NEEDLES: tuple[Needle, ...] = (
    re.compile(rb"loss['\"]?(?:: ?| = )-?(?:[nN]a[nN]|inf)"),
    b"Invalid loss, terminating training",
)
MEMORY_NEEDLES: tuple[Needle, ...] = (
    b"ut of memory",
    b"MemoryError",
    b"OOM when allocating tensor",
    b"ResourceExhaustedError",
    b"RESOURCE_EXHAUSTED: ",
    b"CUDA_ERROR_OUT_OF_MEMORY",
    b"Killed",
    b"std::bad_alloc",
    b"OSError: [Errno 12]",
    b"Dst tensor is not initialized",
)
CUDA_NEEDLES: tuple[Needle, ...] = (
    re.compile(rb"CUDA(?:_ERROR_| error| runtime error)"),
    b"_STATUS_",
    b"Could not create cudnn handle",
    b"cuDNN failed to initialize",
    b"device-side assert triggered",
    b"ailed call to cu",
)
METRIC_NEEDLES: tuple[Needle, ...] = (re.compile(rb"Test (?:loss|accuracy):"),)


def positions(needle: Needle, text: bytes) -> Iterator[int]:
    """Where a needle is found; only its first place on each line."""
    position = _first(needle, text, 0)
    while position >= 0:
        yield position
        end = text.find(b"\n", position)
        if end < 0:
            return
        position = _first(needle, text, end)


def count(needle: Needle, text: bytes) -> int:
    """How often a needle is found."""
    if isinstance(needle, bytes):
        return text.count(needle)
    return sum(1 for _ in needle.finditer(text))


def _first(needle: Needle, text: bytes, start: int) -> int:
    if isinstance(needle, bytes):
        return text.find(needle, start)
    match = needle.search(text, start)
    return match.start() if match else -1


# --- mutations --------------------------------------------------------------------------------

_FORM = re.compile(rb"was changed by ([a-z][a-z ]{0,60}?) after it was run by a session")
_NODE = re.compile(rb"Operation '\{name:'([^']{0,4096})'")
_TYPE = re.compile(rb"\}\} = ([A-Za-z0-9_.>]{1,200})[\[(]")

_ASSIGN_TYPES = frozenset({"Assign", "AssignVariableOp"})
_QUERY_TYPES = frozenset({"IsVariableInitialized", "VarIsInitializedOp"})
_INIT_GROUP = re.compile(r"(?:.*/)?init(?:_\d+)?")


def mutations(line: bytes, number: int) -> Iterator[Mutation]:
    """TensorFlow's warnings that an edit came after a session had run the operation.

    TensorFlow prints one at the next run of a session, for the last of all mutations since the
    run before: a harmless one may hide others. Several share a line when a newline got lost. One
    whose operation cannot be read is taken for harmful.
    """
    start = 0
    for match in _FORM.finditer(line):
        begin = line.rfind(b"Operation '{name:'", start, match.start())
        name = operation_type = None
        definition = b""
        if begin >= 0:
            node = _NODE.match(line, begin)
            name = clean(node[1], 500) if node else None
            definition = line[begin : match.start()]
            kind = _TYPE.search(definition)
            operation_type = kind[1].decode("ascii") if kind else None
        yield Mutation(
            form=match[1].decode("ascii"),
            operation=name or "?",
            operation_type=operation_type,
            harmless=name is not None
            and (
                _initialises(name, operation_type, definition) or _bookkeeping(match[1], definition)
            ),
            line=number,
            text=clean(line[max(start, begin - 200) : match.end()]),
        )
        start = match.end()


def _initialises(name: str, operation_type: str | None, definition: bytes) -> bool:
    """Whether an operation only gives a variable its first value, or asks whether it has one.

    `<variable>/Assign` is an initialiser if it assigns to `<variable>`; an optimizer's update may
    have the same name (`training/Adadelta/Assign`), but assigns to a variable of another name.
    """
    if operation_type in _QUERY_TYPES or "/Initializer/" in f"/{name}/":
        return True
    if operation_type == "NoOp":
        return _INIT_GROUP.fullmatch(name) is not None
    if operation_type not in _ASSIGN_TYPES or not name.endswith("/Assign"):
        return False
    variable = re.escape(name.removesuffix("/Assign").encode())
    assigned = (
        rb"loc:@" + variable + rb'"|[(\s]' + variable + rb"(?:/Initializer/|/initial_value|[,:)])"
    )
    return re.search(assigned, definition) is not None


def _bookkeeping(form: bytes, definition: bytes) -> bool:
    """Whether TensorFlow 2 only noted for itself that `tf.control_dependencies` names an operation.

    TensorFlow 2 sets this attribute on any operation, long after sessions have run it, and
    nothing reads it when the graph runs (`Graph.control_dependencies` in ops.py). An operation
    that LMS has rewired is not let through.
    """
    return (
        form == b"setting attribute"
        and b"_has_manual_control_dependencies=true" in definition
        and b"_grappler_do_not_remove" not in definition
        and b"lms/swap" not in definition
    )


# --- LMS --------------------------------------------------------------------------------------

_NUMBER = rb"([0-9][0-9.]{0,30}(?:[eE][+-]?[0-9]{1,3})?)"
_ADDED = re.compile(
    rb"Added ([0-9]{1,15}) operations to the model \(([0-9]{1,15}) swap-out operations?"
    rb"(?: \(" + _NUMBER + rb" GiB\))? and ([0-9]{1,15}) swap-in operations?"
    rb"(?: \(" + _NUMBER + rb" GiB\))?"
)
_ADDED_V1 = re.compile(rb"Added ([0-9]{1,15}) ops into the model")
_SWAPPED_V1 = re.compile(rb"([0-9]{1,15}) tensors will be swapped out\(in\) to\(from\) the host")
_TOOK = re.compile(rb"Editing model for LMS, took: " + _NUMBER + rb" ms")
_OFF = re.compile(rb"LMS is not necessary|Turned LMS off|LMS is disabled and will not modify")
_ALREADY = re.compile(rb"already been updated with LMS swap operations")
_REFUSED = re.compile(rb"not supported with TensorFlow Large Model Support")
_INVALID = re.compile(rb"\[LMS\]\[0\]\s+Edited model is invalid")


def edit(line: bytes, number: int) -> Edit | None:
    """TFLMS v2's report that it edited the graph; sizes are as rounded as the line shows them."""
    match = _ADDED.search(line)
    if match is None:
        return None
    return Edit(
        source="native",
        operations=int(match[1]),
        swap_out=int(match[2]),
        swap_in=int(match[4]),
        bytes_out=_gib(match[3]),
        bytes_in=_gib(match[5]),
        line=number,
        text=clean(line),
    )


def edit_v1(line: bytes) -> tuple[int | None, int | None]:
    """TFLMS v1's two lines: (operations added, tensors swapped out and in), None: not in it."""
    added, swapped = _ADDED_V1.search(line), _SWAPPED_V1.search(line)
    return (int(added[1]) if added else None, int(swapped[1]) if swapped else None)


def took(line: bytes) -> float | None:
    """Milliseconds that TFLMS needed for its edit."""
    match = _TOOK.search(line)
    return _float(match[1]) if match else None


def lms_problem(line: bytes) -> str | None:
    """Kind of the problem in a line of TFLMS: it is off, or the graph was edited before."""
    if _OFF.search(line) or _REFUSED.search(line):
        return "lms_off"
    if _ALREADY.search(line):
        return "lms_already_edited"
    return None


def lms_note(line: bytes) -> str | None:
    """What TFLMS v1 says of an edit that is not valid; the reader has to know it."""
    return clean(line, 300) if _INVALID.search(line) else None


# --- what went wrong --------------------------------------------------------------------------

# Python's logging ("WARNING:name:", "2024-01-01 00:00:00,000 WARNING"), absl ("W0101 ... x.py:1]").
_LOGGED = re.compile(
    rb"\s*(?:\[?[\d-]{10}[ T][\d:.,]{8,15}\S{0,6}\s*[-\]:]?\s*)?\[?(?:DEBUG|INFO|WARNING|WARN)\b"
    rb"|[IW]\d{4} [\d:.]{8,15}\s+\d+ [\w./-]+\.py:\d+\]"
    rb"|[\w./-]+\.py:\d+: \w*Warning:"
)
_NAN = re.compile(
    rb"loss['\"]?(?:: ?| = )-?(?:nan|inf)\b|Invalid loss, terminating training",
    re.IGNORECASE,
)
_MEMORY = re.compile(
    rb"OOM when allocating tensor"
    rb"|^(?:[\w.]+\.)?(?:_Array)?MemoryError(?:$|[:\s])"
    rb"|^(?:[\w.]+\.)?ResourceExhaustedError\b"
    rb"|RESOURCE_EXHAUSTED: "
    rb"|^(?:[\w.]+\.)?(?:RuntimeError|InternalError|XlaRuntimeError): .*[Oo]ut of memory"
    rb"|CUDA out of memory"
    rb"|CUDA error: out of memory"
    rb"|CUDA_ERROR_OUT_OF_MEMORY"
    rb"|Dst tensor is not initialized"
    rb"|std::bad_alloc"
    rb"|^OSError: \[Errno 12\]"
    rb"|[Mm]emory cgroup out of memory|Out of memory: Kill"
    rb"|^Killed\s*$|: line \d+:\s+\d+ Killed\b"
)
# The allocator goes on with less memory after these lines.
_BACK_OFF = re.compile(
    rb"ran out of memory trying to allocate|this is not a failure"
    rb"|failed to alloc(?:ate)? [^:]{0,200}: CUDA_ERROR_OUT_OF_MEMORY"
)
_CUDA = re.compile(
    rb"CUDA_ERROR_(?!OUT_OF_MEMORY)[A-Z_]+"
    rb"|\b(?:CUDNN|CUBLAS|CUSOLVER|CUSPARSE|CUFFT|CURAND|NVRTC)_STATUS_(?!SUCCESS)[A-Z_]+"
    rb"|CUDA (?:runtime )?error: (?!out of memory)"
    rb"|Could not create cudnn handle|cuDNN failed to initialize"
    rb"|device-side assert triggered"
    rb"|[Ff]ailed call to cu[A-Z]"
)
_NO_GPU = re.compile(
    r"failed call to cu[A-Z]|CUDA_ERROR_NO_DEVICE|no CUDA-capable device"
    r"|could not retrieve CUDA device count|Error loading CUDA libraries",
    re.IGNORECASE,
)


def logged(line: bytes) -> bool:
    """Whether a Python logger, or Python's warnings, wrote the line at WARNING or below."""
    return _LOGGED.match(line) is not None


def problems(line: bytes, number: int) -> Iterator[Problem]:
    """What went wrong, as far as one line can say it; tracebacks are found by `logs.parser`."""
    if _NAN.search(line):
        yield Problem(kind="nan_loss", line=number, text=_around(_NAN, line))
    if logged(line) or line.startswith((b"  ", b"\t")):
        return
    if _MEMORY.search(line) and not _BACK_OFF.search(line):
        yield Problem(kind="out_of_memory", line=number, text=_around(_MEMORY, line))
    if _CUDA.search(line):
        yield Problem(kind="cuda_error", line=number, text=_around(_CUDA, line))


def no_gpu(problem: Problem) -> bool:
    """Whether a CUDA error only says that there is no GPU: no problem where none was asked for."""
    return problem.kind == "cuda_error" and _NO_GPU.search(problem.text) is not None


def _around(pattern: re.Pattern[bytes], line: bytes) -> str:
    match = pattern.search(line)
    assert match  # the caller has found it
    if len(line) <= TEXT_LIMIT:
        return clean(line)
    return clean(line[max(0, match.start() - TEXT_LIMIT // 2) : match.end() + TEXT_LIMIT // 4])


# --- exceptions -------------------------------------------------------------------------------

_HEADER = re.compile(rb"(?:  \+ Exception Group )?Traceback \(most recent call last\):\s*$")
_EXCEPTION = re.compile(rb"[A-Za-z_][\w.]{0,300}(?::(?:\s|$)|\s*$)")
_CAUGHT = re.compile(rb"Exception ignored in|--- Logging error ---")
_CHAINED = re.compile(
    rb"During handling of the above exception, another|The above exception was the direct cause"
)


def traceback_header(line: bytes) -> bool:
    """Whether a line starts the traceback of an exception: at the start of its line."""
    return _HEADER.match(line) is not None


def caught(before: bytes) -> bool:
    """Whether the line before a traceback says that Python or a logger caught the exception."""
    return _CAUGHT.match(before) is not None or logged(before)


def exception(line: bytes) -> str | None:
    """The exception at the end of a traceback, e.g. `ValueError: bad shape`, if the line is one."""
    return clean(line) if _EXCEPTION.match(line) else None


def chained(line: bytes) -> bool:
    """Whether the next traceback belongs to the same failure as the one before."""
    return _CHAINED.match(line) is not None


# --- metrics ----------------------------------------------------------------------------------

_METRIC = re.compile(rb"\s*Test (loss|accuracy):\s*([-+\w.]{1,40})\s*$")


def metric(line: bytes, number: int) -> Metric | None:
    """What the Keras examples print after `evaluate`: `Test loss: 0.05`."""
    match = _METRIC.match(line)
    if match is None:
        return None
    value = _float(match[2])
    if value is None and match[2].lower() not in (b"nan", b"inf", b"-inf"):
        return None
    return Metric(name=match[1].decode("ascii"), value=value, split="test", line=number)


def _float(text: bytes) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def _gib(text: bytes | None) -> int | None:
    value = _float(text) if text is not None else None
    return round(value * GIB) if value is not None and value < 2**33 else None
