"""A kill as it is drawn: what is killed, when in the life of a run, by which signal."""

from __future__ import annotations

import random
import signal
from dataclasses import dataclass

STAGES = ("set-up", "build", "running", "reporting")

# What there is to kill on each engine, and in which stages of a run it is alive.
TARGETS: dict[str, dict[str, tuple[str, ...]]] = {
    "venv": {
        "driver": STAGES,
        "phase": ("running",),
        "fork server": ("running",),
        "supervisor": ("build", "running"),
        "build": ("build",),
    },
    "docker": {
        "driver": STAGES,
        "phase": ("running",),
        "container": ("running",),
        "daemon": STAGES,
        "build": ("build",),
    },
}
ENGINES = tuple(TARGETS)

# The second one, where there are two, comes while the first is being obeyed.
SIGNALS: dict[str, tuple[signal.Signals, ...]] = {
    "SIGKILL": (signal.SIGKILL,),
    "SIGTERM": (signal.SIGTERM,),
    "SIGHUP": (signal.SIGHUP,),
    "SIGINT twice": (signal.SIGINT, signal.SIGINT),
}


@dataclass(frozen=True)
class Kill:
    """One kill.

    Attributes:
        stage: the part of the run's life in which it comes.
        moment: where in that part, from 0 to 1.
        choice: which one, where several of that target are alive, from 0 to 1.
        name: of the signal, in `SIGNALS`.
    """

    seed: int
    engine: str
    target: str
    stage: str
    moment: float
    choice: float
    name: str

    @property
    def signals(self) -> tuple[signal.Signals, ...]:
        """What is sent, one after the other."""
        return SIGNALS[self.name]


def draw(seed: int, engine: str) -> Kill:
    """The kill of a seed on an engine, always the same one."""
    numbers = random.Random(f"{engine} {seed}")
    places = [(target, stage) for target, stages in TARGETS[engine].items() for stage in stages]
    target, stage = numbers.choice(places)
    return Kill(
        seed=seed,
        engine=engine,
        target=target,
        stage=stage,
        moment=numbers.random(),
        choice=numbers.random(),
        name=numbers.choice(list(SIGNALS)),
    )
