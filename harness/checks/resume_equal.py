"""Check 8: a training that was saved and loaded ends as one that was not interrupted.

Digests show the state that a framework shows. What it keeps elsewhere, a product of momenta or a
generator's position, is lost unseen, and shows in what is trained next. So the last phase is
compared with the *straight* training: the same epochs in one process, bit by bit.

That runs twice, and how the two differ is the yardstick: where they are equal nothing else is
allowed, and where they differ, as on a GPU, the resumed training may differ by no more than a
multiple of it. Where they differ by so much that a lost state would not show nothing can be said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.base.text import phrase, plural
from harness.checks.evidence import Evidence
from harness.checks.finding import Finding, line, skipped, unjudged
from harness.checks.result_unchanged import METRICS
from harness.checks.state_restored import digest
from harness.checks.values import tensors
from harness.checks.values.tolerance import EXACT, Tolerance
from harness.record.checks import Number, Status
from harness.record.facts import Digest, LogFacts, Metric
from harness.record.models import Outcome, PhaseRecord

COMPARED = {
    "weights": "weights",
    "optimizer": "optimizer variables",
    "random": "states of random generators",
    "predictions": "predictions",
}
# Of the difference of two straight trainings. Each is one sample of it, estimated to a third.
SPREADS = 8.0
# A tensor whose own spread happens to be small may differ by this part of that of all tensors.
SHARE_OF_ALL = 0.1
# The yardstick is of use while two straight trainings differ by less than this part of what the
# resumed epochs change: a lost moment of an optimizer changes a few per cent of that.
VISIBLE = 0.01
# What differs by more than this part may have lost such a moment, whatever the yardstick allows.
LOST = 0.02

_Key = tuple[str, int]  # name, epoch
_Metrics = dict[_Key, Metric]


@dataclass(frozen=True)
class _Runs:
    """The three trainings that are compared.

    Attributes:
        phase: id of the phase that resumes.
        resumed, straight, again: what their logs say.
        saved: what the weights were when they were saved, if that is known.
    """

    phase: str
    resumed: LogFacts
    straight: LogFacts
    again: LogFacts
    saved: Digest | None

    @property
    def repeats(self) -> bool:
        """Whether the two uninterrupted trainings end with the same bits."""
        ends = [
            (digest(self.straight, name, "final"), digest(self.again, name, "final"))
            for name in COMPARED
        ]
        return all(
            one is not None and two is not None and one.sha256 == two.sha256
            for one, two in ends
            if one is not two
        )


def findings(evidence: Evidence) -> list[Finding]:
    """One finding for each thing that the two trainings end with, and one for their metrics."""
    if evidence.scenario.straight is None:
        return [skipped("the scenario has no uninterrupted training that it resumes")]
    phase, record = evidence.phases[-1]
    reason = _incomplete(phase.id, record, evidence.straights)
    if reason is not None:
        return [unjudged(reason)]
    straight, again = (entry.facts for entry in evidence.straights)
    if not record.facts.markers or not straight.markers:
        return [skipped("no marker lines: nothing to compare")]
    saved = [digest(earlier.facts, "weights", "saved") for _, earlier in evidence.phases[:-1]]
    known = [entry for entry in saved if entry is not None]
    runs = _Runs(phase.id, record.facts, straight, again, known[-1] if known else None)
    if not any(digest(straight, name, "final") for name in COMPARED):
        return [unjudged("the uninterrupted training reports no digest of what it ends with")]
    # What one of the two tells of its end, the other has to tell too.
    told = [
        name
        for name in COMPARED
        if any(digest(facts, name, "final") for facts in (straight, record.facts))
    ]
    found = [_compared(name, runs) for name in told]
    found += _metrics(runs, [earlier.facts for _, earlier in evidence.phases[:-1]])
    return [replace(finding, phase=phase.id) for finding in found]


def _incomplete(phase: str, record: PhaseRecord, straights: Sequence[PhaseRecord]) -> str | None:
    """Why there is nothing to compare, or None where there is."""
    if record.outcome is not Outcome.COMPLETED:
        return f"{phase} did not complete"
    for other in straights:
        if other.outcome is not Outcome.COMPLETED:
            how = other.outcome.value.replace("_", " ")
            return f"the uninterrupted training did not complete ({how})"
        if other.facts.markers and not other.facts.done:
            return "the uninterrupted training never said `done`: it stopped half way"
    return None if len(straights) == 2 else "the uninterrupted training did not run twice"


def _compared(name: str, runs: _Runs) -> Finding:
    ours, theirs, twin = (
        digest(facts, name, "final") for facts in (runs.resumed, runs.straight, runs.again)
    )
    if ours is None:
        return unjudged(f"{name}: {runs.phase} reports no digest at its end")
    if theirs is None:
        return unjudged(f"{name}: the uninterrupted training reports no digest at its end")
    if twin is None:
        return unjudged(f"{name}: the second uninterrupted training reports no digest at its end")
    lines = [
        line(runs.phase, ours.line, f"{name} final {ours.sha256}"),
        line("straight", theirs.line, f"{name} final {theirs.sha256}"),
        line("straight-again", twin.line, f"{name} final {twin.sha256}"),
    ]
    if ours.sha256 in (theirs.sha256, twin.sha256):  # of two that differ each is as good
        return Finding(Status.PASSED, f"{COMPARED[name]} bit-equal", {}, lines)
    if theirs.sha256 == twin.sha256:
        return _differ(name, ours, theirs, lines)
    if name == "predictions":
        return _predictions(ours, theirs, twin, lines)
    return _within_spread(name, runs, ours, theirs, twin, lines)


def _differ(name: str, ours: Digest, theirs: Digest, lines: list[str]) -> Finding:
    """Of a training that repeats itself to the last bit."""
    numbers: dict[str, Number] = {}
    what = tensors.words(ours, theirs)
    size = tensors.distance(ours, theirs)
    if name == "predictions" and ours.values and theirs.values:
        size = _largest(ours, theirs)
        what = f"largest difference {size:.3g}" if size is not None else _apart(ours, theirs)
    if size is not None:
        numbers[f"{name}_difference"] = size
    message = f"{COMPARED[name]} are not those of the uninterrupted training"
    return Finding(Status.FAILED, f"{message}: {what}" if what else message, numbers, lines)


def _predictions(ours: Digest, theirs: Digest, twin: Digest, lines: list[str]) -> Finding:
    if not (ours.values and theirs.values and twin.values):
        return unjudged("predictions differ bit by bit, and their values are not known")
    spread, size = _largest(twin, theirs), _largest(ours, theirs)
    if spread is None:
        return unjudged("predictions: two uninterrupted trainings cannot be compared")
    if size is None:
        what = f"predictions are not those of the uninterrupted training: {_apart(ours, theirs)}"
        return Finding(Status.FAILED, what, {}, lines)
    numbers: dict[str, Number] = {"predictions_difference": size, "predictions_spread": spread}
    words = f"{size:.3g}, two uninterrupted trainings by {spread:.3g}"
    if size > SPREADS * spread:
        return Finding(Status.FAILED, f"predictions differ by {words}", numbers, lines)
    return Finding(Status.PASSED, f"predictions within the spread: by {words}", numbers, lines)


def _largest(ours: Digest, theirs: Digest) -> float | None:
    """The largest difference of two predictions; None where not as many, or it is no number."""
    mine, other = ours.values or [], theirs.values or []
    if len(mine) != len(other):
        return None
    size = max((abs(one - another) for one, another in zip(mine, other, strict=True)), default=0.0)
    return size if math.isfinite(size) else None


def _apart(ours: Digest, theirs: Digest) -> str:
    """How predictions differ whose difference is no number."""
    mine, other = len(ours.values or ()), len(theirs.values or ())
    return f"{plural(mine, 'number')}, uninterrupted {other:,}" if mine != other else "without end"


def _within_spread(
    name: str, runs: _Runs, ours: Digest, theirs: Digest, twin: Digest, lines: list[str]
) -> Finding:
    """Of a training that does not repeat itself: by how much it differs is the tolerance."""
    found = tensors.differences(ours, theirs)
    spread = tensors.distance(twin, theirs)
    # A digest that differs while no tensor of it does, such as one of none, tells no difference.
    if not found or not spread:
        return unjudged(f"{name}: two uninterrupted trainings differ, by how much is not known")
    numbers: dict[str, Number] = {f"{name}_spread": spread}
    changed = _changed(runs)
    if name == "weights" and changed is None:
        return unjudged(
            f"inconclusive: two uninterrupted trainings end with weights that differ by about"
            f" {spread:.3g}, and what the resumed epochs change is not known: lost state might not"
            " show"
        )
    if name == "weights" and changed is not None and spread > VISIBLE * changed:
        return unjudged(
            f"inconclusive: two uninterrupted trainings end with weights that differ by about"
            f" {spread:.3g}, which is more than {VISIBLE:.0%} of what the resumed epochs change"
            f" ({changed:.3g}): lost state would not show"
        )
    own = {entry.place: entry.size or 0.0 for entry in tensors.differences(twin, theirs) or ()}
    beyond = [
        entry
        for entry in found
        if entry.size is None
        or entry.size > SPREADS * max(own.get(entry.place, 0.0), SHARE_OF_ALL * spread)
    ]
    whole = numbers[f"{name}_difference"] = tensors.distance(ours, theirs)
    if whole is not None and whole > SPREADS * spread:
        beyond = beyond or found  # each by little, and all of them by more than they may
    if beyond:
        of = max(len(ours.each or ()), len(theirs.each or ()))
        message = (
            f"{COMPARED[name]} differ from the uninterrupted training by more than {SPREADS:g}"
            f" times what two of these differ by ({spread:.3g}): {tensors.described(beyond, of)}"
        )
        return Finding(Status.FAILED, message, numbers, lines)
    if name == "weights" and changed is not None and whole is not None and whole > LOST * changed:
        return unjudged(
            f"inconclusive: weights differ from the uninterrupted training by about {whole:.3g}, no"
            f" more than {SPREADS:g} times what two of these differ by ({spread:.3g}), but by more"
            f" than {LOST:.0%} of what the resumed epochs change ({changed:.3g}): state may be lost"
        )
    message = f"{COMPARED[name]} within the spread of two uninterrupted trainings ({spread:.3g})"
    return Finding(Status.PASSED, message, numbers, lines)


def _changed(runs: _Runs) -> float | None:
    """What the resumed epochs change in the weights."""
    final = digest(runs.straight, "weights", "final")
    return None if final is None or runs.saved is None else tensors.distance(final, runs.saved)


def _metrics(runs: _Runs, earlier: Sequence[LogFacts]) -> list[Finding]:
    """The metrics of every epoch that was trained after the load, and those of its end."""
    before = {epoch for facts in earlier for _, epoch in _by_epoch(facts)}
    resumed, straight, again = map(_by_epoch, (runs.resumed, runs.straight, runs.again))
    repeated = sorted({epoch for _, epoch in resumed} & before)
    if repeated:
        return [Finding(Status.FAILED, f"epoch {repeated[0]} is trained again after the load")]
    if not before and straight and not resumed:
        return [unjudged(f"{runs.phase} and what it resumes report no metric of an epoch")]
    # Where no earlier phase tells its epochs, they are those before the first of the resumed.
    begin = 0 if before else min((epoch for _, epoch in resumed), default=0)
    ours, theirs, twin = (
        {key: entry for key, entry in of.items() if key[1] not in before and key[1] >= begin}
        for of in (resumed, straight, again)
    )
    missing = sorted(theirs.keys() - ours.keys(), key=_in_order)
    if missing:
        name, epoch = missing[0]
        return [Finding(Status.FAILED, f"{runs.phase} reports no {name} of epoch {epoch}")]
    added = sorted(ours.keys() - theirs.keys(), key=_in_order)
    if added and straight:
        name, epoch = added[0]
        return [unjudged(f"the uninterrupted training reports no {name} of epoch {epoch}")]
    return [
        *_equal(runs, "metric", "of later epochs", (ours, theirs, twin)),
        *_tested(runs),
    ]


def _tested(runs: _Runs) -> list[Finding]:
    """The metrics of test data. A phase may test what it has loaded too: those of both count."""
    ours, theirs, twin = (
        _by_epoch(facts, "test") for facts in (runs.resumed, runs.straight, runs.again)
    )
    common = {key: entry for key, entry in theirs.items() if key in ours}
    return _equal(runs, "test metric", "of an epoch", (ours, common, twin))


def _equal(runs: _Runs, noun: str, of: str, metrics: Sequence[_Metrics]) -> list[Finding]:
    """Whether metrics are equal, or differ as two uninterrupted trainings do.

    Args:
        metrics: of the resumed training, of the uninterrupted one, and of its second execution;
            those of the second are looked at.
    """
    ours, theirs, twin = metrics
    if not theirs:
        return []
    # Of a single number one spread says little: that of two trainings may be 0 by chance.
    least = EXACT if runs.repeats else METRICS["order"]
    wrong = [
        (ours[key], theirs[key])
        for key in sorted(theirs, key=_in_order)
        if not _within(ours[key].value, theirs[key].value, twin.get(key, theirs[key]).value, least)
    ]
    kind = noun.replace(" ", "_")
    numbers: dict[str, Number] = {f"{kind}s": len(theirs), f"{kind}s_differing": len(wrong)}
    if wrong:
        mine, other = wrong[0]
        message = (
            f"{len(wrong)} of {plural(len(theirs), noun)} {of} differ, first"
            f" {phrase(mine.name)} of epoch {mine.epoch}: {mine.value!r}, uninterrupted"
            f" {other.value!r}"
        )
        lines = [line(runs.phase, entry.line, f"{entry.name} {entry.value}") for entry, _ in wrong]
        return [Finding(Status.FAILED, message, numbers, lines)]
    return [Finding(Status.PASSED, f"{plural(len(theirs), noun)} {of} equal", numbers)]


def _in_order(key: _Key) -> tuple[int, str]:
    name, epoch = key
    return epoch, name


def _within(ours: float | None, theirs: float | None, twin: float | None, least: Tolerance) -> bool:
    if ours is None or theirs is None or twin is None:
        return ours == theirs
    allowed = abs(ours - theirs) <= SPREADS * abs(twin - theirs)
    return allowed or not least.exceeded(ours, theirs)


def _by_epoch(facts: LogFacts, split: str = "train") -> _Metrics:
    """Metrics of training, or of test data, by name and epoch; of several of one the last."""
    return {
        (phrase(metric.name), metric.epoch): metric
        for metric in facts.metrics
        if metric.split == split and metric.epoch is not None
    }
