"""The plan as a person or a machine reads it: lists, one scenario in full, the README's table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.plan.plan import Plan


def entries(plan: Plan) -> list[dict[str, Any]]:
    """Every case as plain data, for `harness list`."""
    return [
        {
            "flavor": case.flavor.id,
            "family": case.scenario.family,
            "scenario": case.scenario.id,
            "description": case.scenario.description,
            "phases": [use.key for use in case.uses],
            "controls": [use.control for use in case.uses if use.control],
            "expects": case.scenario.expects.value if case.scenario.expects else None,
            "skip": case.skip,
        }
        for case in plan.cases
    ]


def description(plan: Plan) -> Iterator[str]:
    """Every case in full, for `harness describe`."""
    scenarios = {(case.scenario.family, case.scenario.id): case.scenario for case in plan.cases}
    for scenario in scenarios.values():
        yield f"{scenario.family} / {scenario.id}: {scenario.description}"
        if scenario.expects is not None:
            yield f"  a canary: passes when the check '{scenario.expects.label}' fails"
        if scenario.restores:
            yield f"  compared between save and load: {', '.join(scenario.restores)}"
        for case in plan.cases:
            if case.scenario is not scenario:
                continue
            yield f"  {case.flavor.id}: {case.flavor.description}"
            if case.skip:
                yield f"    skipped: {case.skip}"
            for use in case.uses:
                task = plan.tasks[use.key]
                shared = "" if task.key.endswith(f".{scenario.id}.{use.name}") else " (shared)"
                variables = " ".join(f"{key}={value}" for key, value in task.variables.items())
                yield f"    {use.name}: {task.script} [{task.role}] {variables}{shared}"
                if task.client:
                    yield f"      serves {task.client}"
                yield f"      runs as {task.key}, LMS {task.provider}, at most {task.timeout_s:g} s"
                if use.control:
                    yield f"      control {use.control}"


def table(plan: Plan) -> str:
    """The matrix as a Markdown table: a row a scenario, a column a flavor."""
    flavors = list(dict.fromkeys(case.flavor.id for case in plan.cases))
    rows: dict[tuple[str, str], dict[str, str]] = {}
    reasons: list[str] = []
    for case in plan.cases:
        cell = "yes" if case.scenario.expects is None else "caught"
        if case.skip is not None:
            if case.skip not in reasons:
                reasons.append(case.skip)
            cell = f"- ({reasons.index(case.skip) + 1})"
        row = rows.setdefault((case.scenario.family, case.scenario.id), {})
        row[case.flavor.id] = cell
    lines = [
        f"| family | scenario | {' | '.join(flavors)} |",
        f"| --- | --- | {' | '.join('---' for _ in flavors)} |",
    ]
    for (family, scenario), cells in rows.items():
        values = " | ".join(cells.get(flavor, "") for flavor in flavors)
        lines.append(f"| `{family}` | `{scenario}` | {values} |")
    lines.append("")
    lines += [f"({number}) skipped: {reason}" for number, reason in enumerate(reasons, 1)]
    return "\n".join(lines).rstrip() + "\n"
