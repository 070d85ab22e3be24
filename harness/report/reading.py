"""A run as its reports read it: what several of them need is gathered once."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from harness.record.models import PhaseRecord, RunRecord
from harness.report import overview
from harness.report.attachments import RunFiles, project_directory
from harness.report.overview import Overview
from harness.report.totals import Totals, total


class Reading:
    """A record and its run directory, with what is derived from them.

    Each is made when it is first asked for. What cannot be made raises for everyone that asks, so
    that each report deals with it as if it were alone.
    """

    def __init__(self, record: RunRecord, run_directory: Path) -> None:
        self.record = record
        self.run_directory = run_directory

    @cached_property
    def phases(self) -> dict[str, PhaseRecord]:
        """The run's phases by key."""
        return {phase.key: phase for phase in self.record.phases}

    @cached_property
    def counts(self) -> Totals:
        """The counts over the run."""
        return total(self.record)

    @cached_property
    def overview(self) -> Overview:
        """What a summary of the run shows."""
        return overview.gather(self.record, self.counts, self.phases)

    @cached_property
    def files(self) -> RunFiles:
        """The files below the run directory, as they are when each is first looked at."""
        return RunFiles(self.run_directory, project_directory())
