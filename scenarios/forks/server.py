"""Starts phases as forks of a process that has imported the framework and done nothing else.

    python server.py MODULE...

Importing TensorFlow takes longer than many a phase. Reads one JSON object a line from standard
input: script, environment (replaces the whole of it), directory, stdout and stderr (paths). Answers
with `{"pid": ...}` when the phase runs, and with `{"status": ...}`, as of `waitpid`, when it has
ended; one phase at a time. Ends when its input does.

A module that starts threads or opens a device while it is imported must not be preloaded: threads
do not survive a fork. That is looked at, and then no phase is started: `{"error": ...}`.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import sys
import threading
import typing


def answer(stream: typing.TextIO, **fields: typing.Any) -> None:
    """Writes one JSON object as a line."""
    stream.write(json.dumps(fields) + "\n")
    stream.flush()


def preload(modules: typing.Iterable[str]) -> typing.Optional[str]:
    """Imports the modules; returns why forking is not safe, or None."""
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as problem:
            return f"{name} cannot be imported: {problem!r}"
    try:
        threads = len(os.listdir("/proc/self/task"))
    except OSError:
        return "the number of threads is not known"
    return None if threads == 1 else f"{threads} threads run after the import"


def become(script: str, environment: typing.Dict[str, str], directory: str, *logs: int) -> None:
    """Makes this fork the phase: a session of its own, its environment, directory and logs.

    Args:
        logs: descriptors of its standard output and standard error.
    """
    os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    for number, descriptor in enumerate((null, *logs)):
        os.dup2(descriptor, number)
    for descriptor in {null, *logs}:
        if descriptor > 2:
            os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    sys.argv = [script]
    sys.path[0] = os.path.dirname(script)


def own_streams(numbers: typing.Sequence[int]) -> typing.List[int]:
    """Descriptors of their own for some of 0 and 1: what a module prints must not get into them."""
    own = [os.dup(number) for number in numbers]
    os.dup2(2, 1)
    return own


def warm_up(modules: typing.Iterable[str]) -> typing.Optional[str]:
    """Imports the modules for all forks that come; returns why forking is not safe, or None."""
    # As in a phase: `common.data` is imported by that name, and not as the `data` beside this file.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    # numpy's linear algebra starts a thread for each CPU while it is imported.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    # TensorFlow reads it while it is imported; see `runtime.start`.
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
    problem = preload(modules)
    if problem is None:
        # What was imported stays: no collection in a fork needs to look at it, or copy its pages.
        gc.collect()
        if hasattr(gc, "freeze"):  # Python 3.7
            gc.freeze()
    return problem


def run(script: str) -> typing.NoReturn:
    """Runs a script as this fork's own, and ends the process as a script that was started ends.

    Threads are waited for and exit handlers run. But the modules of the server are not taken down:
    that takes up to a second with TensorFlow, as long as many a phase. What breaks in it is seen
    where phases start from nothing, as in containers.
    """
    code = 0
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, int):
            code = end.code
        elif end.code is not None:
            sys.stderr.write("%s\n" % (end.code,))
            code = 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or 120  # what Python itself says then
    os._exit(code & 0xFF)


def serve(modules: typing.Sequence[str]) -> typing.Optional[str]:
    """Starts phases until the input ends; returns the script in a fork, None in the server."""
    own = own_streams((0, 1))
    requests, answers = os.fdopen(own[0], "r"), os.fdopen(own[1], "w")
    problem = warm_up(modules)
    if problem is not None:
        answer(answers, error=problem)
        return None
    answer(answers, ready=True)
    while True:
        line = requests.readline()
        if not line:
            return None
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            requests.close()
            answers.close()
            logs = [
                os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
                for name in ("stdout", "stderr")
            ]
            become(request["script"], request["environment"], request["directory"], *logs)
            return str(request["script"])
        answer(answers, pid=pid)
        answer(answers, status=os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    _script = serve(sys.argv[1:])
    if _script is not None:
        run(_script)
