"""How often each check of repeats had which verdict: always, never, or now and then. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.base.error import EXIT_INTERRUPTED, EXIT_NOT_JUDGED
from harness.base.text import one_line, plural
from harness.record.checks import Number, Status
from harness.run.soak.soak import WORST_FIRST, Soak

_GOOD = (Status.PASSED.value, Status.KNOWN.value)
_LISTED = 20  # numbers of repeats in a line


@dataclass(frozen=True)
class Tally:
    """The verdicts of one check.

    Attributes:
        name: of the case and the check.
        seen: numbers of the repeats by verdict, the commonest first.
    """

    name: str
    seen: Mapping[str, Sequence[int]]

    @property
    def word(self) -> str:
        """`always` where it passed in each repeat, `never` in none, else `flaky`.

        A known defect that fails as stated has passed. A check that is skipped in each repeat does
        not apply: `skipped`. One that was never judged has not passed.
        """
        if set(self.seen) == {Status.SKIPPED.value}:
            return "skipped"
        good = [verdict for verdict in self.seen if verdict in _GOOD]
        if not good:
            return "never"
        return "always" if len(good) == len(self.seen) else "flaky"


def tallies(first: Mapping[str, Number], soak: Soak) -> list[Tally]:
    """The tally of each check, in the order of the first repeat's.

    Args:
        first: the verdicts of the first repeat, by name.
        soak: the repeats, with the verdicts that are not as in the first one.
    """
    numbers = [repeat.number for repeat in soak.repeats]
    differing = {
        entry.name: {str(seen.value): seen.repeats for seen in entry.seen}
        for entry in soak.verdicts
    }
    names = dict.fromkeys([*first, *differing])
    found = []
    for name in names:
        seen = differing.get(name) or {str(first[name]): numbers}
        ordered = sorted(seen.items(), key=lambda item: -len(item[1]))
        found.append(Tally(name, dict(ordered)))
    return found


def lines(found: Sequence[Tally], soak: Soak) -> Iterator[str]:
    """Yields a line for each check, and one for all of them."""
    width = max((len(entry.word) for entry in found), default=0)
    for entry in found:
        parts = [
            f"{verdict} {len(repeats)}" + (f" ({_numbers(repeats)})" if number else "")
            for number, (verdict, repeats) in enumerate(entry.seen.items())
        ]
        yield f"{entry.word:<{width}}  {one_line(entry.name)}: {', '.join(parts)}"
    words = Counter(entry.word for entry in found)
    told = ", ".join(
        f"{words[word]} {word}" for word in ("always", "flaky", "never") if words[word]
    )
    repeats = plural(len(soak.repeats), "repeat")
    short = "" if len(soak.repeats) == soak.planned else f" of {soak.planned}, {soak.state}"
    yield f"{repeats}{short}: {told or 'nothing was judged'}"


def exit_code(soak: Soak) -> int:
    """The worst of the repeats: 0 passed, 1 failed, 2 not judged, 3 crashed; 130 interrupted."""
    if soak.state == "interrupted":
        return EXIT_INTERRUPTED
    codes = {repeat.exit_code for repeat in soak.repeats}
    return min(codes, key=WORST_FIRST.index, default=EXIT_NOT_JUDGED)


def _numbers(repeats: Sequence[int]) -> str:
    shown = ", ".join(map(str, repeats[:_LISTED]))
    return f"{'repeat' if len(repeats) == 1 else 'repeats'} {shown}" + (
        ", ..." if len(repeats) > _LISTED else ""
    )
