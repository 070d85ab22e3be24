"""Repeats a plan, each time as a run of its own, and keeps what differs between the repeats."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timezone
from pathlib import Path

from harness.base import atomic
from harness.base import directory as directories
from harness.base.error import StoppedError
from harness.base.signals import stop_signals
from harness.base.text import clean, plural
from harness.engine.protocol import Engine
from harness.measure.gpu import Gpu
from harness.plan.plan import Plan
from harness.record import store
from harness.record.checks import Number
from harness.record.models import RunRecord
from harness.report import overview, totals
from harness.report.files import reports
from harness.run import run
from harness.run.phase import Observer, utc
from harness.run.settings import Settings
from harness.run.soak import soak
from harness.run.soak.extract import Extract, extract
from harness.run.soak.soak import Repeat, Soak

Watch = Callable[[int], AbstractContextManager[Observer]]
"""The observer of a repeat, by the repeat's number."""


def repeat(
    plan: Plan, engine: Engine, settings: Settings, gpus: Sequence[Gpu], watch: Watch, repeats: int
) -> tuple[Soak, Path]:
    """Runs a plan several times, or until SIGINT or SIGTERM, and compares the runs.

    The directory of a repeat goes when the repeat passed and all was as in the first one, unless
    artifacts are to be kept.

    Args:
        repeats: how often; at least once.

    Returns:
        What was found, and its file `soak-<id>.json` below the reports. A repeat that did not run
        to its end is not compared.

    Raises:
        CrashError: a bug of the harness ended a repeat; what was known by then is stored.
        HarnessError, OSError: a repeat could not go on, as on a full disk; likewise.
    """
    comparison = _Comparison(plan, engine, settings, gpus, repeats)
    cancel = threading.Event()
    stopped = False
    try:
        with stop_signals(cancel):
            for number in range(1, repeats + 1):
                with watch(number) as observer:
                    record, place = run.execute(plan, engine, settings, gpus, observer)
                    stopped = record.state == "interrupted"
                    if not stopped:
                        observer.message(comparison.take(number, record, place))
                if stopped or cancel.is_set():
                    break
    except (KeyboardInterrupt, StoppedError):
        stopped = True
    except BaseException:
        # The first problem is the one to be told.
        with contextlib.suppress(OSError):
            comparison.write("aborted")
        raise
    return comparison.write("interrupted" if stopped or cancel.is_set() else "finished")


class _Comparison:
    """What is known of the repeats: the first one's values, and what deviates in each later one."""

    def __init__(
        self, plan: Plan, engine: Engine, settings: Settings, gpus: Sequence[Gpu], repeats: int
    ) -> None:
        now = datetime.now(timezone.utc)
        self._reports = settings.reports
        self._keep = settings.keep
        self._first: Extract | None = None
        self._verdicts: list[Mapping[str, Number]] = []
        self._numbers: list[Mapping[str, Number]] = []
        self._latest: Path | None = None  # directory of the last repeat that is kept
        self._soak = Soak(
            id=store.new_id(now),
            state="running",
            started=utc(now),
            command=clean(settings.command),
            engine=engine.name,
            accelerator="gpu" if gpus else "virtual",
            provider=plan.provider,
            parameters=dict(plan.parameters),
            planned=repeats,
            cases=len(plan.cases),
            phases=len(plan.tasks),
        )

    def take(self, number: int, record: RunRecord, place: Path) -> str:
        """Takes in a repeat that ran to its end; returns what to say of it, in one line."""
        code = totals.exit_code(record)
        found = extract(record)
        differing = 0
        if self._first is None:
            self._first = found
        else:
            self._verdicts.append(soak.deviations(self._first.verdicts, found.verdicts))
            self._numbers.append(soak.deviations(self._first.numbers, found.numbers))
            differing = len(self._verdicts[-1]) + len(self._numbers[-1])
        unneeded = number > 1 and code == 0 and not differing and not self._keep
        entry = Repeat(
            number=number,
            run=record.id,
            exit_code=code,
            differing=differing,
            directory=None if unneeded else place.name,
        )
        self._update(entry, found)
        self.write("running")
        if unneeded:
            self._remove(place)
        else:
            self._latest = place
        return self._words(entry, record)

    def _words(self, entry: Repeat, record: RunRecord) -> str:
        headline = overview.gather(record).headline
        text = f"repeat {entry.number} of {self._soak.planned}: {headline.word}: {headline.checks}"
        if entry.number > 1:
            text += (
                "; as the first"
                if not entry.differing
                else (f"; {plural(entry.differing, 'value')} not as in the first")
            )
        return text if entry.directory is None else f"{text}; {self._reports / entry.directory}"

    def _update(self, entry: Repeat, found: Extract) -> None:
        assert self._first is not None
        self._soak = self._soak.model_copy(
            update={
                "repeats": [*self._soak.repeats, entry],
                "verdicts": soak.differences(self._first.verdicts, self._verdicts),
                "numbers": soak.differences(self._first.numbers, self._numbers),
                "times": sorted(found.times.union(self._soak.times)),
                "samples": sorted(found.samples.union(self._soak.samples)),
            }
        )

    def _remove(self, place: Path) -> None:
        """Removes a run; the link to the latest one must not lead nowhere then."""
        link = self._reports / reports.LATEST
        if self._latest is not None and link.resolve() == place.resolve():
            atomic.link(link, self._latest.name)
        directories.remove(place)

    def write(self, state: str) -> tuple[Soak, Path]:
        """Writes `soak-<id>.json` with what is known.

        Raises:
            OSError: it cannot be written.
        """
        finished = None if state == "running" else utc()
        self._soak = self._soak.model_copy(update={"state": state, "finished": finished})
        path = self._reports / f"soak-{self._soak.id}.json"
        return self._soak, atomic.write(path, self._soak.model_dump_json(indent=1) + "\n")
