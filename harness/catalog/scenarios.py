"""Scenarios: save/load paths, each an ordered list of phases."""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

from pydantic import Field, StrictBool, model_validator

from harness.catalog.entry import Entry, Fault, Id, Mode, PhaseVariable, Script, Value, Words
from harness.record.checks import CheckId

TIMEOUT_S = 7 * 24 * 3600.0
"""The longest that a phase may be given, in seconds."""
# No GPU has so much, and beyond it no factor on a batch is a number.
Activations = Annotated[float, Field(ge=0, le=10**7, allow_inf_nan=False, strict=True)]
# Which phases a check looks at; the first one looks at all.
OF_THE_LAST = (CheckId.STATE_RESTORED, CheckId.RESUME_EQUAL)
OF_JUDGED = (
    CheckId.LMS_EDITED_GRAPH,
    CheckId.EDIT_TOOK_EFFECT,
    CheckId.SWAPPING_CONFIRMED,
    CheckId.RESULT_UNCHANGED,
    CheckId.SWAPPING_AS_BEFORE,
)
Restores = Literal["weights", "optimizer", "predictions", "epochs"]


class Reference(Entry):
    """A phase of its own in which nothing is loaded: the same script, with weights as made.

    The script is told so by LMS_REFERENCE=1, and has no input.

    Attributes:
        script: another script, where the phase's own cannot do it, or does the same.
        loads: whether the script loads something when it is not told. One that never does is run
            as it is, and shared with the scenarios that begin with it.
        variables: more environment variables.
    """

    script: Script | None = None
    loads: bool = True
    variables: dict[PhaseVariable, Value] = {}


class Straight(Entry):
    """The uninterrupted training: what the phases that train do, in one process.

    It runs twice. How the two differ is how far a resumed training may.

    Attributes:
        script: path below the family's directory, or `<family>/<script>` of another family.
        variables: more environment variables.
    """

    script: Script
    variables: dict[PhaseVariable, Value] = {}


class Phase(Entry):
    """One script in one fresh place.

    Attributes:
        script: path below the family's directory, or `<family>/<script>` of another family.
        judged: whether the case's checks 2, 3, 5, 6 and 7 look at this phase; by default the last.
        flavor: runs in this flavor's environment, whatever flavor the case is about.
        client: a script that runs beside this one, which serves it and is stopped after it.
        reference: what swapping after the load is compared with: the id of an earlier phase, or a
            phase of its own. By default the nearest earlier phase of the same role and flavor
            whose step is of the same model and batch.
        lms: "off" runs the phase without LMS while the plan still expects it (canaries only).
        fault: what our own provider does wrong in the phase (canaries only); its control and its
            reference do not.
        cold: it starts from nothing also where phases are forks of a process that has imported the
            framework: for variables that are read as it is imported.
    """

    id: Id
    script: Script
    flavor: Id | None = None
    client: Script | None = None
    role: Literal["train", "predict", "convert"]
    judged: bool | None = None
    reference: Id | Reference | None = None
    lms: Literal["on", "off"] = "on"
    fault: Fault | None = None
    timeout_s: float = Field(default=600.0, gt=0, le=TIMEOUT_S, allow_inf_nan=False, strict=True)
    variables: dict[PhaseVariable, Value] = {}
    cold: StrictBool = False

    @property
    def scripts(self) -> tuple[Script | None, ...]:
        """The scripts that it names: its own, its client's, its reference's."""
        fresh = self.reference.script if isinstance(self.reference, Reference) else None
        return self.script, self.client, fresh


