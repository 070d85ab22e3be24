"""Kills runs at random and looks at what is left: `make soak-faults`.

Takes SEED, N and ENGINE (venv, docker; by default both) from the environment. Exit code 0: all
recovered; 1: something was left; 4: it cannot be done here.
"""

from __future__ import annotations

import os
import random
import signal
import sys

from harness.base.error import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_PASSED, EXIT_USAGE, HarnessError
from harness.engine.docker.daemon import ERRORS
from tests.kills.kill import ENGINES
from tests.kills.soak import again, soak, table

_KILLS = 200


def main() -> int:
    """Runs it; returns the exit code."""
    engine = os.environ.get("ENGINE") or "auto"
    engines = ENGINES if engine == "auto" else (engine,)
    try:
        number = int(os.environ.get("N") or _KILLS)
        seed = int(os.environ.get("SEED") or random.randrange(10**6))
    except ValueError as problem:
        return _refuse(f"N and SEED are whole numbers: {problem}")
    if not set(engines) <= set(ENGINES) or number < 1 or seed < 0:
        return _refuse(f"ENGINE is one of {', '.join(ENGINES)}, N at least 1, SEED at least 0")
    base = os.environ.get("HARNESS_TEST_BASE_IMAGE", "lms-harness-test/python3")
    print(f"{number} kills from seed {seed} on {' and '.join(engines)}", flush=True)
    try:
        results = soak(engines, number, seed, base, lambda line: print(line, flush=True))
    except (*ERRORS, HarnessError, RuntimeError) as problem:
        return _refuse(str(problem))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    print()
    for line in table(results):
        print(line)
    bad = [result for result in results if result.found]
    for result in bad:
        print(f"\n{result.line()}\n  {again(result.kill)}")
        for thing in result.found:
            print(f"  {thing}")
    if len(results) < number:
        print(f"only {len(results)} of {number} kills hit something")
    return EXIT_FAILED if bad else EXIT_PASSED


def _refuse(reason: str) -> int:
    print(f"soak-faults: {reason}", file=sys.stderr)
    return EXIT_USAGE


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)  # daemons are ended, and their data removed
    sys.exit(main())
