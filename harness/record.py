"""The run record: one JSON document that holds everything a run found.

Every report is derived from it, so nothing may be known only to a log or to the terminal. The
models are frozen; a change is a copy (`model_copy(update=...)`). Times are UTC in ISO 8601,
durations are seconds, sizes are bytes. `None` always means "not known", never zero.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1


class Model(BaseModel):
    """Base of every record model: immutable, and strict about unknown fields."""

    # A number that is not finite is written as a string, so that the document stays JSON.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Status(str, Enum):
    """Verdict of one check.

    `failed` means that the product under test is broken, `error` that it could not be judged,
    `skipped` that the check does not apply. Only `passed` counts as passed.
    """

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


class CheckId(str, Enum):
    """The six checks of a case, in the order in which they are reported.

    The values are ids that Jenkins keys its history on: they never change.
    """

    PHASES_COMPLETE = "phases_complete"
    LMS_EDITED_GRAPH = "lms_edited_graph"
    EDIT_TOOK_EFFECT = "edit_took_effect"
    STATE_RESTORED = "state_restored"
    SWAPPING_CONFIRMED = "swapping_confirmed"
    RESULT_UNCHANGED = "result_unchanged"
    CAUGHT = "caught"  # the only reported check of a canary

    @property
    def label(self) -> str:
        """The check in words, as it is shown in JUnit."""
        return _LABELS[self]


_LABELS = {
    CheckId.PHASES_COMPLETE: "phases complete",
    CheckId.LMS_EDITED_GRAPH: "LMS edited the graph",
    CheckId.EDIT_TOOK_EFFECT: "edit took effect",
    CheckId.STATE_RESTORED: "state restored",
    CheckId.SWAPPING_CONFIRMED: "swapping confirmed",
    CheckId.RESULT_UNCHANGED: "result unchanged",
    CheckId.CAUGHT: "caught by the harness",
}


class Check(Model):
    """Verdict of one check of one case.

    Attributes:
        message: one line, never empty, that holds the numbers the verdict rests on.
        numbers: the same numbers for machines (sizes in bytes, times in seconds or ms as named).
        lines: the log lines that the verdict rests on, each as `<phase>:<line number>: <text>`.
    """

    id: CheckId
    status: Status
    message: str = Field(min_length=1)
    numbers: dict[str, float | int | str | None] = {}
    lines: list[str] = []


# --- what a log says (filled by harness.log, judged by harness.check) -----------------------


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


# --- what a run did ---------------------------------------------------------------------------


class Outcome(str, Enum):
    """How a phase ended."""

    COMPLETED = "completed"  # exit code 0 in time
    FAILED = "failed"  # exit code other than 0
    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"  # the kernel killed it for the container's memory limit
    KILLED = "killed"  # a signal that the harness did not send
    ENGINE_ERROR = "engine_error"  # the engine could not run it: infrastructure
    INTERRUPTED = "interrupted"  # the run was stopped while the phase ran
    NOT_RUN = "not_run"  # an earlier phase failed, or the run was stopped before


class PhaseRecord(Model):
    """One execution of one phase.

    Attributes:
        key: unique in the run, and the name of the phase's directory.
        control_of: key of the phase that this one is the control of (LMS off, all else equal).
        input_of: key of the phase whose artifacts were the input.
        directory: path below the run directory; holds stdout.log, stderr.log, samples.csv,
            details.json and artifacts/.
        samples: the sampler's summary (`harness.sampler.Samples`) as a dict.
        details: what the engine knows (container id, image id, exit state, ...).
    """

    key: str
    flavor: str
    family: str
    script: str
    role: str
    provider: str
    parameters: dict[str, Any] = {}
    control_of: str | None = None
    input_of: str | None = None
    outcome: Outcome
    exit_code: int | None = None
    reason: str = ""
    started: str | None = None
    duration_s: float | None = None
    directory: str
    facts: LogFacts = LogFacts()
    samples: dict[str, Any] | None = None
    details: dict[str, Any] = {}


class PhaseUse(Model):
    """A phase as a case uses it: several cases may share one execution."""

    name: str  # the phase's id in the scenario, e.g. "save" or "load"
    key: str
    control: str | None = None  # key of the control's execution


class CaseRecord(Model):
    """Verdicts of one flavor and scenario.

    Attributes:
        expects: for a canary, the check that must fail.
        skip: why the case does not apply or could not be had, else None.
        checks: what is reported; for a canary one check, `caught`.
        evidence: for a canary the six checks behind it, else empty.
        reproduce: the command that runs this case by hand.
    """

    flavor: str
    family: str
    scenario: str
    description: str = ""
    phases: list[PhaseUse] = []
    expects: CheckId | None = None
    skip: str | None = None
    checks: list[Check] = []
    evidence: list[Check] = []
    reproduce: str = ""

    @property
    def id(self) -> str:
        """`<flavor>.<family>.<scenario>`, the class name in JUnit."""
        return f"{self.flavor}.{self.family}.{self.scenario}"

    @property
    def status(self) -> Status:
        """The worst of the case's checks; a case with none was skipped or not judged."""
        statuses = {check.status for check in self.checks}
        for status in (Status.FAILED, Status.ERROR, Status.PASSED):
            if status in statuses:
                return status
        return Status.SKIPPED if self.skip else Status.ERROR


class FlavorRecord(Model):
    """A flavor as this run had it.

    Attributes:
        provenance: flat facts for the suite's properties: image id and digests, versions,
            LMS parameters, accelerator, ...
        unavailable: why the flavor could not be had, else None.
        error: True where `unavailable` is an infrastructure error (a build that broke) and not
            something this machine lacks.
    """

    id: str
    description: str = ""
    provenance: dict[str, str] = {}
    unavailable: str | None = None
    error: bool = False


class RunRecord(Model):
    """One execution of one plan.

    Attributes:
        state: "running", "finished" or "interrupted".
        accelerator: "gpu" or "virtual".
        gpu: facts of the GPU (index, uuid, name, driver, ...) or None.
        host: facts of the machine: hostname, cores, memory, kernel, docker version, ...
    """

    schema_version: int = SCHEMA_VERSION
    id: str
    state: str
    started: str
    finished: str | None = None
    duration_s: float | None = None
    engine: str
    accelerator: str
    provider: str
    parameters: dict[str, Any] = {}
    share: bool = True
    command: str = ""
    gpu: dict[str, Any] | None = None
    host: dict[str, Any] = {}
    notes: list[str] = []  # what the run wants the reader to know (fallbacks taken, data used)
    flavors: list[FlavorRecord] = []
    cases: list[CaseRecord] = []
    phases: list[PhaseRecord] = []
