"""How small a fault is still caught: one scenario, sound, and with each fault of a provider. Pure.

Each fault is a canary that expects a check to fail, so that a run of them is judged, recorded and
reported like any other; `catalog` makes them of a scenario that trains after its load.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.base.error import UsageError
from harness.catalog.catalog import Catalog
from harness.catalog.scenarios import Phase, Scenario, script_path
from harness.record.checks import CheckId

FAMILY = "sensitivity"
SOUND = "sound"
BASE = "trainsave-loadtrain_repaired"
"""Its scripts repair what a flavor's Keras loses: else every fault would stand beside a failure."""
PERCENT = (5, 10, 25, 50, 75, 90)
ORDERS = {"evenly": "evenly", "largest": "largest first", "smallest": "smallest first"}


@dataclass(frozen=True)
class Injection:
    """A fault of the provider in the phase that loads.

    Attributes:
        id: of the scenario.
        fault: as `LMS_FAULT` has it (docs/contract.md).
        words: the same for people.
        expects: the check that has to fail.
    """

    id: str
    fault: str
    words: str
    expects: CheckId


def _lost(percent: int, order: str) -> Injection:
    return Injection(
        id=f"lost-{percent}-{order}",
        fault=f"swaps_lost:{percent}:{order}",
        words=f"{percent} % of the swaps lost, {ORDERS[order]}",
        expects=CheckId.SWAPPING_AS_BEFORE,
    )


def _one(fault: str, words: str, expects: CheckId) -> Injection:
    return Injection(fault, fault, words, expects)


INJECTIONS = (
    *(_lost(percent, order) for order in ORDERS for percent in PERCENT),
    _one("first_step_only", "only the first step swapped", CheckId.SWAPPING_CONFIRMED),
    _one("never_swapped", "swaps announced, none made", CheckId.SWAPPING_CONFIRMED),
    _one("device_copy_kept", "swapped out, device copy kept alive", CheckId.SWAPPING_AS_BEFORE),
    _one("swapped_in_early", "swapped in far too early", CheckId.SWAPPING_AS_BEFORE),
    _one("element_wrong", "one number of one tensor wrong in one step", CheckId.RESULT_UNCHANGED),
    _one("tensor_wrong", "another tensor swapped in", CheckId.RESULT_UNCHANGED),
    _one("values_wrong", "all values wrong", CheckId.RESULT_UNCHANGED),
    _one("report_doubled", "twice as much reported as swapped", CheckId.SWAPPING_CONFIRMED),
    _one("report_halved", "half as much reported as swapped", CheckId.SWAPPING_CONFIRMED),
)


def catalog(whole: Catalog) -> Catalog:
    """The same flavors with the scenarios of this module, in place of their own.

    Raises:
        UsageError: the catalog has no scenario to make them of.
    """
    bases = [entry for entry in whole.scenarios if entry.id == BASE]
    if not bases:
        raise UsageError(f"there is no scenario {BASE!r} to inject faults into")
    (base,) = bases
    sound = base.model_copy(
        update={
            "id": SOUND,
            "family": FAMILY,
            "requires": (),  # where nothing is lost nothing is repaired
            "straight": None,
            "phase": tuple(_elsewhere(base, phase) for phase in base.phase),
        }
    )
    faulty = tuple(_faulty(sound, injection) for injection in INJECTIONS)
    return whole.model_copy(update={"scenarios": (sound, *faulty), "variants": ()})


def _elsewhere(base: Scenario, phase: Phase) -> Phase:
    """A phase whose script is named with its family, for a scenario of another family."""
    script = script_path(base, phase.script).removeprefix("families/")
    return phase.model_copy(update={"script": script})


def _faulty(sound: Scenario, injection: Injection) -> Scenario:
    *others, last = sound.phase
    return sound.model_copy(
        update={
            "id": injection.id,
            "description": f"{sound.description}; {injection.words}",
            "expects": injection.expects,
            "caught_in": last.id,
            "phase": (*others, last.model_copy(update={"fault": injection.fault})),
        }
    )
