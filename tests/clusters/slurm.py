"""A Slurm of one node, of Debian's packages, in a directory of its own; it takes root."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "sinfo", "squeue", "setpriv")
_PLACES = os.pathsep.join(("/usr/sbin", "/sbin", os.environ.get("PATH", "")))
# linuxproc, none: it works in a container too, without cgroups. A GPU is any file to a test.
_CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={place}/munge.socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.pid
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,batch_sched_delay=0
MinJobAge=3600
ReturnToService=2
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=1000 Gres=gpu:1 State=UNKNOWN
PartitionName=test Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


class Slurm:
    """A controller and a node that run.

    Attributes:
        environment: variables with which Slurm's commands find them.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        self.environment = {
            **os.environ,
            "SLURM_CONF": str(place / "slurm.conf"),
            "PATH": _PLACES,
        }

    def command(self, *words: str, seconds: float = 600) -> subprocess.CompletedProcess[str]:
        """Runs a command that talks to it."""
        return subprocess.run(
            words, env=self.environment, capture_output=True, text=True, timeout=seconds
        )

    def _daemon(self, stack: contextlib.ExitStack, *words: str) -> None:
        """Starts one that ends with this process, however that ends."""
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self._place / f"{words[0]}.err").open("wb"),
        )

        def end() -> None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

        stack.callback(end)

    @contextlib.contextmanager
    def running(self) -> Iterator[Slurm]:
        """Starts its daemons, and ends them with all jobs."""
        place, host = self._place, socket.gethostname()
        ports = {"controller_port": _port(), "node_port": _port()}
        text = _CONFIGURATION.format(place=place, host=host, **ports)
        (place / "slurm.conf").write_text(text)
        (place / "gres.conf").write_text(f"NodeName={host} Name=gpu File=/dev/null\n")
        key = place / "munge.key"
        key.touch(0o400)
        key.write_bytes(secrets.token_bytes(1024))
        for name in ("state", "spool"):
            (place / name).mkdir()
        with contextlib.ExitStack() as stack:
            files = {
                "socket": "munge.socket",
                "key-file": "munge.key",
                "pid-file": "munge.pid",
                "seed-file": "munge.seed",
                "log-file": "munge.log",
            }
            options = [f"--{option}={place / name}" for option, name in files.items()]
            self._daemon(stack, "munged", "--foreground", "--force", *options)
            self._wait(lambda: (place / "munge.socket").exists())
            self._daemon(stack, "slurmctld", "-D", "-i")
            self._daemon(stack, "slurmd", "-D", "-N", host)
            stack.callback(self._cancel)
            self._wait(lambda: "idle" in self.command("sinfo", "--noheader").stdout)
            yield self

    def _cancel(self) -> None:
        """Ends what runs, and waits for it: a step is no child of the node's daemon."""
        self.command("scancel", "--user=root", "--full")
        with contextlib.suppress(AssertionError):
            self._wait(lambda: not self.command("squeue", "--noheader").stdout.strip())

    def _wait(self, condition: Callable[[], object]) -> None:
        late = time.monotonic() + 60
        while not condition():
            logs = [path.read_text(errors="replace")[-2000:] for path in self._place.glob("*.*rr")]
            logs += [path.read_text(errors="replace")[-2000:] for path in self._place.glob("*.log")]
            assert time.monotonic() < late, "\n".join(logs)
            time.sleep(0.1)


def _port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    """A Slurm that runs; skips where it cannot be had."""
    missing = [name for name in _PROGRAMS if shutil.which(name, path=_PLACES) is None]
    if missing or os.geteuid():
        pytest.skip(
            "a Slurm of one node takes root, and the packages slurm-wlm and munge"
            + (f"; there is no {', '.join(missing)}" if missing else "")
        )
    place = Path(tempfile.mkdtemp(prefix="slurm-"))  # a socket's path has 107 bytes at most
    try:
        with Slurm(place).running() as running:
            yield running
    finally:
        shutil.rmtree(place, ignore_errors=True)