class Scenario(Entry):
    """One save/load path, an ordered list of phases.

    Attributes:
        requires: features of the flavor without which the scenario does not apply.
        mode: how its models run, where that is not the flavor's own mode.
        restores: what check 4 compares between the save and the load.
        control: whether judged phases are also run with LMS off.
        rounds: the framework fuses in the control what swapping takes apart, so that results are
            equal up to rounding and not to the last bit.
        straight: what the last phase, which goes on training, is compared with.
        activations_mib: what a training step with LMS off holds on the accelerator and grows with
            the batch, in MiB, at batch scale 1; 0: the batch is never scaled.
        expects: for a canary, the check that has to fail.
        caught_in: for a canary, the phase that it has to fail for.
        every_provider: for a canary, that it is one of each provider, and not only of our own.
        state_only: the scenario is about what is restored: LMS is on, and no step is measured.
        values: of a variant, its value for each axis; of a scenario that is written out, none.
    """

    id: Id
    family: Id
    description: Words
    requires: tuple[Id, ...] = ()
    mode: Mode | None = None
    restores: tuple[Restores, ...] = ()
    control: bool = True
    rounds: bool = False
    straight: Straight | None = None
    activations_mib: Activations = 0.0
    expects: CheckId | None = None
    caught_in: Id | None = None
    phase: tuple[Phase, ...] = Field(min_length=1)
    every_provider: bool = False
    state_only: bool = False
    values: dict[str, str] = {}

    @model_validator(mode="after")
    def _unique_phases(self) -> Scenario:
        names = [phase.id for phase in self.phase]
        if len(set(names)) != len(names):
            raise ValueError(f"phase ids are not unique: {', '.join(names)}")
        for number, phase in enumerate(self.phase):
            if isinstance(phase.reference, str) and phase.reference not in names[:number]:
                raise ValueError(f"reference {phase.reference!r} of {phase.id} is no earlier phase")
            if phase.fault is not None and self.expects is None:
                raise ValueError(
                    f"{phase.id} has a fault, and the scenario expects no check to fail"
                )
        if self.expects is not None and self.caught_in is None:
            raise ValueError("a canary names the phase that it has to be caught in: caught_in")
        if self.caught_in is not None:
            self._require_caught(self.caught_in)
        if self.straight is not None and (len(self.phase) < 2 or self.phase[-1].role != "train"):
            raise ValueError("straight needs a phase that saves, and a last one that trains")
        return self

    def _require_caught(self, name: str) -> None:
        """Raises ValueError where the check that is expected never looks at the phase."""
        if self.expects is None:
            raise ValueError("caught_in is of a canary, and the scenario expects no check to fail")
        found = next((phase for phase in self.phase if phase.id == name), None)
        if found is None:
            raise ValueError(f"caught_in {name!r} is no phase")
        if self.expects in OF_THE_LAST and found is not self.phase[-1]:
            raise ValueError(f"caught_in {name!r}: '{self.expects.label}' is about the last phase")
        if self.expects in OF_JUDGED and not self.judged(found):
            raise ValueError(f"caught_in {name!r}: '{self.expects.label}' does not look at it")

    @property
    def about_state(self) -> str | None:
        """Why nothing of its swapping is measured, or None where it is."""
        if not self.state_only:
            return None
        return "the scenario is about what is restored: no step of it is measured"

    def judged(self, phase: Phase) -> bool:
        """Whether the checks look at this phase; by default the last one of the scenario."""
        return phase.judged if phase.judged is not None else phase is self.phase[-1]


class OfFamily(Protocol):
    """What belongs to a family: a scenario, or variants."""

    @property
    def family(self) -> str:
        """The family's id."""

    @property
    def phase(self) -> tuple[Phase, ...]:
        """The phases."""

    @property
    def straight(self) -> Scripted | None:
        """The uninterrupted training."""


class Scripted(Protocol):
    """What is one script."""

    @property
    def script(self) -> str:
        """The script, as a phase names it."""


def scripts(owner: OfFamily) -> list[str]:
    """The scripts that are named: of all phases, and of the uninterrupted training."""
    named = [script for phase in owner.phase for script in phase.scripts if script is not None]
    return named if owner.straight is None else [*named, owner.straight.script]


def script_path(scenario: OfFamily, script: str) -> str:
    """Path of a scenario's script below `scenarios`."""
    return f"families/{script}" if "/" in script else f"families/{scenario.family}/{script}"
