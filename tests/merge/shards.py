"""Runs of shards by the scripted engine, and the run of the whole plan beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.catalog import catalog
from harness.engine.protocol import Exit, Launch
from harness.plan import identity, planner
from harness.plan.shards import Shard
from harness.run import run
from harness.run.portion import portion
from harness.run.settings import Settings
from tests.engines import ScriptedEngine, Silent
from tests.projects import FLAVOR, lay_out
from tests.run.test_run import good

OUTSIDE = {"scripts": "s", "data": "d", "harness": "h"}


def checkout(root: Path) -> Path:
    """A checkout with four flavors of two cases each: four bundles."""
    return lay_out(root, flavors={f"flavor-{number}": FLAVOR for number in range(4)})


def execute(
    root: Path,
    reports: Path,
    shard: Shard | None = None,
    play: Callable[[Launch], Exit | None] = good,
    missing: Mapping[str, Exception] | None = None,
    durations: Mapping[str, float] | None = None,
    outside: Mapping[str, str] | None = None,
    **changes: Any,
) -> Path:
    """Runs a shard, or the whole plan; the run's directory."""
    plan = planner.make(catalog.load(root))
    basis = identity.basis(plan, {**OUTSIDE, **(outside or {})}, "scripted", "virtual")
    settings = Settings(
        root=root, reports=reports, data=root, **{"jobs": 2, "basis": basis, **changes}
    )
    plan, settings = portion.of_shard(plan, settings, shard, durations or {}, None)
    return run.execute(plan, ScriptedEngine(play, missing), settings, None, Silent())[1]
