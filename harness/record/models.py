"""The run record: one JSON document that holds everything a run found.

Every report is derived from it, so nothing may be known only to a log or to the terminal. The
models are frozen; a change is a copy (`model_copy(update=...)`). Times are UTC in ISO 8601,
durations are seconds, sizes are bytes. `None` always means "not known", never zero.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from pydantic import Field

from harness.record.checks import Check, CheckId, Status, worst
from harness.record.comparison import Comparison
from harness.record.facts import LogFacts
from harness.record.model import Model
from harness.record.origin import ShardRecord, SourceRecord

SCHEMA_VERSION = 1
BUG = "bug of the harness"
"""The key of a phase's details that holds the traceback where the harness itself broke."""
BUILTIN = "builtin"
"""The provider that is the project's own; cases of another one have its name in their ids."""


def case_id(flavor: str, family: str, scenario: str, provider: str = BUILTIN) -> str:
    """`<flavor>.<family>.<scenario>`, and `.<provider>` where that is not our own."""
    return ".".join((flavor, family, scenario, *([] if provider == BUILTIN else [provider])))


class Outcome(str, Enum):
    """How a phase ended."""

    COMPLETED = "completed"  # exit code 0 in time
    FAILED = "failed"  # exit code other than 0, or a signal of its own, such as SIGSEGV
    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"  # the kernel killed it for a limit of memory
    KILLED = "killed"  # a signal that neither the phase itself nor the harness sent
    ENGINE_ERROR = "engine_error"  # the engine could not run it: infrastructure
    INTERRUPTED = "interrupted"  # the run was stopped while the phase ran
    NOT_RUN = "not_run"  # an earlier phase failed, or the run was stopped before


NO_RESULT = (Outcome.ENGINE_ERROR, Outcome.INTERRUPTED, Outcome.NOT_RUN)
"""How a phase ended that says nothing of the product."""


class Attempt(Model):
    """An earlier execution of a phase, which does not count: its end was the infrastructure's.

    Attributes:
        number: from 1.
        gpu: UUID of the GPU that it ran on, or None.
        directory: path below the run directory; holds its logs, samples.csv and details.json.
    """

    number: int
    outcome: Outcome
    reason: str = ""
    started: str | None = None
    duration_s: float | None = None
    gpu: str | None = None
    directory: str


class PhaseRecord(Model):
    """One execution of one phase.

    Attributes:
        key: unique in the run, and the name of the phase's directory.
        control_of: key of the phase that this one is the control of (LMS off, all else equal).
        input_of: key of the phase whose artifacts were the input.
        directory: path below the run directory; holds stdout.log, stderr.log, samples.csv,
            timeline.json, details.json and artifacts/.
        samples: the sampler's summary (`measure.samples.Samples`) as a dict.
        details: what the engine knows (container id, image id, exit state, ...).
        identity: SHA-256 of what the execution follows from (`plan.identity`), of one that
            completed.
        taken_from: id of the run that executed it, where that was another one.
        gpu: UUID of the GPU that it ran on, or None.
        attempts: its earlier executions, in their order; this one's number is one more.
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
    facts: LogFacts = Field(default_factory=LogFacts)  # a default would be copied, field by field
    samples: dict[str, Any] | None = None
    details: dict[str, Any] = {}
    identity: str = Field(default="", exclude_if=lambda value: not value)
    taken_from: str = Field(default="", exclude_if=lambda value: not value)
    gpu: str | None = Field(default=None, exclude_if=lambda value: value is None)
    attempts: list[Attempt] = Field(default_factory=list, exclude_if=lambda value: not value)


class PhaseUse(Model):
    """A phase as a case uses it: several cases may share one execution."""

    name: str  # the phase's id in the scenario, e.g. "save" or "load"
    key: str
    control: str | None = None  # key of the control's execution
    reference: str | None = None  # key of the execution in which nothing was loaded
    reference_declared: bool = False  # by the scenario; else it is the phase that saved
    straights: list[str] = []  # keys of the executions of the uninterrupted training

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of all executions that the case rests on for this phase."""
        named = (self.key, self.control, self.reference, *self.straights)
        return tuple(key for key in named if key is not None)


class CaseRecord(Model):
    """Verdicts of one flavor, scenario and provider.

    Attributes:
        provider: what swapped.
        expects: for a canary, the check that must fail.
        skip: what this machine lacks for the case, else None.
        checks: what is reported; for a canary one check, `caught`.
        behind: for a canary the checks behind it, else empty.
        reproduce: the command that runs this case by hand.
    """

    flavor: str
    family: str
    scenario: str
    provider: str = Field(default=BUILTIN, exclude_if=lambda value: value == BUILTIN)
    description: str = ""
    phases: list[PhaseUse] = []
    expects: CheckId | None = None
    skip: str | None = None
    checks: list[Check] = []
    behind: list[Check] = []
    reproduce: str = ""

    @property
    def id(self) -> str:
        """The class name in JUnit; see `case_id`."""
        return case_id(self.flavor, self.family, self.scenario, self.provider)

    @property
    def title(self) -> str:
        """The scenario, and in parentheses the provider where that is not our own."""
        return self.scenario + ("" if self.provider == BUILTIN else f" ({self.provider})")

    @property
    def status(self) -> Status:
        """The worst of the case's checks; a case with none was skipped or not judged."""
        none = Status.SKIPPED if self.skip else Status.ERROR
        statuses = [check.status for check in self.checks]
        return worst([status for status in statuses if status is not Status.SKIPPED], none)


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
        state: "running", "finished", "interrupted", "aborted" (it could not go on, as on a full
            disk), or "crashed" (the harness itself broke); a note says why.
        accelerator: "gpu" or "virtual".
        gpu: facts of the GPU (index, uuid, name, driver, ...) or None; of several the first one.
        gpus: facts of each, where phases ran on several; a phase has the UUID of its own.
        host: facts of the machine: hostname, cores, memory, kernel, docker version, ...
        strict: known defects fail the run.
        comparison: with the baseline, where the run was given one.
        basis: by name, what the results follow from (`plan.identity`): digests of the plan, of
            scripts, data and more. Two runs of one basis are of one thing.
        options: those of the command that say what is run; a run that goes on has the same.
        shard: the part of the plan that it is of, where it is not of the whole.
        resumes: id of the run that it goes on with, from its begin on; "" for none.
        sources: the runs that phases were taken from.
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
    strict: bool = Field(default=False, exclude_if=lambda value: not value)
    command: str = ""
    gpu: dict[str, Any] | None = None
    gpus: list[dict[str, Any]] = Field(default_factory=list, exclude_if=lambda value: not value)
    host: dict[str, Any] = {}
    notes: list[str] = []  # what the run wants the reader to know (fallbacks taken, data used)
    flavors: list[FlavorRecord] = []
    cases: list[CaseRecord] = []
    phases: list[PhaseRecord] = []
    comparison: Comparison | None = Field(default=None, exclude_if=lambda value: value is None)
    basis: dict[str, str] = Field(default={}, exclude_if=lambda value: not value)
    options: dict[str, Any] = Field(default={}, exclude_if=lambda value: not value)
    shard: ShardRecord | None = Field(default=None, exclude_if=lambda value: value is None)
    resumes: str = Field(default="", exclude_if=lambda value: not value)
    sources: list[SourceRecord] = Field(default=[], exclude_if=lambda value: not value)
