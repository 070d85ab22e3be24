"""Runs the phases of a group one after the other, each as a fork of this process.

Importing TensorFlow takes longer than many a phase. This script is started like a phase. It imports
what the phases import first, and then forks for each of them: a child has a session, directories,
logs and a deadline of its own, and is the phase's script in all else.

`group.json` in INPUT_DIR has `preload` (modules), `log_limit` and `left_out` (see `forks.log`), and
`phases`; of each its `script` below the folder of scenarios, its `variables`, whether it has an
`input`, and its `deadline_s`. Of phase 3 the input is `3` in INPUT_DIR. In OUTPUT_DIR it leaves
`3`, `3.stdout` and `3.stderr`.

How each ended is one JSON object a line on standard output. The first line has a `key`, which no
child is told: a line without it is not of this script. Of each phase there is `phase` (its number),
`began` and `seconds` (from the start of this script, and of the phase), `code` or `signal`,
`stopped` (why it was stopped here: `deadline`, else null), `oom` (whether the kernel
killed for the memory limit meanwhile), or `error` (it could not be run).

Where forking is not safe each phase is started from nothing.
"""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import typing

from forks import log
from forks.server import answer, become, own_streams, run, warm_up

GRACE_S = 5.0  # between TERM and KILL
_TICK_S = 0.02
_PATIENCE_S = 10.0  # for processes that the kernel does not let die
_PR_SET_CHILD_SUBREAPER = 36
# Version 2 and version 1, as a container sees its own.
_OOM_FILES = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
_OWN = ("INPUT_DIR", "OUTPUT_DIR", "HOME", "TMPDIR")

Json = typing.Dict[str, typing.Any]


class Place:
    """Directories and logs of one phase; all are made before the first phase runs."""

    def __init__(self, number: int, common: typing.Mapping[str, str], group: Json) -> None:
        self.input = os.path.join(common["INPUT_DIR"], str(number))
        self.output = os.path.join(common["OUTPUT_DIR"], str(number))
        os.mkdir(self.output)
        self.logs = [
            log.Log(self.output + name, group["log_limit"], group["left_out"])
            for name in (".stdout", ".stderr")
        ]
        # Not by `tempfile`, which would remember this process' TMPDIR for all its forks.
        self.scratch = os.path.join(common["TMPDIR"], "phase-%d" % number)
        os.mkdir(self.scratch)
        for name in ("home", "tmp", "work"):
            os.mkdir(os.path.join(self.scratch, name))
        self.directory = os.path.join(self.scratch, "work")

    def environment(self, common: typing.Mapping[str, str], phase: Json) -> typing.Dict[str, str]:
        """The phase's variables, with its own directories."""
        own = {name: value for name, value in common.items() if name not in _OWN}
        own.update(phase["variables"])
        own["OUTPUT_DIR"] = self.output
        own["HOME"] = os.path.join(self.scratch, "home")
        own["TMPDIR"] = os.path.join(self.scratch, "tmp")
        if phase["input"]:
            own["INPUT_DIR"] = self.input
        return own

    def lost(self, phase: Json) -> typing.Optional[str]:
        """What of it is no directory any more, before it runs; None where all is there."""
        places = {"output": self.output, "work": self.directory}
        if phase["input"]:
            places["input"] = self.input
        for name, path in sorted(places.items()):
            if os.path.islink(path) or not os.path.isdir(path):
                return "%s directory" % name
        return None

    def finish(self) -> typing.Optional[str]:
        """Completes the logs; why they do not hold what was written, or None."""
        for entry in self.logs:
            entry.finish()
        problems = [entry.problem for entry in self.logs if entry.problem is not None]
        return "its log could not be written: %s" % problems[0].strerror if problems else None

    def remove(self) -> None:
        """Closes the logs, and removes what is beside the artifacts, as far as that can be."""
        self.close()
        try:
            shutil.rmtree(self.scratch, ignore_errors=True)
        except RecursionError:  # of 1,000 directories within each other
            pass

    def close(self) -> None:
        """Closes the logs, where they are open."""
        for entry in self.logs:
            entry.close()


