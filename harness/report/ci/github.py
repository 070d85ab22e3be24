"""GitHub Actions: annotations, and the summary of a step, within its limits.

A step shows 10 annotations of each kind, and a summary of at most 1 MiB
(https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands).
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from harness.base.error import HarnessError
from harness.base.markdown import code
from harness.base.text import clip, one_line
from harness.record.checks import Check, Status
from harness.record.comparison import Comparison
from harness.record.models import CaseRecord, RunRecord
from harness.report import changes
from harness.report.totals import attempt_words, bugs, total, tried_again

ANNOTATIONS = 10  # of a kind
SUMMARY_BYTES = 2**20
_MESSAGE = 1_000  # characters of a message
_SECTION = re.compile(r"(?m)^(?=#{2,3} )")


def here(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this process is a step of a GitHub workflow."""
    return environ.get("GITHUB_ACTIONS") == "true"


@contextmanager
def commands_stopped(
    echo: Callable[[str], object], environ: Mapping[str, str] = os.environ
) -> Iterator[None]:
    """Has GitHub take no line for a command while what phases have printed is shown."""
    if not here(environ):
        yield
        return
    token = secrets.token_hex(16)
    echo(f"::stop-commands::{token}")
    try:
        yield
    finally:
        echo(f"::{token}::")


def annotated(record: RunRecord) -> list[str]:
    """Returns a line for each annotation: errors for failures, warnings for what is not judged.

    Notices are for phases that were tried again. Newly failing cases come first, and the last of
    too many says how many are left out.
    """
    errors = [
        _command("error", case, check, record.comparison)
        for case, check in _problems(record, Status.FAILED)
    ]
    warnings = [
        _command("warning", case, check, record.comparison)
        for case, check in _problems(record, Status.ERROR)
    ]
    for phase in bugs(record):
        errors.insert(0, _line("error", "bug of the harness", one_line(phase.reason)))
    if record.state != "finished":
        reason = record.notes[-1] if record.notes else "cases may be missing"
        warnings.insert(0, _line("warning", f"the run is {one_line(record.state)}", reason))
    for moved in record.comparison.worse if record.comparison else ():
        title = f"{one_line(moved.case)}: {moved.check.label}"
        warnings.append(_line("warning", title, changes.moved_words(moved)))
    notices = [
        _line("notice", f"{one_line(phase.key)} was tried again", attempt_words(attempt))
        for phase in tried_again(record.phases)
        for attempt in phase.attempts
    ]
    return [*_few(errors, "error"), *_few(warnings, "warning"), *_few(notices, "notice")]


def step_summary(text: str, room: int, whole: str) -> str:
    """Returns a summary as far as it fits, without the sections that do not.

    Args:
        text: Markdown whose sections begin with `##` or `###`.
        room: bytes.
        whole: where all of it is.
    """
    if len(text.encode()) <= room:
        return text
    sections = _SECTION.split(text)
    titles = [section.split("\n", 1)[0].lstrip("# ") for section in sections]
    # What is left out has to be named, and that takes room too.
    room -= len(_cut(titles, whole).encode())
    kept, left_out = [], []
    for section, title in zip(sections, titles, strict=True):
        size = len(section.encode())
        if size <= room:
            kept.append(section)
            room -= size
        else:
            left_out.append(title)
    return "".join(kept) + _cut(left_out, whole)


def write_summary(text: str, whole: str, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Appends a summary to that of the step; returns the file, or None where there is none.

    Raises:
        HarnessError: it cannot be written.
    """
    name = environ.get("GITHUB_STEP_SUMMARY")
    if not here(environ) or not name:
        return None
    path = Path(name)
    try:
        taken = path.stat().st_size if path.exists() else 0
        with path.open("a", encoding="utf-8", errors="replace") as file:
            file.write(step_summary(text, max(0, SUMMARY_BYTES - taken - 1), whole) + "\n")
    except OSError as problem:
        raise HarnessError(
            f"cannot write the summary of the step: {name}: {problem.strerror}"
        ) from problem
    return path


def _cut(titles: list[str], whole: str) -> str:
    """What stands at the end of a summary that is cut."""
    shown = ", ".join(clip(title, 80) for title in titles[:20])
    more = f" and {len(titles) - 20:,} more" if len(titles) > 20 else ""
    return f"\n**Cut** for GitHub's limit of 1 MiB: {shown}{more}. All of it is in {code(whole)}.\n"


def _problems(record: RunRecord, status: Status) -> list[tuple[CaseRecord, Check]]:
    """The cases with this status, each with its first check that has it; newly failing first."""
    failing = [change.case for change in record.comparison.failing] if record.comparison else []
    found = [(judged.case, judged.having(status)[0]) for judged in total(record).of(status)]
    return sorted(found, key=lambda entry: entry[0].id not in failing)


def _command(kind: str, case: CaseRecord, check: Check, comparison: Comparison | None) -> str:
    message = one_line(check.message, _MESSAGE)
    changed = {change.case: change for change in (comparison.failing if comparison else ())}
    if case.id in changed:
        message += f"\n{check.id.label} {changes.was(changed[case.id])} in the baseline"
    if case.reproduce:
        message += f"\nreproduce: {one_line(case.reproduce)}"
    return _line(kind, f"{one_line(case.id)}: {check.id.label}", message)


def _line(kind: str, title: str, message: str) -> str:
    """A workflow command; in a property more is escaped than in a message."""
    return f"::{kind} title={_property(one_line(title, 200))}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _few(lines: list[str], kind: str) -> list[str]:
    if len(lines) <= ANNOTATIONS:
        return lines
    more = f"and {len(lines) - ANNOTATIONS + 1:,} more, which the summary lists"
    return [*lines[: ANNOTATIONS - 1], _line(kind, more, more)]
