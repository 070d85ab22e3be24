"""What the logs of a phase say: filled by `harness.logs`, judged by `harness.checks`."""

from __future__ import annotations

from typing import Any

from harness.record.model import Model


class Edit(Model):
    """One report that LMS edited a graph, from a marker or from a native TFLMS line."""

    source: str  # "marker" or "native"
    provider: str | None = None
    operations: int
    swap_out: int
    swap_in: int
    bytes_out: int | None = None
    bytes_in: int | None = None
    milliseconds: float | None = None
    line: int
    text: str


class Mutation(Model):
    """TensorFlow's warning that an edit came after a session had run the operation.

    Attributes:
        form: "updating input tensor", "adding control input" or "setting attribute".
        harmless: the operation is neither training nor inference (an initialiser).
    """

    form: str
    operation: str
    operation_type: str | None = None
    harmless: bool
    line: int
    text: str


class Problem(Model):
    """A line that shows that a phase went wrong.

    Attributes:
        kind: "traceback", "nan_loss", "out_of_memory", "cuda_error", "lms_off",
            "lms_already_edited" or "malformed_marker".
    """

    kind: str
    line: int
    text: str


class Metric(Model):
    """A loss or an accuracy that a phase reported."""

    name: str
    value: float | None  # None: not a finite number
    epoch: int | None = None
    split: str | None = None
    line: int


class Digest(Model):
    """A digest over values as the session holds them.

    Attributes:
        of: "weights", "optimizer" or "predictions".
        stage: "saved" (before the save), "restored" (after the load), "final" (end of the phase).
        values: the numbers themselves, for predictions only (a small fixed batch, flattened).
    """

    of: str
    stage: str
    sha256: str
    tensors: int | None = None
    bytes: int | None = None
    values: list[float] | None = None
    line: int


class Trace(Model):
    """One step as TensorFlow's own records show it, from outside LMS.

    Attributes:
        function: "train" or "predict".
        swap_out, swap_in: swap operations that were really executed in the step.
        bytes_out, bytes_in: bytes that they moved.
        peak_accelerator, peak_host: peak live bytes allocated in the step, per device.
        lower_bound: bytes of the largest set of inputs and outputs of one operation.
        graph_swap_out, graph_swap_in: swap operations in the graph of the function that was
            executed, where models run in traced functions.
    """

    function: str
    meter: str
    swap_out: int | None = None
    swap_in: int | None = None
    bytes_out: int | None = None
    bytes_in: int | None = None
    peak_accelerator: int | None = None
    peak_host: int | None = None
    lower_bound: int | None = None
    step_ms: float | None = None
    graph_swap_out: int | None = None
    graph_swap_in: int | None = None
    line: int


class Claim(Model):
    """Something that has to be so, by a document, and what was found."""

    text: str
    expected: bool | int | float | str
    found: bool | int | float | str | None
    line: int

    @property
    def holds(self) -> bool:
        """Whether the two are equal; a truth value is no number."""
        same_kind = isinstance(self.expected, bool) == isinstance(self.found, bool)
        return same_kind and self.expected == self.found


class LogFacts(Model):
    """Everything that a phase's log says, markers and native lines together."""

    lines: int = 0
    bytes: int = 0
    markers: int = 0
    edits: list[Edit] = []
    mutations: list[Mutation] = []
    problems: list[Problem] = []
    metrics: list[Metric] = []
    digests: list[Digest] = []
    traces: list[Trace] = []
    claims: list[Claim] = []
    environment: dict[str, Any] = {}
    notes: list[str] = []
    done: bool = False
    dropped: int = 0  # facts beyond the parser's bounds (a log is hostile input)
