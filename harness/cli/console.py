"""The terminal: live progress where there is one, plain lines where there is none."""

from __future__ import annotations

import codecs
import threading
import time
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from harness.base.text import clean, one_line
from harness.plan.plan import Task
from harness.record.checks import Status
from harness.record.models import CaseRecord, Outcome, PhaseRecord

_STYLES = {Status.FAILED: "red", Status.ERROR: "yellow", Status.KNOWN: "magenta"}
_POLL_S = 0.2
_CHUNK = 2**20  # bytes of a log that are read at a time
_LINE_LIMIT = 2**16  # characters of a line whose end is waited for


class ConsoleObserver:
    """Shows a run as it goes.

    Args:
        follow: print the phases' own logs while they run (one phase at a time).
        title: which run it is, where there are several; stands with all progress.
    """

    def __init__(self, console: Console, follow: bool = False, title: str = "") -> None:
        self._console = console
        self._follow = follow
        self._title = title
        self._progress: Progress | None = None
        self._row: TaskID | None = None
        self._total: int | None = None  # not known
        self._ended = 0
        self._active: dict[str, float] = {}
        self._tails: dict[str, _Tail] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> ConsoleObserver:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def message(self, text: str) -> None:
        """Prints a line above the progress bar."""
        self._console.print(escape(clean(text)), highlight=False, soft_wrap=True)

    def begin(self, total: int | None) -> None:
        """Starts the progress bar, which has no end where `total` is not known."""
        self._total = total
        if self._console.is_terminal and not self._follow:
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("[dim]{task.fields[active]}"),
                console=self._console,
                transient=True,
            )
            self._row = self._progress.add_task(self._title or "phases", total=total, active="")
            self._progress.start()

    def phase_started(self, task: Task, logs: Path) -> None:
        """Shows that a phase runs."""
        with self._lock:
            self._active[task.key] = time.monotonic()
            self._refresh()
            if self._follow:
                earlier = self._tails.pop(task.key, None)  # of an attempt that does not count
                if earlier is not None:
                    earlier.stop()
                self._console.rule(f"{task.key}", style="dim")
                self._tails[task.key] = _Tail(self._console, logs)

    def phase_finished(self, record: PhaseRecord) -> None:
        """Counts the phase; prints a line for it when there is no live display, or it failed."""
        with self._lock:
            tail = self._tails.pop(record.key, None)
            if tail is not None:
                tail.stop()
            self._active.pop(record.key, None)
            self._ended += 1
            self._refresh()
        if self._progress is None or record.outcome is not Outcome.COMPLETED:
            seconds = "" if record.duration_s is None else f"{record.duration_s:6.1f} s"
            reason = f"  {record.reason}" if record.reason else ""
            reason += f"  (attempt {len(record.attempts) + 1})" if record.attempts else ""
            title = f"{self._title} " if self._title else ""
            outcome = "taken over" if record.taken_from else record.outcome.value
            count = f"{self._ended}"
            if self._total is not None:
                count = f"{self._ended:{len(str(self._total))}}/{self._total}"
            self.message(f"{title}[{count}] {outcome:<9} {seconds:>8}  {record.key}{reason}")

    def case_judged(self, record: CaseRecord) -> None:
        """Prints what did not pass as soon as it has been judged."""
        for check in record.checks:
            style = _STYLES.get(check.status)
            if style is not None:
                message = check.message if check.defect is None else check.defect.text
                self._console.print(
                    f"[{style}]{check.status.value}[/] {record.id}: {check.id.label}: "
                    + escape(one_line(message)),
                    highlight=False,
                    soft_wrap=True,
                )

    def _refresh(self) -> None:
        if self._progress is not None and self._row is not None:
            active = ", ".join(key.partition(".")[2] for key in list(self._active)[:2])
            self._progress.update(self._row, completed=self._ended, active=active)


class _Tail:
    """Prints the growing logs of a phase, made safe for a terminal."""

    def __init__(self, console: Console, logs: Path) -> None:
        self._console = console
        self._logs = [_Growing(logs / name) for name in ("stdout.log", "stderr.log")]
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="tail", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._thread.join()
        for log in self._logs:
            while log.read():
                self._print(log.lines())
            self._print(log.lines(last=True))

    def _loop(self) -> None:
        while not self._end.wait(_POLL_S):
            for log in self._logs:
                log.read()
                self._print(log.lines())

    def _print(self, lines: list[str]) -> None:
        for line in lines:
            if line.strip():
                self._console.print(escape(clean(line)), highlight=False, soft_wrap=True)


class _Growing:
    """A log that grows, read piece by piece."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""  # read, and not handed out

    def read(self) -> bool:
        """Reads on, at most 1 MiB; whether there was anything."""
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._offset)
                chunk = stream.read(_CHUNK)
        except OSError:
            return False
        self._offset += len(chunk)
        self._text += self._decoder.decode(chunk)
        return bool(chunk)

    def lines(self, last: bool = False) -> list[str]:
        """The lines that were read; one without an end waits for it, unless it is the last.

        A line that is longer than a terminal can make use of is cut into several.
        """
        lines = self._text.split("\n")
        self._text = ""
        if last:
            return [*lines[:-1], lines[-1] + self._decoder.decode(b"", final=True)]
        if len(lines[-1]) <= _LINE_LIMIT:
            self._text = lines.pop()
        return lines
