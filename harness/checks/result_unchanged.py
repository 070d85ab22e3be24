"""Check 6: swapping does not change what is computed.

Loss, accuracy, predictions and, without a GPU, the weights after a training are compared with
those of the control: the same phase, the same input, LMS off. Seeds are fixed and a swap is a
copy, so on the virtual accelerator they are equal to the last bit: one wrong number in one step
shows. Where the framework computes otherwise what an edit takes apart, the scenario says so
(`rounds`).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from harness.base.text import phrase, plural
from harness.catalog.scenarios import Phase
from harness.checks.evidence import Evidence
from harness.checks.finding import Finding, line, named, skipped, unjudged
from harness.checks.state_restored import digest
from harness.checks.values import tensors
from harness.checks.values.tolerance import EXACT, Tolerance
from harness.record.checks import Status, worst
from harness.record.facts import LogFacts, Metric
from harness.record.models import Outcome, PhaseRecord

# (absolute, relative). Rounding: of operations that are fused in the control. Order: of sums, which
# training amplifies; a GPU does not repeat those of gradients, and a provider may have others.
METRICS = {"bits": EXACT, "rounding": Tolerance(1e-5, 1e-4), "order": Tolerance(1e-2, 2e-2)}
PREDICTIONS = {"bits": EXACT, "rounding": Tolerance(1e-5), "order": Tolerance(1e-3, 1e-2)}

_Key = tuple[str, int | None, str | None, int]


def findings(evidence: Evidence) -> list[Finding]:
    """One finding for each judged phase."""
    if evidence.scenario.about_state is not None:
        return [skipped(evidence.scenario.about_state)]
    if not evidence.scenario.control:
        return [skipped("the scenario has no control")]
    if evidence.provider == "off":
        return [skipped("the plan has LMS off: the control is the same")]
    if not evidence.computing:
        return [skipped("no judged phase trains or predicts")]
    found = []
    for phase, record in evidence.computing:
        finding = _phase(phase, record, evidence)
        said = replace(finding, message=f"{phase.id}: {finding.message}")
        found.append(named(phase, evidence.computing, said))
    return found


def broken_control(control: PhaseRecord | None) -> str | None:
    """Why a control is of no use, or None when it is."""
    if control is None:
        return "there is no control"
    if control.outcome is not Outcome.COMPLETED:
        reason = f": {control.reason}" if control.reason else ""
        return f"the control did not complete ({control.outcome.value.replace('_', ' ')}{reason})"
    if control.facts.markers and not control.facts.done:
        return "the control stopped half way"
    return None


def _phase(phase: Phase, record: PhaseRecord, evidence: Evidence) -> Finding:
    control = evidence.controls.get(phase.id)
    reason = broken_control(control)
    if control is None or reason is not None:
        return unjudged(f"not compared: {reason}")
    ours, theirs = _metrics(record.facts), _metrics(control.facts)
    allowed = _allowed(evidence)
    parts: list[Finding] = []
    common = sorted(ours.keys() & theirs.keys(), key=lambda key: ours[key].line)
    if common:
        pairs = [(ours[key], theirs[key]) for key in common]
        parts.append(_compare_metrics(phase, pairs, METRICS[allowed]))
    predictions = _predictions(phase, record.facts, control.facts, PREDICTIONS[allowed])
    if predictions is not None:
        parts.append(predictions)
    weights = _weights(phase, record.facts, control.facts) if allowed == "bits" else None
    if weights is not None:
        parts.append(weights)
    if not parts:
        if record.outcome is not Outcome.COMPLETED:
            return unjudged("the phase did not complete")
        if record.facts.markers or control.facts.markers:
            return unjudged("the phase and its control report nothing that can be compared")
        return skipped("no marker lines and no metrics: nothing to compare")
    missing = len(ours.keys() ^ theirs.keys())
    note = f"; {plural(missing, 'metric')} not in both" if missing else ""
    return Finding(
        worst(part.status for part in parts),
        "; ".join(part.message for part in parts) + note,
        {name: number for part in parts for name, number in part.numbers.items()},
        [entry for part in parts for entry in part.lines],
    )


def _allowed(evidence: Evidence) -> str:
    """How far results may differ: not at all ("bits"), by "rounding", or by the "order" of sums."""
    if evidence.accelerator == "gpu" or evidence.rounds:
        return "order"
    return "rounding" if evidence.scenario.rounds else "bits"


def _metrics(facts: LogFacts) -> dict[_Key, Metric]:
    """Metrics by name, epoch, split, and which of the same it is."""
    seen: dict[tuple[str, int | None, str | None], int] = defaultdict(int)
    found: dict[_Key, Metric] = {}
    for metric in facts.metrics:
        key = (metric.name, metric.epoch, metric.split)
        found[metric.name, metric.epoch, metric.split, seen[key]] = metric
        seen[key] += 1
    return found


def _compare_metrics(
    phase: Phase, pairs: list[tuple[Metric, Metric]], tolerance: Tolerance
) -> Finding:
    largest, wrong = 0.0, []
    unknown = 0
    for ours, theirs in pairs:
        if ours.value is None and theirs.value is None:
            unknown += 1
        elif ours.value is None or theirs.value is None:
            wrong.append((ours, theirs))
        else:
            largest = max(largest, abs(ours.value - theirs.value))
            if tolerance.exceeded(ours.value, theirs.value):
                wrong.append((ours, theirs))
    numbers = {
        "metrics": len(pairs) - unknown,
        "metrics_differing": len(wrong),
        "metrics_max_difference": largest,
    }
    if wrong:
        ours, theirs = wrong[0]
        lines = [line(phase.id, entry.line, f"{entry.name} {entry.value}") for entry, _ in wrong]
        message = (
            f"{len(wrong)} of {plural(len(pairs), 'metric')} {_differ(tolerance)},"
            f" first {_words(ours)}: {_number(ours)}, control {_number(theirs)}"
        )
        return Finding(Status.FAILED, message, numbers, lines)
    if unknown == len(pairs):
        return unjudged("no metric of the phase and its control is a number")
    message = f"{plural(len(pairs) - unknown, 'metric')} {_equal(tolerance, largest)}"
    return Finding(Status.PASSED, message, numbers)


def _predictions(
    phase: Phase, facts: LogFacts, control: LogFacts, tolerance: Tolerance
) -> Finding | None:
    ours = digest(facts, "predictions", "final")
    theirs = digest(control, "predictions", "final")
    if ours is None or theirs is None:
        return None
    lines = [line(phase.id, ours.line, f"predictions final {ours.sha256}")]
    if ours.sha256 == theirs.sha256:
        return Finding(Status.PASSED, "predictions bit-equal", {"predictions_max_difference": 0.0})
    if ours.values is None or theirs.values is None:
        return unjudged("predictions are not bit-equal, and their values are not known")
    if len(ours.values) != len(theirs.values):
        message = f"{len(ours.values)} predictions, {len(theirs.values)} in the control"
        return Finding(Status.FAILED, message, {}, lines)
    largest, beyond = tolerance.compare(ours.values, theirs.values)
    numbers = {"predictions_max_difference": largest}
    if beyond:
        message = (
            f"{beyond} of {plural(len(ours.values), 'prediction')} {_differ(tolerance)},"
            f" largest difference {largest:.3g}"
        )
        return Finding(Status.FAILED, message, numbers, lines)
    return Finding(Status.PASSED, f"predictions {_equal(tolerance, largest)}", numbers)


def _weights(phase: Phase, facts: LogFacts, control: LogFacts) -> Finding | None:
    ours, theirs = digest(facts, "weights", "final"), digest(control, "weights", "final")
    if ours is None or theirs is None:
        return None
    if ours.sha256 == theirs.sha256:
        return Finding(Status.PASSED, "trained weights bit-equal")
    lines = [line(phase.id, ours.line, f"weights final {ours.sha256}")]
    which = tensors.words(ours, theirs)
    message = f"the trained weights {_differ(EXACT)}{f': {which}' if which else ''}"
    return Finding(Status.FAILED, message, {}, lines)


def _differ(tolerance: Tolerance) -> str:
    if tolerance == EXACT:
        return "differ from the control, where a swap changes no bit"
    return f"differ from the control by more than {tolerance}"


def _equal(tolerance: Tolerance, largest: float) -> str:
    if tolerance == EXACT:
        return "bit-equal"
    return f"within {tolerance}, largest difference {largest:.3g}"


def _words(metric: Metric) -> str:
    parts = [phrase(metric.split or ""), phrase(metric.name)]
    if metric.epoch is not None:
        parts.append(f"of epoch {metric.epoch}")
    return " ".join(part for part in parts if part)


def _number(metric: Metric) -> str:
    return "not a number" if metric.value is None else f"{metric.value:.9g}"
