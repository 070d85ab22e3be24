"""Which tasks are compared with each other, in one case or in several that share some. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from harness.plan.plan import Case


def partners(cases: Iterable[Case]) -> dict[str, str]:
    """By the key of a task, a key that is the same for all tasks that have to do with it.

    Two tasks have to do with each other when a case rests on both.
    """
    above: dict[str, str] = {}

    def top(key: str) -> str:
        while above.setdefault(key, key) != key:
            above[key] = above[above[key]]  # half as far the next time
            key = above[key]
        return key

    for case in cases:
        for key in case.keys:
            above[top(key)] = top(case.keys[0])
    return {key: top(key) for key in above}
