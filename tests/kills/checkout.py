"""The small checkout that is killed: phases of a third of a second, builds that wait for wheels."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tests.kills.index import Index, Wheel
from tests.paths import ROOT
from tests.projects import FLAVOR, lay_out

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
# One starts its phases cold, the other forks them from a server.
COLD, WARM = "cold", "warm"
SERVING = "save-serve"  # the scenario with a phase that serves
_FLAVOR = FLAVOR.replace("3.11", PYTHON)
_PRELOAD = '\npreload = ["json"]\n\n[requirements]'

_FAMILY = """
[[scenario]]
id = "save-load"
description = "save, then load"
restores = ["weights"]

[[scenario.phase]]
id = "save"
script = "save.py"
role = "train"

[[scenario.phase]]
id = "load"
script = "load.py"
role = "train"

[[scenario]]
id = "save-serve"
description = "save, then serve"
restores = ["weights"]
control = false
state_only = true

[[scenario.phase]]
id = "save"
script = "save.py"
role = "train"

[[scenario.phase]]
id = "serve"
script = "serve.py"
client = "predict.py"
role = "predict"
"""

_SAY = """
import json, os, signal, socket, subprocess, sys, time

def say(event, **fields):
    print(":::LMS " + json.dumps(dict(fields, event=event)), flush=True)

"""
_TRAIN = (
    _SAY
    + """
# A worker with a session of its own, as a loader of data may leave it.
subprocess.Popen(["sleep", "600"], start_new_session=True)
swapped = os.environ["LMS_PROVIDER"] != "off"
moved, peak = (2, 40) if swapped else (0, 100)
if swapped:
    say("lms_edited", provider="builtin", operations=4, swap_out=2, swap_in=2, ms=3.0)
say("environment", versions={"stand-in": "1"}, data="none")
time.sleep(0.3)
say("digest", of="weights", stage="STAGE", sha256="a" * 64, tensors=8, bytes=64)
say("metric", name="loss", value=0.5, epoch=1, split="train")
say(
    "trace", function="train", batch=32, meter="allocations", swap_out=moved, swap_in=moved,
    bytes_out=moved * 2**20, bytes_in=moved * 2**20, peak_accelerator=peak * 2**20, peak_host=0,
)
with open(os.path.join(os.environ["OUTPUT_DIR"], "model.h5"), "w") as file:
    file.write("weights")
say("done")
"""
)
_SERVE = (
    _SAY
    + """
say("lms_edited", provider="builtin", operations=4, swap_out=2, swap_in=2, ms=3.0)
server = socket.create_server((os.environ["SERVER_HOST"], int(os.environ["SERVER_PORT"])))
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(say("done")))
say("environment", versions={"stand-in": "1"}, data="none")
say("digest", of="weights", stage="restored", sha256="a" * 64, tensors=8, bytes=64)
say("ready", port=server.getsockname()[1])
while True:
    server.accept()[0].close()
"""
)
_PREDICT = """
import os, socket, time
host, _, port = os.environ["SERVER_URL"].partition("://")[2].partition(":")
socket.create_connection((host, int(port.strip("/"))), 20).close()
time.sleep(0.2)
"""


class Checkout:
    """A checkout with two flavors, a family of four phases each, and an index for their wheels.

    Attributes:
        root: the checkout.
        reports, temporary: where its runs write, beside the cache in the checkout.
    """

    def __init__(self, work: Path, index: Index) -> None:
        """Lays it out below `work`."""
        self.root, self.reports = work / "checkout", work / "reports"
        self.temporary, self._home = work / "tmp", work / "home"
        self._index, self._number = index, 0
        for directory in (self.reports, self.temporary, self._home):
            directory.mkdir(parents=True)
        lay_out(
            self.root,
            flavors={COLD: _FLAVOR, WARM: _FLAVOR.replace("\n[requirements]", _PRELOAD)},
            families={"basic": _FAMILY},
            scripts={
                "save.py": _TRAIN.replace("STAGE", "saved"),
                "load.py": _TRAIN.replace("STAGE", "restored"),
                "predict.py": _PREDICT,
            },
        )
        (self.root / "scenarios" / "families" / "basic" / "serve.py").write_text(_SERVE)
        for path in (ROOT / "docker").iterdir():
            if path.is_file() and path.name != "bases.lock.toml":
                shutil.copy(path, self.root / "docker")
        self.renew()

    @property
    def cache(self) -> Path:
        """Where the harness keeps environments, scratch directories and logs of builds."""
        return self.root / ".cache"

    @property
    def places(self) -> tuple[Path, ...]:
        """All places that runs write to."""
        return self.cache, self.temporary, self.reports

    def renew(self) -> None:
        """Makes every environment and image of before one of other inputs: all is built again."""
        self._number += 1
        own, tools = Wheel("stand-in", self._number), Wheel("stand-in-build", self._number)
        self._index.serve([own, tools])
        docker = self.root / "docker"
        for flavor in (COLD, WARM):
            (docker / "flavors" / flavor / "requirements-cpu.txt").write_text(own.requirement)
        (docker / "requirements-build.txt").write_text(tools.requirement)
        shutil.rmtree(self.cache / "environments", ignore_errors=True)

    def command(self, engine: str, *flavors: str) -> list[str]:
        """The command that runs the matrix."""
        return [
            *(sys.executable, "-m", "harness", "--root", str(self.root), "run", "--gpu=none"),
            *(f"--engine={engine}", "--jobs=2", f"--reports={self.reports}"),
            *(f"--flavors={flavor}" for flavor in flavors),
        ]

    def variables(self) -> dict[str, str]:
        """The environment of that command: nothing of what this process was told of a run."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {
            **kept,
            "HOME": str(self._home),
            "TMPDIR": str(self.temporary),
            "PYTHONPATH": str(ROOT),
            f"PYTHON_{PYTHON.replace('.', '_')}": sys.executable,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": self._index.address,
            "UV_CACHE_DIR": str(self._home / "uv"),
        }