def main() -> typing.Optional[str]:
    """Runs all phases; returns the script in a fork, None where all have ended."""
    began = time.monotonic()
    common = dict(os.environ)
    (stream,) = own_streams((1,))
    with open(os.path.join(common["INPUT_DIR"], "group.json")) as file:
        group = json.load(file)
    statuses = os.fdopen(stream, "w")
    key = os.urandom(16).hex()
    answer(statuses, key=key)
    problem = warm_up(group["preload"])
    if problem is not None:
        sys.stderr.write("phases start from nothing: %s\n" % problem)
    if sys.platform == "linux":
        # What leaves its phase's session stays below this process, and ends with the phase.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    places = [Place(number, common, group) for number in range(len(group["phases"]))]
    for number, (phase, place) in enumerate(zip(group["phases"], places)):
        begin = time.monotonic()
        kills = oom_kills()
        status = {"key": key, "phase": number, "began": begin - began}  # type: Json
        script = os.path.join(common["PYTHONPATH"], phase["script"])
        environment = place.environment(common, phase)
        lost = place.lost(phase)
        if lost is not None:
            tell(statuses, error="an earlier phase has removed its %s" % lost, **status)
            place.remove()
            continue
        try:
            for entry in place.logs:
                entry.open()
            pid = os.fork() if problem is None else cold(script, environment, place)
        except OSError as trouble:
            tell(statuses, error=str(trouble), **status)
            place.remove()
            continue
        ends = [entry.release() for entry in place.logs]
        if pid == 0:
            del key, status
            statuses.close()
            for other in places:
                other.close()
            become(script, environment, place.directory, *ends)
            return script
        for end in ends:
            os.close(end)
        code, stopped = watch(pid, phase["deadline_s"], place)
        end_descendants()
        unwritten = place.finish()
        if unwritten is not None:
            tell(statuses, error=unwritten, **status)
            place.remove()
            continue
        status["signal" if code < 0 else "code"] = abs(code)
        status["stopped"] = stopped
        status["oom"] = oom_kills() > kills
        tell(statuses, seconds=time.monotonic() - begin, **status)
        place.remove()
    return None


def tell(stream: typing.TextIO, **fields: typing.Any) -> None:
    """Writes a status as a line of its own, whatever was written to the stream before."""
    stream.write("\n")
    answer(stream, **fields)


def cold(script: str, environment: typing.Dict[str, str], place: Place) -> int:
    """Starts a phase from nothing; returns its pid."""
    process = subprocess.Popen(
        [sys.executable, "-s", "-u", script],
        stdin=subprocess.DEVNULL,
        stdout=place.logs[0].end,
        stderr=place.logs[1].end,
        cwd=place.directory,
        env=environment,
        start_new_session=True,
    )
    # It is waited for by its pid. Otherwise the object would wait for it when it is collected.
    process.returncode = 0
    return process.pid


def watch(pid: int, deadline_s: float, place: Place) -> typing.Tuple[int, typing.Optional[str]]:
    """Waits for the end of a phase, and stops it at its deadline.

    Returns:
        The exit code, minus the signal's number where one ended it; and why it was stopped here.
    """
    status = ended(pid, deadline_s, place.logs)
    if status is not None:
        return status, None
    signal_group(pid, signal.SIGTERM)
    status = ended(pid, GRACE_S, place.logs)
    if status is None:
        signal_group(pid, signal.SIGKILL)
        status = ended(pid, _PATIENCE_S, place.logs)
    return -signal.SIGKILL if status is None else status, "deadline"


def ended(pid: int, seconds: float, logs: typing.Sequence[log.Log]) -> typing.Optional[int]:
    """The exit code of a child that ends within this time, as `subprocess` has it; else None.

    What it writes is taken meanwhile.
    """
    deadline = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        if time.monotonic() >= deadline:
            return None
        log.wait(logs, min(_TICK_S, seconds))


def signal_group(pid: int, number: int) -> None:
    """Sends a signal to the process group of a phase, or to it alone before it has one."""
    for send in (os.killpg, os.kill):
        try:
            send(pid, number)
            return
        except OSError:
            pass


def end_descendants() -> None:
    """Ends what a phase has left behind: all there is below this process.

    The children of one that ends become children of this process. One that forks and ends, again
    and again, is another process each time it is looked for: each is killed as soon as it is found,
    and there is no pause as long as others are.
    """
    ended = set()  # type: typing.Set[int]
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        found = set()  # type: typing.Set[int]
        for pid in children():
            found.add(pid)
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        if found <= ended:
            time.sleep(0.002)
        ended |= found


def children() -> typing.Iterator[int]:
    """Pids of the children of this process, the latest first."""
    names = os.listdir("/proc") if sys.platform == "linux" else []
    for pid in sorted((int(name) for name in names if name.isdigit()), reverse=True):
        try:
            with open("/proc/%d/stat" % pid, "rb") as file:
                stat = file.read()
        except OSError:
            continue
        # The name before it, in brackets, may hold anything.
        if int(stat.rpartition(b")")[2].split()[1]) == os.getpid():
            yield pid


def oom_kills() -> int:
    """How many processes the kernel has killed for the memory limit so far, where it is told."""
    for path in _OOM_FILES:
        try:
            with open(path) as file:
                for line in file:
                    name, _, count = line.partition(" ")
                    if name == "oom_kill":
                        return int(count)
        except (OSError, ValueError):
            pass
    return 0


if __name__ == "__main__":
    _script = main()
    if _script is not None:
        run(_script)
