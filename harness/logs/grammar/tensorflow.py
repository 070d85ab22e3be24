"""Lines of TensorFlow's C++ runtime and of XLA: mutations, operations that failed.

Source of the sentence of a mutation: `tensorflow/c/c_api.cc` (RecordMutation). Lines of the runtime
count at any level, because a failed operation is logged as a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.base.text import bounded
from harness.logs.grammar.needles import Needle
from harness.record.facts import Mutation

# A warning may be wrapped, by a terminal or by whoever pasted it: both its ends are needles.
NEEDLES: tuple[Needle, ...] = (
    b"after it was run by a session",
    rb"Operation '(?:\{name:)?",
    b"was changed by ",
    b"This mutation will have no effect",
)
STARTS: tuple[Needle, ...] = (
    b"Using TensorFlow backend",
    rb"cpu_feature_guard\.cc|cpu_utils\.cc",
    rb"Running with (?:TensorFlow|Keras team) Keras",
    rb"oneDNN custom operations are on",
)
MEMORY_NEEDLES: tuple[Needle, ...] = (
    b"OOM when allocating tensor",
    rb"RESOURCE_EXHAUSTED: |Resource exhausted: ",
    b"Dst tensor is not initialized",
)
MEMORY = re.compile(
    rb"OOM when allocating tensor|RESOURCE_EXHAUSTED: |Resource exhausted: "
    rb"|Dst tensor is not initialized|Ran out of memory in memory space|ran out of memory and"
)
# What else is exhausted, by the same status: on a chip the memory that threads of a kernel share
# (XLA's triton emitter, which drops that tiling), gRPC's limit of a message, files (ENFILE, EMFILE
# and ENOSPC; old versions name the file alone), a quota of a service.
_OTHER_RESOURCE = re.compile(
    rb"[Ss]hared memory (?:size limit|requested|limit)|RESOURCE_EXHAUSTED: [Ss]hared memory"
    rb"|[Tt]ensor memory size limit|[Mm]essage larger than max|[Tt]oo many open files"
    rb"|[Nn]o space left on device|\b[Qq]uota\b"
    rb"|(?:RESOURCE_EXHAUSTED|[Rr]esource exhausted|ResourceExhaustedError): (?:\.{0,2}/)(?!job:)"
)
_ALLOCATION = re.compile(rb"[Oo]ut of memory|OOM when|OUT_OF_MEMORY|[Ff]ailed to allocate")
# The allocator goes on with less memory after these lines: if it cannot, an operation fails.
BACK_OFF = re.compile(
    rb"ran out of memory trying to allocate|[Tt]his is not (?:a )?(?:failure|an error)"
    rb"|not a failure"
    rb"|[Tt]his is benign|falling back|Failed to allocate (?:device )?memory"
    rb"|[Ff]ailed to allocate \d"
    rb"|skipping this check|[Rr]etrying|could not allocate pinned host memory"
    rb"|[Rr]edzone|autotun|\[Simulator\]"
)
WRAPPED_LINES = 40  # lines of a wrapped warning that are put together
STARTS_ANOTHER = re.compile(
    rb"\d{4}-\d\d-\d\d[ T]\d|(?:INFO|WARNING|ERROR):|[IWEF]\d{4} \d|Epoch \d|Traceback|Operation '|"
    rb"was changed by .{0,30}was changed by"
)

_FORM = re.compile(rb"was changed by ([a-z][a-z ]{0,60}?) after it was run by a session")
_BEGIN = re.compile(rb"Operation '")
_NODE = re.compile(rb"Operation '(?:\{name:')?([^']{0,4096})'")
_TYPE = re.compile(rb"\}\} = ([A-Za-z0-9_.>]{1,200})[\[(]")

_ASSIGN_TYPES = frozenset({"Assign", "AssignVariableOp"})
_QUERY_TYPES = frozenset({"IsVariableInitialized", "VarIsInitializedOp"})
_INIT_GROUP = re.compile(r"(?:.*/)?init(?:_\d+)?")


def other_resource(text: bytes) -> bool:
    """Whether a line that says that a resource is exhausted is about something else than memory."""
    return _OTHER_RESOURCE.search(text) is not None and _ALLOCATION.search(text) is None


def mutations(line: bytes, number: int) -> Iterator[Mutation]:
    """TensorFlow's warnings that an edit came after a session had run the operation.

    TensorFlow prints one at the next run of a session, for the last of all mutations since the
    run before: a harmless one may hide others. Several share a line when a newline got lost. One
    whose operation cannot be read is taken for harmful.
    """
    start = 0
    for match in _FORM.finditer(line):
        begin = line.rfind(b"Operation '", start, match.start())
        name = operation_type = None
        definition = b""
        if begin >= 0:
            node = _NODE.match(line, begin)
            name = bounded(node[1], 500) if node else None
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
            text=bounded(line[max(start, begin - 200) : match.end()]),
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


def unfinished(line: bytes) -> bool:
    """Whether a line starts a warning of a mutation, and does not end it."""
    changed = line.rfind(b"was changed by")
    if changed >= 0:
        return _FORM.search(line, changed) is None and len(line) - changed < 200
    begin = line.rfind(b"Operation '")
    rest = line[begin + len(b"Operation '") :]
    return begin >= 0 and (rest.startswith(b"{name:") or b"{name:".startswith(rest))


def begun(before: bytes, line: bytes) -> bytes:
    """A line that ends a warning, with its start where a wrap has cut that in two."""
    if b"Operation '" in line:
        return line
    pieces = [line]
    for piece in reversed(before.split(b"\n")[-1 - WRAPPED_LINES : -1]):
        if b"after it was run by a session" in piece:
            break
        pieces.insert(0, piece)
        for between in (b"", b" "):
            joined = between.join(pieces)
            if b"Operation '{name:" in joined:
                return joined
    return line


def ended(line: bytes) -> bool:
    """Whether a line holds the end of a warning of a mutation, and its start stands above."""
    end = b"This mutation will have no effect" in line or b"after it was run by a session" in line
    return end and not finished(line)


def finished(line: bytes) -> bool:
    """Whether a line ends a warning of a mutation."""
    return _FORM.search(line) is not None
