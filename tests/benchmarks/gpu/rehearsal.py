"""A checkout in which a day with a GPU is rehearsed: the NVML test library, and scripts that play.

The driver, the benchmarks, the engine and the interpreter of the phases are real. The scripts have
no framework: they play a training step on the GPU of the test library, one that swaps as it should.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil

from benchmarks.gpu import steps
from harness.plan import sensitivity
from tests import fake_nvml, played_gpus, wheels
from tests.paths import ROOT
from tests.projects import lay_out

_SCENARIO = """
[[scenario]]
id = "{name}"
description = "save, then load"
activations_mib = 1024
restores = ["weights"]
{more}
[[scenario.phase]]
id = "save"
script = "keras_saveload/save.py"
role = "train"

[[scenario.phase]]
id = "load"
script = "keras_saveload/load.py"
role = "train"
{load}
"""
_RESUMED = "backup-restore_train"
_STRAIGHT = 'straight = { script = "keras_saveload/predict.py" }'
_OFF = {
    "more": 'expects = "lms_edited_graph"\ncaught_in = "load"\ncontrol = false',
    "load": 'lms = "off"',
}
_SAVELOAD = dict.fromkeys((*steps.SAVELOAD, steps.SCENARIO, sensitivity.BASE))
_FAMILIES = {
    "keras_saveload": "".join(
        _SCENARIO.format(name=name, more=_STRAIGHT if name == _RESUMED else "", load="")
        for name in _SAVELOAD
    ),
    "canary": "".join(_SCENARIO.format(name=name, **_OFF) for name in steps.CANARIES),
}

# A batch takes 900 MiB; where it swaps 300, and 550 in host memory. Each of two steps swaps 300 MiB
# out and in, in 20 swaps. 100 MiB are the context's.
_SCRIPT = (
    played_gpus.PLAYS
    + """
import re

swapped = os.environ["LMS_PROVIDER"] != "off"
scale = int(os.environ.get("BATCH_SCALE", "1"))
ceiling = int(os.environ.get("MEMORY_CEILING", "0")) >> 20
lost = re.match("swaps_lost:([0-9]+)", os.environ.get("LMS_FAULT", ""))
part = 1 - int(lost.group(1)) / 100 if lost else 1
moved = int(300 * scale * part)
held = (900 - 600 * part if swapped else 900) * scale
stage = "restored" if "INPUT_DIR" in os.environ else "saved"

def live(used, sent):
    total = sent_before + (sent << 20)
    text = "used %d\\ntx %d\\nrx %d\\n" % (int(used) << 20, total, total)
    if used > 100:
        text += "process %d %d\\n" % (os.getpid(), int(used) << 20)
    write_live(text)

mark("environment", versions={"stand-in": "1"}, data="none")
live(100, 0)
sampled(2)
if ceiling and held - 50 > ceiling:
    live(100 + ceiling, 0)
    sampled(2)
    live(100, 0)
    sys.exit("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 900 MiB")
count = int(20 * part) if swapped else 0
if swapped:
    mark("lms_edited", provider="builtin", operations=2 * count, swap_out=count, swap_in=count,
         bytes_out=moved << 20, bytes_in=moved << 20, ms=1.0)
for moment in (stage, "final"):
    mark("digest", of="weights", stage=moment, sha256="a" * 64)
live(held, 2 * moved if swapped else 10)
sampled(20)
for epoch in {"save.py": [1], "load.py": [2]}.get(os.path.basename(sys.argv[0]), [1, 2]):
    mark("metric", name="loss", value=0.5, epoch=epoch, split="train")
live(100, 2 * moved if swapped else 10)
mark("trace", function="train", batch=8, meter="allocations", steps=2, swap_out=count,
     swap_in=count, bytes_out=(moved << 20) if swapped else 0,
     bytes_in=(moved << 20) if swapped else 0, peak_accelerator=int(held - 50) << 20,
     peak_host=int(550 * scale * part) << 20 if swapped else 0, step_ms=15.0 if swapped else 10.0)
mark("done")
open(os.path.join(os.environ["OUTPUT_DIR"], "model"), "w").write("weights")
"""
)
# An interpreter that answers what the harness asks it, and hangs with every phase.
_HANGS = """#!/bin/sh
case "$1" in -c) exec {python} "$@" ;; esac
exec sleep 600
"""


class Rehearsal:
    """A checkout below `directory` and the GPU that is played in it; what came back is in `out`."""

    def __init__(self, directory: Path, library: Path) -> None:
        self.root = directory / "checkout"
        self.out = directory / "out"
        self.work = self.root / ".cache" / "gpu-day"
        live = directory / "live"
        fake_nvml.write_live(live, 100 * fake_nvml.MIB)
        flavor = played_gpus.flavor(LIVE_FILE=live)
        lay_out(
            self.root,
            flavors=dict.fromkeys(steps.FLAVORS.values(), flavor),
            families=_FAMILIES,
            scripts=dict.fromkeys(("save.py", "load.py", "predict.py"), _SCRIPT),
        )
        for name in ("harness", "benchmarks"):
            _copy(ROOT / name, self.root / name)
        # The probes import them.
        for name in ("common", "frameworks", "meters", "providers"):
            _copy(ROOT / "scenarios" / name, self.root / "scenarios" / name)
        (self.root / ".whl").mkdir()
        wheels.wheel(self.root / ".whl", "carried", "1.0")
        # Its own: a lease on a GPU is of the whole machine.
        uuid = f"GPU-{uuid4()}"
        gpu = fake_nvml.Gpu(uuid, name="Played GPU", total=80 * fake_nvml.GIB)
        scenario = fake_nvml.Scenario([gpu], live=live).write(directory / "scenario")
        self._variables = {
            **fake_nvml.environment(library, scenario),
            "PYTHONPATH": "",
            "OUT": str(self.out),
        }

    def hanging(self) -> str:
        """An interpreter whose phases never end."""
        path = self.root / "hangs"
        path.write_text(_HANGS.format(python=sys.executable))
        path.chmod(0o755)
        return str(path)

    def start(self, *words: str, **variables: str) -> subprocess.Popen[str]:
        """Starts the day."""
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks.gpu.day", "--goal-mib=1000", *words],
            cwd=self.root,
            env={**self._variables, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def day(self, *words: str, **variables: str) -> tuple[int, str]:
        """Runs the day to its end; its exit code, and what it printed."""
        process = self.start(*words, **variables)
        try:
            output, _ = process.communicate(timeout=400)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return process.returncode, output

    def end(self) -> None:
        """Ends what a day that was killed has left running; its own are known by their folder."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("OUT") == str(self.out):
                    process.kill()

    @property
    def summary(self) -> str:
        """The one screen that came back."""
        return (self.out / "summary.txt").read_text(encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    left: Any = shutil.ignore_patterns("__pycache__")
    shutil.copytree(source, target, ignore=left, dirs_exist_ok=True)
