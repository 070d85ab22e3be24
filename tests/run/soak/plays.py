"""Phases that are not the same in every repeat, for an engine that plays them."""

from __future__ import annotations

import json
from collections.abc import Callable

from harness.engine.protocol import Exit, Launch
from harness.record.models import Outcome
from tests.engines import Play
from tests.run.test_run import good

LOAD = "test-flavor.basic.save-predict.load"


class Numbered:
    """Plays phases well, then does `then` with the number of the repeat; one phase at a time."""

    def __init__(self, then: Callable[[int, Launch], Exit | None]) -> None:
        self._then = then
        self._runs: list[str] = []

    def __call__(self, launch: Launch) -> Exit | None:
        if launch.run_id not in self._runs:
            self._runs.append(launch.run_id)
        good(launch)
        return self._then(len(self._runs), launch)


def measuring(*values: float) -> Play:
    """The phase that saves reports another number in each repeat; the last one from then on."""

    def then(number: int, launch: Launch) -> None:
        if launch.key.endswith(".save"):
            value = values[min(number, len(values)) - 1]
            marker = {"event": "metric", "name": "noise", "value": value}
            with (launch.logs / "stdout.log").open("a") as log:
                log.write(f":::LMS {json.dumps(marker)}\n")

    return Numbered(then)


def failing(*repeats: int) -> Play:
    """A phase that loads ends with exit code 1 in these repeats."""

    def then(number: int, launch: Launch) -> Exit | None:
        if launch.key == LOAD and number in repeats:
            return Exit(Outcome.FAILED, 1, "exit code 1")
        return None

    return Numbered(then)
