"""The script that forks the phases of a group, on every Python that there is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from harness.base import directory as directories
from tests.paths import ROOT

PYTHONS = sorted(
    [*Path.home().glob(".pyenv/versions/3.*/bin/python"), Path(sys.executable)],
    key=lambda path: [int(part) for part in path.parts[-3].split(".") if part.isdigit()],
)
NAMES = {
    path.parts[-3]: path
    for path in PYTHONS
    if path == Path(sys.executable) or int(path.parts[-3].split(".")[1]) >= 6
}
LEFT_OUT = "\n[%d bytes]\n"


def run(
    tmp_path: Path,
    python: Path,
    scripts: list[str],
    preload: tuple[str, ...] = (),
    log_limit: int = 2**28,
    deep: bool = False,
    **changes: object,
) -> tuple[list[dict[str, object]], Path]:
    """Statuses, and the directory with what the phases left."""
    scenarios = tmp_path / "scenarios"
    scenarios.mkdir()
    (scenarios / "forks").symlink_to(ROOT / "scenarios" / "forks")
    phases = []
    for name in ("input", "output", "home", "tmp"):
        (tmp_path / name).mkdir()
    for number, text in enumerate(scripts):
        (scenarios / f"{number}.py").write_text(dedent(text))
        (tmp_path / "input" / str(number)).mkdir()
        phases.append(
            {
                "script": f"{number}.py",
                "variables": {"NUMBER": str(number)},
                "input": number != 1,
                "deadline_s": 20,
                **changes,
            }
        )
    request = {
        "preload": preload,
        "log_limit": log_limit,
        "left_out": LEFT_OUT,
        "phases": phases,
    }
    (tmp_path / "input" / "group.json").write_text(json.dumps(request))
    done = subprocess.run(
        [str(python), "-s", "-u", "-B", str(scenarios / "forks" / "group.py")],
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(scenarios),
            "INPUT_DIR": str(tmp_path / "input"),
            "OUTPUT_DIR": str(tmp_path / "output"),
            "HOME": str(tmp_path / "home"),
            "TMPDIR": str(tmp_path / "tmp"),
            "OF_ALL": "1",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line]
    key = lines[0]["key"]
    assert all(line["key"] == key for line in lines)
    assert deep or list((tmp_path / "tmp").iterdir()) == []
    return lines[1:], tmp_path / "output"


def told(statuses: list[dict[str, object]]) -> list[object]:
    return [status.get("code", -status.get("signal", 0)) for status in statuses]  # type: ignore[operator]


SEEN = """
    import json, os, sys, tempfile
    json.dump({
        "environ": dict(os.environ), "argv": sys.argv, "path": sys.path[0], "cwd": os.getcwd(),
        "leader": os.getsid(0) == os.getpid() == os.getpgid(0), "tmp": tempfile.gettempdir(),
        "open": [name for name in os.listdir("/proc/self/fd")
                 if os.path.exists("/proc/self/fd/" + name) and int(name) > 2],
        "ends": [os.readlink("/proc/self/fd/%d" % number) for number in range(3)],
        "warm": "wave" in sys.modules,
    }, open(os.path.join(os.environ["OUTPUT_DIR"], "seen"), "w"))
    sys.stdout.write("out %s" % os.environ["NUMBER"])
