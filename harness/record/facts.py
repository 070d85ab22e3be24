"""What the logs of a phase say: filled by `harness.logs`, judged by `harness.checks`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from harness.record.fields import (
    Count,
    Digested,
    Duration,
    Function,
    Name,
    Number,
    OptionalCount,
    OptionalName,
    OptionalScalar,
    Projections,
    Scalar,
    Sha256,
    Shape,
    Stage,
    Text,
)
from harness.record.model import Model
from harness.record.times import Times


class EditFields(Model):
    """What a report of an edit says, whoever writes it.

    Attributes:
        recomputed: what is computed again in a step, such as layers, in place of being moved.
    """

    provider: OptionalName = None
    swap_out: Count
    swap_in: Count
    bytes_out: OptionalCount = None
    bytes_in: OptionalCount = None
    recomputed: OptionalCount = None


class Edit(EditFields):
    """One report that LMS edited a graph, from a marker or from a native TFLMS line."""

    source: str  # "marker" or "native"
    operations: Count
    milliseconds: Duration = None
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
        kind: "traceback", "nan_loss", "out_of_memory", "cuda_error", "crash", "stopped",
            "not_restored", "lms_off", "lms_already_edited" or "malformed_marker".
        final: the line says by itself that the program ended there, or that its result is void: no
            exit code and no later line takes it back.
    """

    kind: str
    line: int
    text: str
    final: bool = False


class MetricFields(Model):
    """A loss or an accuracy."""

    name: Name
    value: Number  # None: not a finite number
    epoch: OptionalCount = None
    split: OptionalName = None


class Metric(MetricFields):
    """A loss or an accuracy that a phase reported."""

    line: int


class Tensor(Model):
    """One tensor of a digest.

    Attributes:
        shape: numbers along each dimension.
        projections: sums of its numbers under fixed random signs, as `scenarios/common/digest.py`
            makes them; the difference of two tensors is estimated from theirs. None where it holds
            no numbers, or one that is not finite.
    """

    model_config = ConfigDict(extra="ignore")  # as of the marker that it is a part of
    name: Name
    shape: Shape
    sha256: Sha256
    projections: Projections = None


Each = Annotated[list[Tensor] | None, Field(description="an array of tensors")]


class DigestFields(Model):
    """A digest over values as the session holds them.

    Attributes:
        stage: "saved" (before the save), "restored" (after the load), "final" (end of the phase).
        each: the tensors one by one. It is what verdicts are made of and no part of the record,
            which it would make many times as large; the log has it.
    """

    of: Digested
    stage: Stage
    sha256: Sha256
    tensors: OptionalCount = None
    bytes: OptionalCount = None
    each: Each = Field(default=None, exclude=True)


class Digest(DigestFields):
    """A digest that a phase reported.

    Attributes:
        values: the numbers themselves, for predictions only (a small fixed batch, flattened).
    """

    values: list[float] | None = None
    line: int


class TraceFields(Model):
    """One step as TensorFlow's own records show it, from outside LMS.

    Attributes:
        batch: examples in the step.
        steps: steps of this function that the phase ran in all, with those that were traced.
        swap_out, swap_in: swap operations that were really executed in the step.
        bytes_out, bytes_in: bytes that they moved.
        peak_accelerator, peak_host: peak live bytes allocated in the step, per device.
        lower_bound: bytes of the largest set of inputs and outputs of one operation.
        graph_swap_out, graph_swap_in: swap operations in the graph of the function that was
            executed, where models run in traced functions.
        allocator_peak, allocator_pool: what the framework's allocator says of the whole process on
            a GPU: greatest number of bytes in use, and that it had taken of the GPU for them.
        compiled_for: a GPU that is not there, for which the step was compiled as well, with a
            larger batch; what follows is of that program.
        compiled_peak, compiled_host_peak: bytes that it takes of the GPU's and of the host's
            memory, beyond its arguments.
        compiled_swap_out, compiled_swap_in: copies in it, and compiled_bytes_out,
            compiled_bytes_in: what they move.
    """

    function: Function
    batch: OptionalCount = None
    steps: OptionalCount = None
    meter: OptionalName = None
    swap_out: OptionalCount = None
    swap_in: OptionalCount = None
    bytes_out: OptionalCount = None
    bytes_in: OptionalCount = None
    peak_accelerator: OptionalCount = None
    peak_host: OptionalCount = None
    lower_bound: OptionalCount = None
    step_ms: Duration = None
    graph_swap_out: OptionalCount = None
    graph_swap_in: OptionalCount = None
    allocator_peak: OptionalCount = None
    allocator_pool: OptionalCount = None
    compiled_for: OptionalName = None
    compiled_peak: OptionalCount = None
    compiled_host_peak: OptionalCount = None
    compiled_swap_out: OptionalCount = None
    compiled_swap_in: OptionalCount = None
    compiled_bytes_out: OptionalCount = None
    compiled_bytes_in: OptionalCount = None


class Trace(TraceFields):
    """One step that a phase traced."""

    meter: str
    line: int


class ClaimFields(Model):
    """Something that has to be so, by a document, and what was found."""

    text: Text
    expected: Scalar
    found: OptionalScalar = None


class Claim(ClaimFields):
    """A claim that a phase made."""

    line: int

    @property
    def holds(self) -> bool:
        """Whether the two are equal; a truth value is no number."""
        same_kind = isinstance(self.expected, bool) == isinstance(self.found, bool)
        return same_kind and self.expected == self.found


class AllocatorStatistics(Model):
    """What the swapping allocator of TensorFlow 2.1 and 2.2 last said of itself.

    Attributes:
        bytes_reclaimed: device memory that was freed by moving tensors to the host.
        single_reclaims, full_reclaims: how often one tensor, or all inactive ones, were moved.
    """

    bytes_reclaimed: OptionalCount = None
    single_reclaims: OptionalCount = None
    full_reclaims: OptionalCount = None
    line: int


class Offloading(Model):
    """The first line in which a library that offloads names itself; none of them counts anything.

    Attributes:
        library: which one, in words.
    """

    library: str
    line: int


class LogFacts(Model):
    """Everything that a phase's log says, markers and native lines together.

    Attributes:
        handled: problems after which the program went on; they do not count.
        lms_lines: lines that name LMS, whatever they say of it.
        offloading: that a library which is not LMS was to offload.
        no_text: what the log is, where it is no text.
        damage: how what holds the log is broken, where it is: the facts are of what could be read.
        dropped: facts beyond the parser's bounds (a log is hostile input).
        times: no part of the record; see `record.times`.
    """

    lines: int = 0
    bytes: int = 0
    markers: int = 0
    edits: list[Edit] = []
    mutations: list[Mutation] = []
    problems: list[Problem] = []
    handled: list[Problem] = []
    metrics: list[Metric] = []
    digests: list[Digest] = []
    traces: list[Trace] = []
    claims: list[Claim] = []
    environment: dict[str, Any] = {}
    notes: list[str] = []
    allocator: AllocatorStatistics | None = None
    lms_lines: int = 0
    offloading: Offloading | None = None
    no_text: str | None = None
    damage: str | None = None
    done: bool = False
    dropped: int = 0
    times: Times = Field(default_factory=Times, exclude=True)

    @property
    def untimed(self) -> LogFacts:
        """The same without `times`."""
        return self.model_copy(update={"times": Times()})
