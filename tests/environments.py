"""Real environments of the flavors, made once by the venv engine from the lock files."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import pytest

from harness.base.error import HarnessError
from harness.catalog import catalog
from harness.engine.venv.engine import VenvEngine
from tests.paths import ROOT


@functools.cache
def python_of(flavor: str) -> str | HarnessError:
    """The interpreter of a flavor's environment, or why there is none."""
    (found,) = catalog.load(ROOT).select([flavor]).flavors
    try:
        engine = VenvEngine(ROOT / ".cache")
        return engine.prepare(found, "virtual", print, threading.Event()).handle
    except HarnessError as problem:
        return problem


def needs_environments(*flavors: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Marks a test that runs these flavors' real frameworks; skipped where one cannot be had."""

    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(test)
        def checked(*arguments: Any, **options: Any) -> Any:
            for flavor in flavors:
                found = python_of(flavor)
                if isinstance(found, HarnessError):
                    pytest.skip(f"{flavor}: {found}")
            return test(*arguments, **options)

        return checked

    return decorate
