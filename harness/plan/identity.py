"""What results follow from, as digests: of a whole run (its basis), and of one phase. Pure.

Two phases with one identity are the same execution of the same thing: the result of one may stand
for that of the other. Whoever reads files gives their digests (`resumption.digests`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from harness.plan.plan import Case, Plan, Task
from harness.plan.scale import VARIABLE

# Where a task runs, and not what it is: which others there are beside it depends on the selection.
_PLACE = ("group",)
# Of an environment: how it was found on this machine, and where.
_FOUND = ("python found by", "packages file", "environment")
# What a phase follows from beside its task and its environment; verdicts follow from more.
_OUTSIDE = ("scripts", "data", "providers", "engine", "accelerator")


def basis(plan: Plan, outside: Mapping[str, str], engine: str, accelerator: str) -> dict[str, str]:
    """What the results of a run follow from, by name: runs of one basis are of one thing.

    Args:
        plan: the whole one, before shards are made of it.
        outside: digests of what is no part of it, by name.
        accelerator: "gpu" or "virtual".
    """
    scales = {task.variables.get(VARIABLE, "1") for task in plan.tasks.values()}
    return {
        "plan": _digest(
            [[_plain(task) for task in plan.tasks.values()], [_case(case) for case in plan.cases]]
        ),
        "parameters": json.dumps(dict(plan.parameters), sort_keys=True),
        "batch scales": " ".join(sorted(scales, key=lambda scale: (len(scale), scale))),
        "engine": engine,
        "accelerator": accelerator,
        **outside,
    }


def identities(
    plan: Plan,
    basis: Mapping[str, str],
    environments: Mapping[str, Mapping[str, str]],
    place: Mapping[str, object],
) -> dict[str, str]:
    """The identity of each task's execution: SHA-256 over all that it follows from.

    That is its task, scripts, data, providers' files, its environment, engine, where it runs as far
    as numbers may differ with it, and what its input follows from.

    Args:
        basis: see `basis`; what is in none is the same everywhere.
        environments: by flavor what is known of it, as its provenance says; a task whose
            flavor is not there has no identity.
        place: the GPU's and the processor's model, and the threads that a phase may use.
    """
    outside = {name: basis.get(name, "") for name in _OUTSIDE}
    places = {
        flavor: {name: value for name, value in facts.items() if name not in _FOUND}
        for flavor, facts in environments.items()
    }
    found: dict[str, str] = {}
    for task in plan.tasks.values():
        if task.flavor in places and (task.input is None or task.input in found):
            above = None if task.input is None else found[task.input]
            found[task.key] = _digest(
                [_plain(task), outside, places[task.flavor], dict(place), above]
            )
    return found


def _plain(task: Task) -> dict[str, Any]:
    return {name: value for name, value in asdict(task).items() if name not in _PLACE}


def _case(case: Case) -> dict[str, Any]:
    return {
        "id": case.id,
        "uses": [use.model_dump(mode="json") for use in case.uses],
        "skip": case.skip,
        "known": [f"{entry.defect.id} {entry.check.value} {entry.message}" for entry in case.known],
        "scenario": case.scenario.model_dump(mode="json"),
    }


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
