"""A day with a GPU, in one command that ends by itself: install, look, prove, run, pack.

    OUT=FOLDER python3 -m benchmarks.gpu.day [STEP | STEP=SECONDS]...

Run it in the project's root, with the Python that has torch and jax; `.whl` is there. A step that
fails or runs out of its time stops none after it, and what is known is packed after each. Imports
nothing but the standard library: `install` is a step.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

from benchmarks.gpu import box, summary
from benchmarks.gpu.pack import SUMMARY, pack
from benchmarks.gpu.steps import (
    FLAVORS,
    GOAL_MIB,
    SCENARIO,
    STAND_IN,
    Settings,
    Step,
    chosen,
    steps,
)

ROOT = Path(__file__).resolve().parents[2]
LOG = "day.log"
SECONDS = 475.0
# At the end: from TERM to KILL of the last step, then the last packing.
RESERVE_S = box.GRACE_S + 6
LEAST_S = 6.0


def _stand_in(flavor: str) -> str:
    """The variable by which the harness is told the interpreter of a flavor's phases."""
    return "PYTHON_" + flavor.replace("-", "_")


JAX = _stand_in(FLAVORS["jax"])


class Day:
    """The steps of one call, within one time."""

    def __init__(self, settings: Settings, seconds: float, out: Path) -> None:
        self._settings = settings
        self._began = time.monotonic()
        self._seconds = seconds
        self._out = out
        self._log = (out / LOG).open("a", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()
        self._codes: dict[str, int] = {}
        self._watcher: subprocess.Popen[bytes] | None = None
        self.stop = threading.Event()
        self._own_jax = JAX not in os.environ
        for flavor in FLAVORS.values():
            os.environ.setdefault(_stand_in(flavor), settings.python)

    def run(self, wanted: list[Step]) -> int:
        """Runs the steps and prints the summary; 0 where all ended so."""
        try:
            for step in wanted:
                self._run(step)
        finally:
            if self._watcher is not None:
                self._watcher.kill()
                self._watcher.wait()
            self._pack()
        self._say(f"\n== summary, after {self._elapsed:.0f} s\n")
        with suppress(OSError):
            self._say((self._out / SUMMARY).read_text(encoding="utf-8"))
        for path in sorted(self._out.iterdir()):
            self._say(f"{path.stat().st_size:>12,} {path.name}\n")
        return 0 if not any(self._codes.values()) else 1

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _run(self, step: Step) -> None:
        left_s = self._seconds - RESERVE_S - self._elapsed
        reason = step.reason_against(self._codes)
        if self.stop.is_set():
            reason = "stopped"
        elif left_s < LEAST_S:
            reason = "no time is left"
        if reason:
            word = f"{summary.NOT_BEGUN}, {reason}"
            self._say(f"== {step.name}: {word}\n")
            self._note(step.name, word, 0.0)
            return
        limit_s = min(step.limit_s, left_s)
        self._say(f"\n== {step.name}: begun at {self._elapsed:.0f} s, at most {limit_s:.0f} s\n")
        self._stand_ins()
        if step.name != "install":
            self._watch()
        log = self._settings.work / "logs" / f"{step.name}.log"
        ended = box.run(step.command, limit_s, log, self._say, self.stop, step.variables)
        self._codes[step.name] = ended.code
        self._say(f"== {step.name}: {ended.word} after {ended.seconds:.0f} s\n")
        self._note(step.name, ended.word, ended.seconds)
        self._pack()

    def _stand_ins(self) -> None:
        """Interpreters for the phases of keras3-jax: with variables that sanity found them to lack,
        and with the flags that are tried."""
        work = self._settings.work
        found = work / "sanity" / STAND_IN
        if self._own_jax and found.is_file():
            os.environ[JAX] = str(found)
        with_flags = work / "python-jax-flags"
        words = f"XLA_FLAGS={shlex.quote(self._settings.xla_flags)}"
        python = shlex.quote(os.environ[JAX])
        with_flags.write_text(f'#!/bin/sh\n{words} exec {python} "$@"\n', encoding="utf-8")
        with_flags.chmod(0o755)

    def _watch(self) -> None:
        """Starts what NVML says once a second, beside everything; once."""
        work = self._settings.work
        if self._watcher is not None or not Path(self._settings.python).exists():
            return
        command = [self._settings.python, "-m", "benchmarks.gpu.watch", str(work / "watch.csv")]
        with (work / "logs" / "watch.log").open("wb") as log:
            self._watcher = subprocess.Popen(
                [*command, self._settings.gpu], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _pack(self) -> None:
        try:
            pack(self._settings.work, self._out)
        except OSError as problem:  # a full disk: the next step may still be seen
            self._say(f"PROBLEM: nothing could be packed: {problem}\n")

    def _note(self, name: str, word: str, seconds: float) -> None:
        entry = {"name": name, "word": word, "seconds": round(seconds, 1)}
        with (self._settings.work / summary.STEPS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def _say(self, text: str) -> None:
        with self._lock:
            self._log.write(text)
            with suppress(OSError):  # whoever read it has gone
                sys.stdout.write(text)
                sys.stdout.flush()


def main() -> int:
    """The command; returns 0, 1 where a step did not end with 0, 4 for a wrong call."""
    options = _options()
    settings = Settings(
        work=options.work.absolute(),
        image=sys.executable,
        gpu=options.gpu,
        scenario=options.scenario,
        goal_mib=options.goal_mib,
        xla_flags=options.xla_flags,
    )
    try:
        wanted = chosen(steps(settings), options.steps)
    except ValueError as problem:
        print(f"day: {problem}", file=sys.stderr)
        return 4
    if options.out is None:
        print("day: OUT, or --out, has to name the folder for what comes back", file=sys.stderr)
        return 4
    if not Path(settings.python).exists() and wanted[0].name != "install":
        wanted = [*chosen(steps(settings), ["install"]), *wanted]
    for directory in (options.out, settings.work / "logs", settings.reports, settings.flags):
        directory.mkdir(parents=True, exist_ok=True)
    os.chdir(ROOT)
    os.environ.update(PYTHONUNBUFFERED="1", PYTHONIOENCODING="utf-8", COLUMNS="160")
    day = Day(settings, options.seconds, options.out)

    def stop(number: int, frame: FrameType | None) -> None:
        day.stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    return day.run(wanted)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks.gpu.day", description=__doc__.partition("\n")[0], allow_abbrev=False
    )
    out, seconds = os.environ.get("OUT") or None, os.environ.get("GPU_DAY_S", SECONDS)
    parser.add_argument("steps", nargs="*", metavar="STEP", help="all, in their order, without one")
    parser.add_argument("--out", type=_folder, default=out, help="folder for what comes back: OUT")
    parser.add_argument("--seconds", type=float, default=seconds, help="for everything: GPU_DAY_S")
    parser.add_argument("--scenario", default=SCENARIO, help="what is proven")
    parser.add_argument("--goal-mib", type=int, default=GOAL_MIB, help="as of `harness prove`")
    parser.add_argument("--gpu", default="0")
    parser.add_argument("--xla-flags", default="", help="to try: they make prove-jax-flags a step")
    parser.add_argument("--work", type=_folder, default=ROOT / ".cache" / "gpu-day")
    return parser.parse_args()


def _folder(text: str) -> Path:
    return Path(text).absolute()


if __name__ == "__main__":
    sys.exit(main())
