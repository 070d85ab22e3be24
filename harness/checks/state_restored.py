"""Check 4: what the load phase holds is what the save phase held.

Weights and optimizer state are compared bit by bit. Predictions are computed again after the
load: bit by bit too, or within a tolerance where the hardware does not repeat itself exactly.
"""

from __future__ import annotations

from dataclasses import replace

from harness.base.text import mib, phrase, plural
from harness.catalog.scenarios import Phase
from harness.checks.evidence import Evidence
from harness.checks.finding import Finding, line, skipped, unjudged
from harness.checks.values import tensors
from harness.checks.values.tolerance import EXACT, Tolerance
from harness.record.checks import Number, Status
from harness.record.facts import Digest, LogFacts
from harness.record.models import Outcome, PhaseRecord

# (absolute, relative) per accelerator. Convolutions on a GPU do not repeat bit by bit; on the
# virtual accelerator the same CPU kernels run, and only the order of their threads may differ.
PREDICTIONS = {"gpu": Tolerance(1e-5, 1e-4), "virtual": Tolerance(1e-6)}


def findings(evidence: Evidence) -> list[Finding]:
    """One finding for each thing that the scenario restores, and one for the phases' claims."""
    claims = _claims(evidence)
    restored = _restored(evidence)
    if claims is None:
        return restored
    return [*(finding for finding in restored if finding.status is not Status.SKIPPED), claims]


def _restored(evidence: Evidence) -> list[Finding]:
    names = evidence.scenario.restores
    if not names:
        return [skipped("the scenario names nothing that is restored")]
    if len(evidence.phases) < 2:
        return [skipped("the scenario has one phase: nothing is loaded")]
    load, loaded = evidence.phases[-1]
    if not loaded.facts.markers and loaded.outcome is not Outcome.COMPLETED:
        return [unjudged(f"{load.id} did not complete")]
    silent = [phase.id for phase, record in evidence.phases if not record.facts.markers]
    if load.id in silent or len(silent) == len(evidence.phases) - 1:
        return [skipped(f"no marker lines from {' and '.join(silent)}: no digests to compare")]
    found = [_compared(name, evidence, load, loaded) for name in names if name != "epochs"]
    epochs = _epochs(evidence, load, loaded)
    if epochs is None and "epochs" in names:
        epochs = unjudged(f"epochs: {load.id} reports no test metric of an epoch that was saved")
    return [replace(entry, phase=load.id) for entry in ([*found, epochs] if epochs else found)]


def _claims(evidence: Evidence) -> Finding | None:
    """What the phases say has to be so; the comparison is made here, not by the script."""
    stated = [(phase, claim) for phase, record in evidence.phases for claim in record.facts.claims]
    if not stated:
        return None
    broken = [(phase, claim) for phase, claim in stated if not claim.holds]
    numbers = {"claims": len(stated), "claims_broken": len(broken)}
    lines = [
        line(phase.id, claim.line, f"{claim.text}: {claim.found!r}")
        for phase, claim in broken or stated
    ]
    if broken:
        phase, claim = broken[0]
        message = (
            f"{len(broken)} of {plural(len(stated), 'claim')} broken, first of {phase.id}:"
            f" {phrase(f'{claim.text}: expected {claim.expected!r}, found {claim.found!r}')}"
        )
        return Finding(Status.FAILED, message, numbers, lines, phase=phase.id)
    words = f"{plural(len(stated), 'claim')} {'hold' if len(stated) > 1 else 'holds'}"
    return Finding(Status.PASSED, words, numbers, lines)


def _compared(name: str, evidence: Evidence, load: Phase, loaded: PhaseRecord) -> Finding:
    restored = digest(loaded.facts, name, "restored")
    saved = origin = None
    for phase, record in reversed(evidence.phases[:-1]):
        saved = digest(record.facts, name, "saved")
        if saved is not None:
            origin = phase
            break
    if restored is None:
        return unjudged(f"{name}: {load.id} reports no digest after the load")
    if saved is None or origin is None:
        return unjudged(f"{name}: no phase before {load.id} reports a digest before the save")
    lines = [
        f"{origin.id}:{saved.line}: {name} saved {saved.sha256}",
        f"{load.id}:{restored.line}: {name} restored {restored.sha256}",
    ]
    numbers: dict[str, Number] = {
        f"{name}_tensors": restored.tensors,
        f"{name}_bytes": restored.bytes,
    }
    if saved.sha256 == restored.sha256:
        return Finding(Status.PASSED, f"{name} bit-equal{_extent(restored)}", numbers, lines)
    if name == "predictions":
        return _predictions(saved, restored, evidence.accelerator, numbers, lines)
    which = tensors.words(restored, saved)
    distance = tensors.distance(restored, saved)
    if distance is not None:
        numbers[f"{name}_difference"] = distance
    return Finding(
        Status.FAILED,
        f"{name} differ: {saved.sha256[:8]}{_extent(saved)} saved,"
        f" {restored.sha256[:8]}{_extent(restored)} restored{f': {which}' if which else ''}",
        numbers,
        lines,
    )


