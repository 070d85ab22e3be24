"""The known defects as people read them: as lines of text, and as a page. Pure.

With the record of a run each has what was measured too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.base.markdown import code, escape, longest_run
from harness.base.text import clip, one_line, plural
from harness.catalog.catalog import Catalog, Pair
from harness.catalog.defects import FILE, SCRIPTS, Defect
from harness.catalog.providers import BUILTIN
from harness.record.checks import Check, CheckId
from harness.record.models import CaseRecord, RunRecord

NONE = f"no defect is known: there is no entry in {FILE}"
MEASURED = 20  # cases of a run that are listed for each defect
ON_THE_PAGE = 4  # and so many on the page, which is read by people who have not run it
MESSAGE_CHARACTERS = 400
SCENARIOS = 8
_PAGE = """\
# Known defects

What a release itself does wrong. Each case is run all the same and has to fail as it is stated
here; a pass is a failure too, and says that the entry has to go ([how](checks.md#known-defects)).

`harness defects --markdown` writes this page; `make defects` prints the same on a terminal.
"""


@dataclass(frozen=True)
class Listed:
    """A known defect, where it applies, and what a run measured of it.

    Attributes:
        flavors, scenarios: of the cases that it covers; None stands for all there are.
        cases: how many cases it covers.
        reproduce: the command that runs the first of them, or of those that were measured.
        counts: what became of the checks in the covered cases of the run, in words, or None where
            there is no run.
        measured: case and message, for each case of the run in which it was seen.
        script: the text of the smallest script that shows it, or "".
    """

    defect: Defect
    flavors: tuple[str, ...] | None
    scenarios: tuple[str, ...] | None
    cases: int
    reproduce: str
    counts: str | None
    measured: tuple[tuple[str, str], ...]
    script: str = ""

    @property
    def facts(self) -> Iterator[tuple[str, str]]:
        """Where it applies, as words by name."""
        for number, sighting in enumerate(self.defect.sightings):
            yield "also" if number else "check", sighting.check.label
            yield "message", sighting.message
        flavors = "every flavor" if self.flavors is None else ", ".join(self.flavors)
        scenarios = "every scenario" if self.scenarios is None else _few(self.scenarios)
        yield "flavors", flavors
        yield "scenarios", f"{scenarios} ({plural(self.cases, 'case')})"
        yield "versions", " and ".join(self.defect.versions)
        yield "accelerator", self.defect.accelerator or "any"
        yield "upstream", self.defect.upstream or "unreported"
        yield "reproduce", self.reproduce
        if self.counts is not None:
            yield "measured", self.counts


def entries(
    catalog: Catalog, record: RunRecord | None = None, scripts: Mapping[str, str] | None = None
) -> list[Listed]:
    """The known defects of a catalog, each with where it applies.

    Args:
        catalog: the whole one.
        record: the run that has what was measured, or None.
        scripts: the texts of the scripts that entries name, by name.
    """
    texts = scripts or {}
    return [
        _entry(catalog, defect, record, texts.get(defect.script or "", ""))
        for defect in catalog.defects
    ]


def lines(listed: Sequence[Listed]) -> Iterator[str]:
    """The known defects as text."""
    if not listed:
        yield NONE
    for number, entry in enumerate(listed):
        if number:
            yield ""
        yield f"{entry.defect.id}: {entry.defect.means}"
        for name, words in entry.facts:
            yield f"  {name:<12}{words}"
        for case, message in entry.measured[:MEASURED]:
            yield f"    {case}: {message}"
        if len(entry.measured) > MEASURED:
            yield f"    and {len(entry.measured) - MEASURED} more"


def page(listed: Sequence[Listed]) -> str:
    """The known defects as a page in Markdown: `docs/defects.md`."""
    return "\n".join([_PAGE, *_paragraphs(listed)])


def _paragraphs(listed: Sequence[Listed]) -> Iterator[str]:
    if not listed:
        yield f"{escape(NONE)}\n"
    for entry in listed:
        yield f"## {escape(entry.defect.id)}\n\n{escape(entry.defect.means)}\n"
        if entry.defect.report:
            yield f"{entry.defect.report.strip()}\n"
        for name, words in entry.facts:
            shown = code(words) if name in ("message", "reproduce") else escape(words)
            yield f"- {name}: {shown}"
        for case, message in entry.measured[:ON_THE_PAGE]:
            yield f"  - {code(case)}: {escape(clip(message, MESSAGE_CHARACTERS))}"
        if len(entry.measured) > ON_THE_PAGE:
            yield f"  - and {len(entry.measured) - ON_THE_PAGE} more"
        yield ""
        if entry.script:
            yield f"`{SCRIPTS / (entry.defect.script or '')}`, without the harness:\n"
            fence = "`" * max(3, longest_run(entry.script) + 1)
            yield f"{fence}python\n{entry.script.strip()}\n{fence}\n"


def _entry(catalog: Catalog, defect: Defect, record: RunRecord | None, script: str) -> Listed:
    by_check = [(sighting.check, catalog.covered(sighting)) for sighting in defect.sightings]
    covered = list({pair.id: pair for _, pairs in by_check for pair in pairs}.values())
    seen = [] if record is None else _seen(by_check, record)
    known = [(case, check) for case, check in seen if _is(check, defect)]
    reproduce = next((one_line(case.reproduce) for case, _ in known if case.reproduce), None)
    return Listed(
        defect=defect,
        flavors=_some(
            [pair.flavor.id for pair in covered], [flavor.id for flavor in catalog.flavors]
        ),
        scenarios=_some(
            [f"{pair.scenario.family}/{pair.scenario.id}" for pair in covered],
            [
                f"{scenario.family}/{scenario.id}"
                for scenario in catalog.scenarios
                if scenario.expects is None
            ],
        ),
        cases=len(covered),
        reproduce=reproduce or _reproduce(covered[0], defect),
        counts=None if record is None else _counts(seen, defect, record),
        measured=tuple((one_line(case.id), one_line(check.message)) for case, check in known),
        script=script,
    )


def _few(names: Sequence[str]) -> str:
    """The first of the names, and how many there are beside them."""
    rest = len(names) - SCENARIOS
    return ", ".join(names[:SCENARIOS]) + (f" and {rest} more" if rest > 0 else "")


def _some(names: Sequence[str], every: Sequence[str]) -> tuple[str, ...] | None:
    """The names, each once; None where they are all."""
    return None if set(names) == set(every) else tuple(dict.fromkeys(names))


def _reproduce(pair: Pair, defect: Defect) -> str:
    where = " GPU=none" if defect.accelerator == "virtual" else ""
    swapping = "" if pair.provider == BUILTIN else f" LMS_PROVIDER={pair.provider.id}"
    return f"make repro FLAVOR={pair.flavor.id} SCENARIO={pair.scenario.id}{where}{swapping}"


def _seen(
    by_check: Sequence[tuple[CheckId, Sequence[Pair]]], record: RunRecord
) -> list[tuple[CaseRecord, Check]]:
    """The checks of the defect in each case of the run that the defect covers."""
    wanted = {(pair.id, check_id) for check_id, pairs in by_check for pair in pairs}
    return [
        (case, check)
        for case in record.cases
        for check in case.checks
        if (case.id, check.id) in wanted
    ]


def _is(check: Check, defect: Defect) -> bool:
    return check.defect is not None and check.defect.id == defect.id


def _counts(seen: Sequence[tuple[CaseRecord, Check]], defect: Defect, record: RunRecord) -> str:
    """What became of the check, e.g. `run 20250301-100000-3f2a: 3 known, 1 passed`.

    It passed where the entry does not apply to the run's versions or accelerator.
    """
    found = Counter(
        check.status.value if check.defect is None or _is(check, defect) else "known otherwise"
        for _, check in seen
    )
    words = ", ".join(f"{count} {status}" for status, count in found.items())
    return one_line(f"run {record.id}: {words or 'none of its cases'}")
