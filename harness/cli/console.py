"""The terminal: live progress where there is one, plain lines where there is none."""

from __future__ import annotations

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

_POLL_S = 0.2


class ConsoleObserver:
    """Shows a run as it goes.

    Args:
        follow: print the phases' own logs while they run (one phase at a time).
    """

    def __init__(self, console: Console, follow: bool = False) -> None:
        self._console = console
        self._follow = follow
        self._progress: Progress | None = None
        self._row: TaskID | None = None
        self._total = 0
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

    def begin(self, total: int) -> None:
        """Starts the progress bar."""
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
            self._row = self._progress.add_task("phases", total=total, active="")
            self._progress.start()

    def phase_started(self, task: Task, logs: Path) -> None:
        """Shows that a phase runs."""
        with self._lock:
            self._active[task.key] = time.monotonic()
            self._refresh()
            if self._follow:
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
            width = len(str(self._total))
            seconds = "" if record.duration_s is None else f"{record.duration_s:6.1f} s"
            reason = f"  {record.reason}" if record.reason else ""
            self.message(
                f"[{self._ended:{width}}/{self._total}] {record.outcome.value:<9} {seconds:>8}"
                f"  {record.key}{reason}"
            )

    def case_judged(self, record: CaseRecord) -> None:
        """Prints what did not pass as soon as it is known."""
        for check in record.checks:
            if check.status in (Status.FAILED, Status.ERROR):
                style = "red" if check.status is Status.FAILED else "yellow"
                self._console.print(
                    f"[{style}]{check.status.value}[/] {record.id}: {check.id.label}: "
                    + escape(one_line(check.message)),
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
        self._paths = [logs / "stdout.log", logs / "stderr.log"]
        self._offsets = [0, 0]
        self._rests = [b"", b""]
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="tail", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._thread.join()
        self._print(last=True)

    def _loop(self) -> None:
        while not self._end.wait(_POLL_S):
            self._print()

    def _print(self, last: bool = False) -> None:
        for index, path in enumerate(self._paths):
            try:
                with path.open("rb") as stream:
                    stream.seek(self._offsets[index])
                    chunk = stream.read(2**20)
            except OSError:
                continue
            self._offsets[index] += len(chunk)
            lines = (self._rests[index] + chunk).split(b"\n")
            self._rests[index] = b"" if last else lines.pop()[-(2**16) :]
            for line in lines:
                if line.strip():
                    text = clean(line.decode("utf-8", "replace"))
                    self._console.print(escape(text), highlight=False, soft_wrap=True)
