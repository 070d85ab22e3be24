"""What is another in a run than in its baseline, in words: for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console

from harness.base.markdown import code, escape
from harness.base.text import mib, one_line, plural
from harness.record.checks import Status
from harness.record.comparison import Change, Comparison, Differing, Moved
from harness.report.printer import Printer

TERMINAL_ENTRIES = 12  # of a list
MARKDOWN_ENTRIES = 100
_ABSENT = "not there"


@dataclass(frozen=True)
class Entry:
    """A line of a list: what it is about, and what is to be said of it."""

    what: str
    words: str


@dataclass(frozen=True)
class Section:
    """A list of a comparison, the most severe one first.

    Attributes:
        title: with its count.
        style: rich's, of the title.
    """

    title: str
    style: str
    entries: list[Entry]


def headline(comparison: Comparison) -> str:
    """Returns the comparison in one line."""
    counts = [
        (len(comparison.failing), "newly failing"),
        (len(comparison.unjudged), "no longer judged"),
        (len(comparison.fixed), "fixed"),
        (len(comparison.known), "newly known"),
        (len(comparison.flaky), "flaky"),
        (len(comparison.persisting), "failing in both"),
    ]
    parts = [f"{count:,} {words}" for count, words in counts if count]
    if comparison.moved:
        worse = len(comparison.worse)
        parts.append(
            f"{plural(len(comparison.moved), 'number')} beyond tolerance, {worse:,} for the worse"
        )
    verdict = "REGRESSED" if comparison.regressed else "no regression"
    if not comparison.regressed and not comparison.checks:
        return f"nothing to compare: no check of this run is one of {base(comparison)}"
    compared = (
        f"{plural(comparison.checks, 'check')} and {plural(comparison.numbers, 'number')} compared"
        f" with {base(comparison)}"
    )
    return f"{verdict}: {', '.join(parts) or 'nothing changed'}; {compared}"


def base(comparison: Comparison) -> str:
    """Returns what the baseline is, in a few words."""
    first = one_line(comparison.base[0], 100) if comparison.base else "an unknown run"
    more = len(comparison.base) - 1
    return f"{first} and {plural(more, 'more run')}" if more > 0 else first


def moved_words(moved: Moved) -> str:
    """Returns how a number moved: `peak 46.0 MiB -> 60.1 MiB (+30.7 %, tolerance 5 %)`."""
    before, after = (_amount(moved, value) for value in (moved.before, moved.after))
    share = "" if moved.share is None else f"{100 * moved.share:+.1f} %, "
    return (
        f"{one_line(moved.name)} {before} -> {after} ({share}tolerance {100 * moved.tolerance:g} %)"
    )


def was(change: Change) -> str:
    """Returns what a check was in the baseline: `was passed`, `is not in the baseline`."""
    return "is not in the baseline" if change.before is None else f"was {change.before.value}"


def sections(comparison: Comparison) -> list[Section]:
    """Returns the lists that have something in them, the most severe first."""
    worse = comparison.worse
    other = [moved for moved in comparison.moved if not moved.worse]
    found = [
        _section("newly failing", "bold red", [_change(entry) for entry in comparison.failing]),
        _section("numbers for the worse", "bold red", [_moved(entry) for entry in worse]),
        _section("no longer judged", "yellow", [_change(e) for e in comparison.unjudged]),
        _section("newly known", "magenta", [_change(entry) for entry in comparison.known]),
        _section("fixed", "green", [_change(entry) for entry in comparison.fixed]),
        _section("flaky", "yellow", [_change(entry) for entry in comparison.flaky]),
        _section("failing in both", "", [_change(entry) for entry in comparison.persisting]),
        _section("other numbers beyond tolerance", "", [_moved(entry) for entry in other]),
        _section("only in this run", "", [Entry(case, "") for case in comparison.only_run]),
        _section("only in the baseline", "", [Entry(case, "") for case in comparison.only_base]),
        _section("where it ran", "", [_fact(entry) for entry in comparison.provenance]),
    ]
    return [section for section in found if section.entries]


def terminal(comparison: Comparison, console: Console) -> None:
    """Prints a comparison; plain lines of at most 100 columns where there is no terminal."""
    printer = Printer(console)
    style = "bold red" if comparison.regressed else "bold green"
    if not comparison.regressed and not comparison.checks:
        style = "bold yellow"
    printer.wrapped(headline(comparison), style)
    for reason in comparison.notes:
        printer.wrapped(f"note: {reason}", "yellow")
    for section in sections(comparison):
        printer.line()
        printer.line((section.title, section.style))
        before = ""
        for entry in section.entries[:TERMINAL_ENTRIES]:
            if entry.what != before:
                printer.line(f"  {one_line(entry.what)}")
            before = entry.what
            if entry.words:
                printer.wrapped(entry.words, indent=4)
        if len(section.entries) > TERMINAL_ENTRIES:
            printer.line(f"  and {len(section.entries) - TERMINAL_ENTRIES:,} more")


def markdown(comparison: Comparison) -> str:
    """Returns a comparison as Markdown (GitHub's flavour)."""
    return "\n".join(_markdown(comparison)) + "\n"


def _markdown(comparison: Comparison) -> Iterator[str]:
    yield f"**{escape(headline(comparison))}**"
    if comparison.notes:
        yield ""
    for reason in comparison.notes:
        yield f"- {escape(reason)}"
    for section in sections(comparison):
        yield from ("", f"### {escape(section.title)}", "")
        for entry in section.entries[:MARKDOWN_ENTRIES]:
            yield f"- {code(entry.what)}" + (f": {escape(entry.words)}" if entry.words else "")
        if len(section.entries) > MARKDOWN_ENTRIES:
            yield f"- and {len(section.entries) - MARKDOWN_ENTRIES:,} more"


def _section(title: str, style: str, entries: Sequence[Entry]) -> Section:
    return Section(f"{title}: {len(entries):,}", style, list(entries))


def _change(change: Change) -> Entry:
    words = f"{change.check.label} {was(change)}"
    if change.message:
        says = "it had failed with" if change.after is Status.PASSED else "now"
        if change.after is None:
            says = "it is not in this run; there"
        words += f"; {says}: {one_line(change.message)}"
    if change.also:
        words += f" (also {', '.join(check.label for check in change.also)})"
    return Entry(change.case, words)


def _moved(moved: Moved) -> Entry:
    return Entry(moved.case, f"{moved.check.label}: {moved_words(moved)}")


def _fact(fact: Differing) -> Entry:
    before, after = (
        _ABSENT if value is None else one_line(value, 200) for value in (fact.before, fact.after)
    )
    return Entry(f"{fact.where}: {fact.name}", f"{before} -> {after}")


def _amount(moved: Moved, value: float) -> str:
    if moved.kind in ("bytes", "peak"):
        return mib(value)
    return f"{value:,.1f} ms" if moved.kind == "time" else f"{value:,.0f}"
