"""Two baselines side by side: what fails newly, what is fixed, which numbers moved. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.base.error import EXIT_FAILED, EXIT_NOT_JUDGED, EXIT_PASSED
from harness.comparison import tolerance
from harness.comparison.baseline import Baseline, CaseBase, CheckBase
from harness.record.checks import CheckId, Status
from harness.record.comparison import Change, Comparison, Differing, Kind, Moved

_ALL: frozenset[Kind] = frozenset(tolerance.SHARES)
_JUDGED = (Status.PASSED, Status.KNOWN, Status.FAILED)

_Group = str  # the name of a list of a Comparison


def compare(base: Baseline, run: Baseline) -> Comparison:
    """Returns what is another in a run than in its baseline."""
    kinds, reasons = _comparable(base, run)
    groups: dict[_Group, list[Change]] = {}
    moved: list[Moved] = []
    checks = numbers = 0
    other_batches: list[str] = []
    for name, after in run.cases.items():
        before = base.cases.get(name)
        _sort(groups, name, before, after)
        if before is None:
            continue
        common = before.checks.keys() & after.checks.keys()
        checks += len(common)
        if _other_batch(before, after):
            other_batches.append(name)
            continue
        for check in after.checks:
            if check in common:
                found, count = _moved(name, check, before, after, kinds, run.accelerator == "gpu")
                moved += found
                numbers += count
    if kinds and other_batches:
        more = f" and {len(other_batches) - 1:,} more" if len(other_batches) > 1 else ""
        reasons.append(
            f"no number of {other_batches[0]}{more} is compared: their steps are of other batches"
        )
    return Comparison(
        base=base.runs,
        run=", ".join(run.runs),
        checks=checks,
        numbers=numbers,
        failing=sorted(groups.get("failing", []), key=lambda change: change.before is None),
        unjudged=sorted(groups.get("unjudged", []), key=lambda c: c.after is not Status.ERROR),
        fixed=groups.get("fixed", []),
        known=groups.get("known", []),
        flaky=groups.get("flaky", []),
        persisting=groups.get("persisting", []),
        moved=sorted(moved, key=lambda entry: (not entry.worse, -abs(entry.share or 0.0))),
        only_base=[name for name in base.cases if name not in run.cases],
        only_run=[name for name in run.cases if name not in base.cases],
        notes=[*_not_ended("baseline", base), *_not_ended("run", run), *reasons],
        provenance=list(_provenance(base.facts, run.facts)),
    )


def exit_code(comparison: Comparison) -> int:
    """Returns 1 (something regressed), 2 (nothing did, and not all could be judged) or 0.

    Two runs that have no check in common prove nothing: that is 2 as well.
    """
    if comparison.regressed:
        return EXIT_FAILED
    errors = any(change.after is Status.ERROR for change in comparison.unjudged)
    return EXIT_NOT_JUDGED if errors or not comparison.checks else EXIT_PASSED


# --- verdicts -----------------------------------------------------------------------------------


def _sort(
    groups: dict[_Group, list[Change]], case: str, before: CaseBase | None, after: CaseBase
) -> None:
    """Adds what changed in a case to the groups, in each one change with all its checks."""
    known = {} if before is None else before.checks
    found: dict[_Group, list[tuple[CheckId, CheckBase | None, CheckBase | None]]] = {}
    for check in CheckId:
        pair = known.get(check), after.checks.get(check)
        group = _group(*pair)
        if group is not None:
            found.setdefault(group, []).append((check, *pair))
    if "failing" in found:  # what cannot be judged because of it is no more news
        found.pop("unjudged", None)
    for group, entries in found.items():
        check, old, new = entries[0]
        told = new or old
        groups.setdefault(group, []).append(
            Change(
                case=case,
                check=check,
                before=None if old is None else old.status,
                after=None if new is None else new.status,
                message=_message(old, told),
                also=[other for other, _, _ in entries[1:]],
            )
        )


def _message(old: CheckBase | None, told: CheckBase | None) -> str:
    """What the run says of the check; of one that passes what the baseline had said."""
    if told is not None and told.message:
        return told.message
    return old.message if old is not None else ""


def _group(before: CheckBase | None, after: CheckBase | None) -> _Group | None:
    """The list that a check belongs to; None where nothing is to be said of it."""
    if after is None:
        return "unjudged" if before is not None and before.status in _JUDGED else None
    if before is not None:
        if before.status is after.status:
            return "persisting" if after.status is Status.FAILED else None
        if before.seen & after.seen:
            return "flaky"
    if after.status is Status.FAILED:
        return "failing"
    if after.status is Status.ERROR:
        return "unjudged"
    if before is None:
        return None
    if after.status is Status.KNOWN:
        return "known"
    if after.status is Status.SKIPPED:
        return "unjudged" if before.status in _JUDGED else None
    return None if before.status is Status.SKIPPED else "fixed"


# --- numbers ------------------------------------------------------------------------------------


def _comparable(base: Baseline, run: Baseline) -> tuple[frozenset[Kind], list[str]]:
    """The kinds of numbers that can be compared at all, and why others cannot."""
    for what in ("accelerator", "parameters"):  # a provider is in the ids of its cases
        before, after = getattr(base, what), getattr(run, what)
        if before != after:
            told = "" if what == "parameters" else f": {before}, and {after}"
            return frozenset(), [f"no number is compared: the two are of different {what}{told}"]
    gpus = base.facts.get("gpu", {}).get("name"), run.facts.get("gpu", {}).get("name")
    if gpus[0] != gpus[1]:
        told = " and ".join(name or "an unknown one" for name in gpus)
        return _ALL - {"peak", "time"}, [
            f"no peak and no time is compared: the GPUs are different ones, {told}"
        ]
    for where, name in (("run", "engine"), ("host", "hostname"), ("host", "cores")):
        if base.facts.get(where, {}).get(name) != run.facts.get(where, {}).get(name):
            return _ALL - {"time"}, [f"no time is compared: the two ran on a different {name}"]
    return _ALL, []


def _not_ended(whose: str, side: Baseline) -> list[str]:
    """A note where a side may lack cases."""
    states = [state for state in side.states if state != "finished"]
    return [f"the {whose} is {', '.join(states)}: it may lack cases"] if states else []


def _other_batch(before: CaseBase, after: CaseBase) -> bool:
    common = before.batch.keys() & after.batch.keys()
    return any(before.batch[name] != after.batch[name] for name in common)


def _moved(
    case: str,
    check: CheckId,
    before: CaseBase,
    after: CaseBase,
    kinds: frozenset[Kind],
    on_gpu: bool,
) -> tuple[list[Moved], int]:
    """The numbers of a check that moved, and how many were compared."""
    old, new = before.checks[check].numbers, after.checks[check].numbers
    found, count = [], 0
    for name, value in new.items():
        kind = tolerance.kind(check, name)
        if kind is None or kind not in kinds or name not in old:
            continue
        count += 1
        allowed = tolerance.share(check, name, old)
        if not tolerance.beyond(check, name, old[name], value, allowed):
            continue
        found.append(
            Moved(
                case=case,
                check=check,
                name=name,
                kind=kind,
                before=old[name],
                after=value,
                share=(value - old[name]) / abs(old[name]) if old[name] else None,
                tolerance=allowed,
                worse=tolerance.worse(check, name, old[name], value, on_gpu),
            )
        )
    return found, count


# --- where it ran -------------------------------------------------------------------------------


def _provenance(
    base: Mapping[str, Mapping[str, str]], run: Mapping[str, Mapping[str, str]]
) -> Iterator[Differing]:
    """The facts that differ; those of a flavor that only one side has are none."""
    flavors = [where for where in run if where in base and where not in ("run", "gpu", "host")]
    for where in ("gpu", "run", *flavors, "host"):
        before, after = base.get(where, {}), run.get(where, {})
        for name in [*before, *(name for name in after if name not in before)]:
            if before.get(name) != after.get(name):
                yield Differing(
                    where=where, name=name, before=before.get(name), after=after.get(name)
                )