def _predictions(
    saved: Digest,
    restored: Digest,
    accelerator: str,
    numbers: dict[str, Number],
    lines: list[str],
) -> Finding:
    if saved.values is None or restored.values is None:
        return unjudged("predictions differ bit by bit, and their values are not known")
    if len(saved.values) != len(restored.values):
        message = f"predictions: {len(saved.values)} saved, {len(restored.values)} restored"
        return Finding(Status.FAILED, message, numbers, lines)
    tolerance = PREDICTIONS[accelerator]
    difference, beyond = tolerance.compare(restored.values, saved.values)
    extent = {**numbers, "predictions_max_difference": difference}
    if beyond:
        message = (
            f"predictions differ: {beyond} of {len(saved.values)} values by more than {tolerance},"
            f" largest difference {difference:.3g}"
        )
        return Finding(Status.FAILED, message, extent, lines)
    message = f"predictions equal within {tolerance}, largest difference {difference:.3g}"
    return Finding(Status.PASSED, message, extent, lines)


def _epochs(evidence: Evidence, load: Phase, loaded: PhaseRecord) -> Finding | None:
    """For per-epoch checkpoints: each epoch's test metrics are those of the phase that saved.

    Without "epochs" in `restores` only where the load phase does not train: there an epoch's
    metric can only be of a checkpoint. With it the two have to be equal to the last bit.
    """
    exact = "epochs" in evidence.scenario.restores
    if load.role == "train" and not exact:
        return None
    after = _by_epoch(loaded.facts)
    before: dict[tuple[str, int], float] = {}
    for _, record in evidence.phases[:-1]:
        before.update(_by_epoch(record.facts))
    common = sorted(after.keys() & before.keys(), key=lambda key: (key[1], key[0]))
    if not common:
        return None
    tolerance = EXACT if exact else PREDICTIONS[evidence.accelerator]
    wrong = [key for key in common if tolerance.exceeded(after[key], before[key])]
    numbers = {"epoch_metrics": len(common), "epoch_metrics_differing": len(wrong)}
    lines = [
        f"{load.id}: epoch {epoch}: {name} {before[name, epoch]!r} saved,"
        f" {after[name, epoch]!r} restored"
        for name, epoch in (wrong or common)
    ]
    missing = sorted(before.keys() - after.keys(), key=lambda key: (key[1], key[0]))
    if exact and missing:
        name, epoch = missing[0]
        message = (
            f"{plural(len(missing), 'epoch metric')} saved and not restored, first {name} of epoch"
            f" {epoch}"
        )
        return Finding(Status.FAILED, message, numbers, lines)
    if wrong:
        name, epoch = wrong[0]
        message = (
            f"{len(wrong)} of {plural(len(common), 'epoch metric')} differ, first {name} of epoch"
            f" {epoch}: {before[name, epoch]!r} saved, {after[name, epoch]!r} restored"
        )
        return Finding(Status.FAILED, message, numbers, lines)
    words = f"{plural(len(common), 'epoch metric')} {'exactly ' if exact else ''}equal"
    return Finding(Status.PASSED, words, numbers, lines)


def _by_epoch(facts: LogFacts) -> dict[tuple[str, int], float]:
    return {
        (phrase(metric.name), metric.epoch): metric.value
        for metric in facts.metrics
        if metric.split == "test" and metric.epoch is not None and metric.value is not None
    }


def digest(facts: LogFacts, of: str, stage: str) -> Digest | None:
    """The last digest of a thing at a stage: what counts is the state that was saved at the end."""
    found = [entry for entry in facts.digests if entry.of == of and entry.stage == stage]
    return found[-1] if found else None


def _extent(entry: Digest) -> str:
    parts = []
    if entry.tensors is not None:
        parts.append(plural(entry.tensors, "tensor"))
    if entry.bytes is not None:
        parts.append(mib(entry.bytes))
    return f" ({', '.join(parts)})" if parts else ""
