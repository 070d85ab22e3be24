"""The reports of a run: record.json, JUnit, summary.md, pages, and the link `latest` to the run.

The record is the one source; everything else is derived from it and can be written again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from harness.base import atomic, directory
from harness.base.error import HarnessError
from harness.history import database
from harness.record import journal, store
from harness.record.models import RunRecord
from harness.report import junit, summary
from harness.report.page import pages
from harness.report.reading import Reading

LATEST = "latest"
_KILLED = "the driver of this run was killed: this is what had ended by then"


def write_all(record: RunRecord, run_directory: Path, latest: bool = True) -> list[Path]:
    """Writes every report of a run; each file is whole or not there.

    One that cannot be written does not keep the others from it.

    Args:
        latest: point `latest` beside the run directory at it; `False` where the reports of an
            earlier run are written again.

    Returns:
        The files that were written.

    Raises:
        HarnessError: a report cannot be written, or `latest` is taken by something else.
    """
    written: list[Path] = []
    refused: list[OSError] = []
    reading = Reading(record, run_directory)
    for write in (
        store.write,
        partial(junit.write, reading=reading),
        partial(summary.write, reading=reading),
        partial(pages.write, reading=reading),
    ):
        try:
            made = write(record, run_directory)
        except OSError as error:
            refused.append(error)
        else:
            written += made if isinstance(made, list) else [made]
    run_directory = run_directory.resolve()  # it may have been named through `latest` itself
    if latest:
        link = run_directory.parent / LATEST
        try:
            atomic.link(link, run_directory.name)
        except OSError as error:
            raise HarnessError(
                f"cannot make the link {link} to this run, so it may show an older one:"
                f" move it out of the way ({error.strerror})"
            ) from error
    if refused:
        words = refused[0].strerror or str(refused[0])
        raise HarnessError(f"cannot write reports below {run_directory}: {words}") from refused[0]
    return written


def rebuild(run_directory: Path) -> RunRecord:
    """Writes every report of a run again, from its record and its journal.

    A run that was killed is aborted from then on. The reports of one that goes on are left to it.

    Raises:
        UsageError: there is no record that can be read, or nothing can be written beside it.
        HarnessError: a report cannot be written.
    """
    record = store.load(run_directory)
    if journal.alive(run_directory):
        return record
    directory.require_writable(run_directory)
    if record.state == "running" and (run_directory / journal.FILE).exists():
        record = record.model_copy(update={"state": "aborted"})
        note = database.note_of(record, run_directory.resolve().parent)
        notes = [*record.notes, _KILLED, *([] if note is None else [note])]
        record = record.model_copy(update={"notes": notes})
    write_all(record, run_directory, latest=False)
    journal.remove(run_directory)
    return record


def settle_killed(runs: Path) -> Iterator[str]:
    """Rebuilds the reports of runs below a directory that were killed; a line for each."""
    for path in sorted(runs.glob(f"*/{journal.FILE}")):
        run = path.parent
        if run.is_symlink() or journal.alive(run):
            continue
        with contextlib.suppress(HarnessError, OSError):  # it can be tried by hand
            rebuild(run)
            yield f"{run.name}: its driver was killed; its reports have what had ended by then"
