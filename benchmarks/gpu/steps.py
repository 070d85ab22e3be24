"""The steps of a day with a GPU: what each runs, how long at most, and when it is worth it. Pure.

Imports nothing but the standard library.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

FLAVORS = {"torch": "keras3-torch", "jax": "keras3-jax"}
SCENARIO = "proof_trainsave-loadtrain"
# What a control's step has to take in a proof. The compiler of jax does not take memory for short
# below one per cent of the GPU's, so that the peak of a small step hardly falls.
GOAL_MIB = 8192
# Looked at first: formats and a resumption, and canaries of what a GPU may tell differently.
SAVELOAD = (
    "trainsave_keras-loadtrain",
    "trainsave_keras-loadpredict",
    "backup-restore_train",
    "trainsaveweights_v3-loadweights_v3_train_repaired",
)
CANARIES = (
    "lms_silently_off",
    "swapping_switched_off",
    "corrupted_swap_in",
    "a_tenth_of_swaps_lost",
    "truncated_file",
)
STAND_IN = "python-jax"
"""An interpreter beside sanity's answers, where jax needs variables that a phase is not given."""
FAULTS = ("sound", "lost-10-evenly", "lost-50-evenly", "lost-90-evenly")


@dataclass(frozen=True)
class Settings:
    """What the day is about.

    Attributes:
        work: folder for all that is made; kept from call to call.
        image: the machine's own interpreter, with torch and jax.
        gpu: as `--gpu` of `harness` has it.
        goal_mib: what a control's step has to take in a proof.
        xla_flags: flags of XLA to try; "" for none.
    """

    work: Path
    image: str
    gpu: str = "0"
    scenario: str = SCENARIO
    goal_mib: int = GOAL_MIB
    xla_flags: str = ""

    @property
    def environment(self) -> Path:
        """Where `install` puts what runs the driver and the phases."""
        return self.work / "environment"

    @property
    def python(self) -> str:
        """The interpreter of that."""
        return str(self.environment / "bin" / "python")

    @property
    def reports(self) -> Path:
        """Runs and proofs."""
        return self.work / "reports"

    @property
    def flags(self) -> Path:
        """Proofs with `xla_flags`."""
        return self.work / "flags"


@dataclass(frozen=True)
class Step:
    """One command.

    Attributes:
        limit_s: its time box.
        after: begun only if this step, begun in the same call, did not end with 0.
        passed: begun only if these, as far as they were begun in the same call, ended with 0.
    """

    name: str
    limit_s: float
    command: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    after: str = ""
    passed: tuple[str, ...] = ()

    def reason_against(self, codes: Mapping[str, int]) -> str:
        """Why it is not begun, given exit codes of steps; "" where it is."""
        if self.after and codes.get(self.after, 0) == 0:
            return f"{self.after} did not fail"
        failed = [name for name in self.passed if codes.get(name, 0) != 0]
        return f"first look at {' and '.join(failed)}" if failed else ""


def steps(settings: Settings) -> list[Step]:
    """All steps in their order; the first ones tell most."""
    image = (settings.image, "-m")
    python = (settings.python, "-m")
    sanity = ("benchmarks.gpu.sanity", str(settings.work / "sanity"), settings.gpu)
    flags = (f"--xla-flags={settings.xla_flags}",) if settings.xla_flags else ()
    made = [
        Step("install", 60, (*image, "benchmarks.gpu.install", str(settings.environment))),
        Step("sanity", 95, (*python, *sanity, *flags)),
        Step("prove-torch", 130, _prove(settings, "torch")),
        Step("prove-jax", 150, _prove(settings, "jax")),
    ]
    if settings.xla_flags:
        # An interpreter of its own has the flags: phases are given no variable of this shell.
        variables = {"PYTHON_keras3_jax": str(settings.work / "python-jax-flags")}
        command = _prove(settings, "jax", settings.flags)
        made.append(Step("prove-jax-flags", 110, command, variables, after="prove-jax"))
    made += [
        Step("saveload-torch", 75, _run(settings, "torch", "keras_saveload", SAVELOAD)),
        Step("saveload-jax", 100, _run(settings, "jax", "keras_saveload", SAVELOAD)),
        Step("sensitivity-torch", 60, _sensitivity(settings, "torch")),
        Step("sensitivity-jax", 80, _sensitivity(settings, "jax")),
        Step("canary-torch", 60, _run(settings, "torch", "canary", CANARIES)),
        Step("canary-jax", 80, _run(settings, "jax", "canary", CANARIES)),
    ]
    # What is left of the time is worth more to a second call where a proof has to be mended.
    for name in FLAVORS:
        command = _run(settings, name, "keras_saveload,canary", ("*",))
        made.append(Step(f"rest-{name}", 400, command, passed=("prove-torch", "prove-jax")))
    return made


def chosen(all_steps: Collection[Step], words: Collection[str]) -> list[Step]:
    """The steps that words name, in their own order: `prove-jax`, or `prove-jax=200` for its box.

    A step that is named is begun whatever became of others.

    Raises:
        ValueError: there is no such step, or its box is no number of seconds.
    """
    if not words:
        return list(all_steps)
    limits = {}
    for word in words:
        name, _, limit = word.partition("=")
        limits[name] = float(limit) if limit else None
    unknown = sorted(limits.keys() - {step.name for step in all_steps})
    if unknown:
        known = ", ".join(step.name for step in all_steps)
        raise ValueError(f"no step {', '.join(unknown)}: there are {known}")
    return [
        Step(step.name, limits[step.name] or step.limit_s, step.command, step.variables)
        for step in all_steps
        if step.name in limits
    ]


def _harness(settings: Settings, command: str, reports: Path) -> tuple[str, ...]:
    return (
        *(settings.python, "-m", "harness", command, f"--gpu={settings.gpu}", "--engine=venv"),
        *("--gpu-wait=20", f"--reports={reports}"),
    )


def _prove(settings: Settings, name: str, reports: Path | None = None) -> tuple[str, ...]:
    command = _harness(settings, "prove", reports or settings.reports)
    return (*command, f"--goal-mib={settings.goal_mib}", FLAVORS[name], settings.scenario)


def _run(
    settings: Settings, name: str, families: str, scenarios: Collection[str]
) -> tuple[str, ...]:
    return (
        *_harness(settings, "run", settings.reports),
        *(f"--flavors={FLAVORS[name]}", f"--families={families}"),
        f"--scenarios={','.join(scenarios)}",
    )


def _sensitivity(settings: Settings, name: str) -> tuple[str, ...]:
    faults = f"--scenarios={','.join(FAULTS)}"
    command = _harness(settings, "sensitivity", settings.reports)
    return (*command, f"--flavors={FLAVORS[name]}", faults)