"""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("preload", [("wave",), ("no.such",)])
def test_each_phase_has_its_own_place(tmp_path, name, preload):
    statuses, output = run(tmp_path, NAMES[name], [SEEN, SEEN, "raise SystemExit(4)"], preload)
    assert told(statuses) == [0, 0, 4]
    assert [status["phase"] for status in statuses] == [0, 1, 2]
    assert {status["stopped"] for status in statuses} == {None}
    begins = [status["began"] for status in statuses]
    assert begins == sorted(begins)
    for number in (0, 1):
        assert (output / f"{number}.stdout").read_text() == f"out {number}"
        assert (output / f"{number}.stderr").read_text() == ""
        seen = json.loads((output / str(number) / "seen").read_text())
        scratch = tmp_path / "tmp" / f"phase-{number}"
        environ = seen["environ"]
        assert environ["OUTPUT_DIR"] == str(output / str(number))
        assert environ.get("INPUT_DIR") == (None if number else str(tmp_path / "input" / "0"))
        assert (environ["HOME"], environ["TMPDIR"]) == (f"{scratch}/home", f"{scratch}/tmp")
        assert (environ["OF_ALL"], environ["NUMBER"]) == ("1", str(number))
        assert not {"OPENBLAS_NUM_THREADS", "TF_ENABLE_ONEDNN_OPTS"} & environ.keys()
        assert (seen["cwd"], seen["tmp"]) == (f"{scratch}/work", f"{scratch}/tmp")
        assert Path(seen["argv"][0]) == tmp_path / "scenarios" / f"{number}.py"
        assert seen["path"] == str(tmp_path / "scenarios")
        assert seen["leader"]
        assert seen["open"] == []
        assert seen["ends"][0] == "/dev/null"
        assert all(end.startswith("pipe:") for end in seen["ends"][1:])
        assert seen["warm"] is (preload == ("wave",))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("preload", [("wave",), ("no.such",)])
@pytest.mark.parametrize("limit", [10_000, 999_999])
def test_of_a_long_log_the_beginning_and_the_end_are_kept(tmp_path, name, preload, limit):
    """The phase goes on, and ends as it would have."""
    lines = """
        import sys
        for number in range(100_000):
            sys.stdout.write("%07d\\n" % number)
        sys.stderr.write("short")
        sys.exit(6)
    """.replace("100_000", "100000")
    statuses, output = run(
        tmp_path, NAMES[name], [lines, "print('next')"], preload, log_limit=limit
    )
    assert told(statuses) == [6, 0]
    assert [status["stopped"] for status in statuses] == [None, None]
    whole = "".join(f"{number:07d}\n" for number in range(100_000))
    head = limit // 2
    kept = whole[:head] + LEFT_OUT % (len(whole) - limit) + whole[-(limit - head) :]
    assert (output / "0.stdout").read_text() == kept if limit < len(whole) else whole
    assert (output / "0.stderr").read_text() == "short"
    assert (output / "1.stdout").read_text() == "next\n"
    assert sorted(path.name for path in output.iterdir()) == [
        *("0", "0.stderr", "0.stdout", "1", "1.stderr", "1.stdout"),
    ]


def test_a_flood_of_log_ends_at_the_deadline(tmp_path):
    flood = """
        import signal, sys
        signal.signal(signal.SIGTERM, lambda *told: sys.exit(0))
        while True:
            sys.stdout.write("x" * 100000)
    """
    (status, after), output = run(
        tmp_path, Path(sys.executable), [flood, "pass"], log_limit=10_000, deadline_s=1
    )
    assert (status["stopped"], after["stopped"]) == ("deadline", None)
    assert (output / "0.stdout").stat().st_size < 11_000


def test_streams_that_a_phase_has_closed_are_not_waited_for(tmp_path):
    closing = """
        import os, time
        for number in (0, 1, 2):
            os.close(number)
        time.sleep(1)
        open(os.path.join(os.environ["OUTPUT_DIR"], "busy"), "w").write(
            open("/proc/%d/stat" % os.getppid()).read().rpartition(")")[2].split()[11])
    """
    (status,), output = run(tmp_path, Path(sys.executable), [closing], ("wave",))
    assert status["code"] == 0
    assert int((output / "0" / "busy").read_text()) < 60  # of 100 ticks a second


def test_a_deadline_is_a_phase_s_own(tmp_path):
    sleep = "import time; time.sleep(60)"
    statuses, _ = run(tmp_path, Path(sys.executable), [sleep, sleep], deadline_s=0.5)
    assert [status["stopped"] for status in statuses] == ["deadline", "deadline"]
    assert all(0.5 <= status["seconds"] < 10 for status in statuses)  # type: ignore[operator]


def test_what_a_phase_leaves_behind_ends_with_it(tmp_path):
    leave = """
        import os, sys, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                open(os.path.join(os.environ["OUTPUT_DIR"], "left"), "w").write(str(os.getpid()))
                time.sleep(60)
            os._exit(0)
        path = os.path.join(os.environ["OUTPUT_DIR"], "left")
        while not (os.path.exists(path) and os.path.getsize(path)):
            time.sleep(0.01)
    """
    _, output = run(tmp_path, Path(sys.executable), [leave, "pass"])
    left = int((output / "0" / "left").read_text())
    assert not Path(f"/proc/{left}").exists()


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("print('whole')", 0, "whole"),
        ("import sys; sys.exit()", 0, ""),
        ("import sys; sys.exit(7)", 7, ""),
        ("import sys; sys.exit('no such file')", 1, "no such file"),
        ("raise ValueError('broken')", 1, "ValueError: broken"),
        ("import atexit; atexit.register(print, 'handled')", 0, "handled"),
        (
            "import threading, time\n"
            "threading.Thread(target=lambda: (time.sleep(0.3), print('waited'))).start()",
            0,
            "waited",
        ),
        ("import sys; sys.stdout.write('no end of line')", 0, "no end of line"),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_a_fork_ends_as_a_script_does(tmp_path, name, script, code, said):
    (status, *_), output = run(tmp_path, NAMES[name], [script])
    assert status["code"] == code
    log = (output / "0.stdout").read_text() + (output / "0.stderr").read_text()
    assert said in log
    assert ("Traceback" in log) is script.startswith("raise")


# Each ends in its own way; most leave something that Python has to write at the end.
ENDS = [
    "import sys; sys.exit(True)",
    "import sys; sys.exit(256)",
    "import sys; sys.exit(-1)",
    "import sys; sys.exit(1.5)",
    "import sys; sys.exit(10**30)",
    "import sys; sys.exit(-10**30)",
    "raise SystemExit(1, 2)",
    """
    class Odd:
        def __str__(self):
            raise ValueError
    raise SystemExit(Odd())
    """,
    """
    class Odd(Exception):
        def __str__(self):
            raise ValueError
    raise Odd()
    """,
    "raise KeyboardInterrupt",
    "raise GeneratorExit",
    "def (",
    "import sys; sys.excepthook = None; raise KeyError",
    """
    import sys
    sys.excepthook = lambda *told: sys.exit(9)
    raise KeyError
    """,
    """
    import atexit
    atexit.register(lambda: 1 / 0)
    """,
    "import atexit, sys; atexit.register(sys.exit, 5)",
    "import atexit, os; atexit.register(os._exit, 6)",
    "import sys; print('whole'); sys.stdout.close()",
    "import sys; sys.stderr.close()",
    "import sys; sys.stdout.close(); sys.stderr.close(); sys.exit('lost')",
    "import sys; sys.stdout = None; sys.stderr = None; sys.exit('lost')",
    "import sys; sys.stdout = 5",
    "import sys; del sys.stdout",
    "import os; os.close(1)",
    "import sys; sys.stdout = open('/dev/full', 'w'); print('lost')",
    """
    import os
    file = open(os.path.join(os.environ["OUTPUT_DIR"], "left"), "w")
    file.write("text")
    def keeps():
        return file
    """,
    """
    import json, os
    json.file = open(os.path.join(os.environ["OUTPUT_DIR"], "left"), "wb")
    json.file.write(b"bytes")
    """,
    """
    import io, os, sys
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)))
    print("late")
    sys.kept, sys.stdout = sys.stdout, sys.__stdout__
    """,
    """
    import sys, threading, time
    def late():
        time.sleep(0.2)
        print(sys.modules["__main__"].mark)
    mark = "marked"
    threading.Thread(target=late).start()
    """,
    "import threading; threading.Thread(target=lambda: 1 / 0).start()",
    """
    import threading, time
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    """,
    "import os; os.abort()",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_fork_ends_as_if_it_had_started_from_nothing(tmp_path, name):
    found = []
    for way, preload in (("forked", ("wave",)), ("cold", ("no.such",))):
        (tmp_path / way).mkdir()
        statuses, output = run(tmp_path / way, NAMES[name], ENDS, preload)
        found.append(
            [
                (
                    code,
                    (output / f"{number}.stdout").read_text(),
                    {path.name: path.read_text() for path in (output / str(number)).iterdir()},
                )
                for number, code in enumerate(told(statuses))
            ]
        )
    for script, forked, cold in zip(ENDS, *found, strict=True):
        assert forked == cold, script
    assert {code for code, *_ in found[0]} >= {0, 1, 6, 9, 120, 255}


def test_a_traceback_begins_in_the_script(tmp_path):
    _, output = run(tmp_path, Path(sys.executable), ["raise ValueError('broken')"])
    script = tmp_path / "scenarios" / "0.py"
    assert (output / "0.stderr").read_text() == (
        f'Traceback (most recent call last):\n  File "{script}", line 1, in <module>\n'
        "    raise ValueError('broken')\nValueError: broken\n"
    )


@pytest.mark.parametrize("preload", [("wave",), ("no.such",)])
def test_a_phase_whose_directories_an_earlier_one_removed_has_not_failed(tmp_path, preload):
    remove = """
        import os, shutil
        output, scratch = os.environ["OUTPUT_DIR"], os.path.dirname(os.environ["HOME"])
        shutil.rmtree(output[:-1] + "1")
        os.symlink("/etc", output[:-1] + "1")
        shutil.rmtree(scratch[:-1] + "2")
        shutil.rmtree(os.environ["INPUT_DIR"][:-1] + "3")
    """
    statuses, _ = run(tmp_path, Path(sys.executable), [remove, *["print('next')"] * 4], preload)
    assert [status.get("error") for status in statuses] == [
        None,
        "an earlier phase has removed its output directory",
        "an earlier phase has removed its work directory",
        "an earlier phase has removed its input directory",
        None,
    ]
    assert told(statuses)[4] == 0


def test_directories_without_end_harm_no_other_phase(tmp_path):
    deep = """
        import os
        for _ in range(1200):
            os.mkdir("d")
            os.chdir("d")
    """
    try:
        statuses, _ = run(tmp_path, Path(sys.executable), [deep, "print('next')"], deep=True)
        assert told(statuses) == [0, 0]
    finally:
        directories.remove(tmp_path / "tmp")  # as an engine does; pytest cannot
