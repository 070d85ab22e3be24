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
import builtins
import gc
import importlib
import io
import json
import os
import signal
import sys
import threading
import types
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

    Threads are waited for, exit handlers run, and files that are still open get what was written to
    them. But modules are not taken down: that takes up to a second with TensorFlow, as long as many
    a phase. What breaks in it, or is written in it, is seen where phases start from nothing, as in
    containers.
    """
    code = execute(script)
    for finish in (threading._shutdown, atexit._run_exitfuncs):  # type: ignore[attr-defined]
        try:
            finish()
        except BaseException:
            pass  # has been told, and changes no exit code
    if not flushed():
        code = 120  # what Python itself says then
    if code == -signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        # Not as `sitecustomize` has it: the script has not asked for it.
        getattr(os.kill, "__wrapped__", os.kill)(os.getpid(), signal.SIGINT)
    os._exit(code & 0xFF)


def execute(script: str) -> int:
    """Runs a script as the main module, which it stays; returns its exit code.

    It is minus the number of SIGINT where Python ends by that signal.
    """
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=script, __cached__=None, __builtins__=builtins)
    sys.modules["__main__"] = main
    try:
        with open(script, "rb") as file:
            text = file.read()
        exec(compile(text, script, "exec", dont_inherit=True), main.__dict__)
    except SystemExit as end:
        return exit_code(end)
    except BaseException as problem:
        trace = problem.__traceback__
        return unhandled(problem.with_traceback(trace and trace.tb_next))
    return 0


def exit_code(end: SystemExit) -> int:
    """The code that a script exits with; what is no number goes to standard error, and is 1."""
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code if -(2**63) <= end.code < 2**63 else -1
    say(lambda: "%s\n" % (end.code,))
    return 1


def unhandled(problem: BaseException) -> int:
    """Has an exception told that the script does not handle; returns the exit code."""
    try:
        sys.excepthook(type(problem), problem, problem.__traceback__)
    except SystemExit as end:
        return exit_code(end)
    except BaseException as other:
        say(lambda: "Error in sys.excepthook:\n")
        sys.__excepthook__(type(other), other, other.__traceback__)
        say(lambda: "\nOriginal exception was:\n")
        sys.__excepthook__(type(problem), problem, problem.__traceback__)
    interrupted = isinstance(problem, KeyboardInterrupt) and sys.version_info >= (3, 8)
    return -signal.SIGINT if interrupted else 1


def flushed() -> bool:
    """Writes what open files still hold; returns whether the standard streams took theirs."""
    whole = True
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name, None)
        try:
            if stream is not None and not getattr(stream, "closed", False):
                stream.flush()
        except Exception as problem:
            whole = False
            told = "Exception ignored in: %r\n%s: %s\n" % (stream, type(problem).__name__, problem)
            say(lambda told=told: told)  # type: ignore[misc]
    # What was made before the forks is frozen and not looked at. A text is written to its buffer.
    kinds = io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom
    # By `type`: an object may do anything when it is asked for its class.
    files = [entry for entry in gc.get_objects() if issubclass(type(entry), kinds)]
    for file in [sys.__stdout__, sys.__stderr__, *sorted(files, key=_is_buffer)]:
        try:
            file.flush()
        except Exception:
            pass  # closed, or nothing takes it
    return whole


def _is_buffer(file: typing.Any) -> bool:
    return not issubclass(type(file), io.TextIOWrapper)


def say(text: typing.Callable[[], str]) -> None:
    """Writes to standard error, if there is any; the text may break too."""
    stream = sys.stderr or sys.__stderr__
    try:
        if stream is not None:
            stream.write(text())
    except Exception:
        pass


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
        logs = []  # type: typing.List[int]
        try:
            for name in ("stdout", "stderr"):
                logs.append(os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644))
            pid = os.fork()
        except OSError as trouble:  # no phase: what cannot be started has not failed
            answer(answers, error=str(trouble))
            return None
        if pid == 0:
            requests.close()
            answers.close()
            become(request["script"], request["environment"], request["directory"], *logs)
            return str(request["script"])
        for log in logs:
            os.close(log)
        answer(answers, pid=pid)
        answer(answers, status=os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    _script = serve(sys.argv[1:])
    if _script is not None:
        run(_script)
