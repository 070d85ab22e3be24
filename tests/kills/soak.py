"""Kills at random over both engines: a line for each, and what came of them as a table."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from tests.kills.index import Index
from tests.kills.kill import TARGETS, Kill, draw
from tests.kills.namespace import Namespace
from tests.kills.sides import DockerSide, Side, VenvSide
from tests.kills.trial import Result, Trial

_MISSES = 5  # kills that may hit nothing, for each that is asked for


def soak(
    engines: Sequence[str], number: int, seed: int, base: str, say: Callable[[str], None]
) -> list[Result]:
    """Kills `number` times, divided among the engines, which are at it side by side.

    Args:
        seed: of the first kill; the others count on from it, and each is drawn from its own.
        base: name of a base image, for the docker engine.
        say: gets a line for each kill, as it is known.

    Raises:
        RuntimeError: an engine does not work with no kill at all.
    """
    shares = [number // len(engines) + (k < number % len(engines)) for k in range(len(engines))]

    stop = threading.Event()

    def on(position: int) -> list[Result]:
        engine, share = engines[position], shares[position]
        seeds = itertools.count(seed + position, len(engines))
        with side_of(engine, base) as side:
            return list(_results(Trial(side), engine, seeds, share, say, stop)) if share else []

    with ThreadPoolExecutor(len(engines)) as pool:
        try:
            return [result for results in pool.map(on, range(len(engines))) for result in results]
        finally:
            stop.set()


@contextmanager
def side_of(engine: str, base: str) -> Iterator[Side]:
    """An engine with a checkout of its own, all of which is removed at the end."""
    work = Path(tempfile.mkdtemp(prefix="lms-harness-kills."))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, work, ignore_errors=True)
        if engine == "venv":
            side: Side = VenvSide(work, stack.enter_context(Index()))
        else:
            network = stack.enter_context(closing(Namespace()))
            with network.entered():
                index = Index()
            side = DockerSide(work, stack.enter_context(index), base, network)
        yield stack.enter_context(closing(side))


def _results(
    trial: Trial,
    engine: str,
    seeds: Iterator[int],
    share: int,
    say: Callable[[str], None],
    stop: threading.Event,
) -> Iterator[Result]:
    left = share
    for _, seed in zip(range(share * _MISSES), seeds, strict=False):
        result = trial.run(draw(seed, engine))
        if stop.is_set():
            return
        if result is None:
            continue
        say(result.line())
        yield result
        left -= 1
        if not left:
            return


def table(results: Sequence[Result]) -> Iterator[str]:
    """What came of the kills, by engine and target, then by kind of what was found."""
    kinds = sorted({kind for result in results for kind in result.kinds})
    yield "  ".join([f"{'engine':<6}  {'target':<11}  kills  recovered", *kinds])
    for engine, targets in TARGETS.items():
        for target in targets:
            chosen = [
                result
                for result in results
                if (result.kill.engine, result.kill.target) == (engine, target)
            ]
            if not chosen:
                continue
            good = sum(not result.found for result in chosen)
            counts = Counter(kind for result in chosen for kind in result.kinds)
            cells = [f"{counts[kind]:>{len(kind)}}" for kind in kinds]
            row = f"{engine:<6}  {target:<11}  {len(chosen):>5}  {good:>9}"
            yield "  ".join([row, *cells])
    good = sum(not result.found for result in results)
    yield f"{len(results)} kills, {good} recovered"


def again(kill: Kill) -> str:
    """The command that makes the same kill again."""
    return f"make soak-faults N=1 SEED={kill.seed} ENGINE={kill.engine}"
