"""Environments that are made once, again where they are damaged; real uv, nothing to install."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import psutil
import pytest

from harness.base.claim import Claim
from harness.base.error import EngineError, StoppedError, UnavailableError
from harness.catalog.flavors import Flavor
from harness.engine.venv import environment, uv
from tests.paths import ROOT
from tests.small_disks import mounted

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
REAL = str(getattr(sys, "_base_executable", sys.executable))


@pytest.fixture
def flavor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flavor:
    monkeypatch.setenv("PYTHON_" + VERSION.replace(".", "_"), REAL)
    directory = tmp_path / "flavor"
    directory.mkdir()
    (directory / "requirements.txt").write_text("")
    return Flavor.model_construct(
        id="plain",
        directory=directory,
        python=VERSION,
        requirements={"virtual": "requirements.txt"},
        indexes={},
    )


def make(tmp_path: Path, flavor: Flavor, accelerator: str = "virtual") -> tuple[Path, list[str]]:
    """The interpreter of the flavor's environment, and what was said while it was made."""
    said: list[str] = []
    made = environment.make(
        tmp_path / "environments", flavor, accelerator, said.append, threading.Event()
    )
    made.give_up()
    lock = hashlib.sha256((flavor.directory / "requirements.txt").read_bytes()).hexdigest()
    assert made.provenance["requirements"] == f"requirements.txt sha256:{lock}"
    assert made.notes == tuple(line.removeprefix("plain: ") for line in said if "damaged" in line)
    return made.python, said


def works(python: Path) -> bool:
    return subprocess.run([python, "-c", "import json"]).returncode == 0


def test_a_whole_environment_is_used_as_it_is(tmp_path: Path, flavor: Flavor) -> None:
    python, said = make(tmp_path, flavor)
    assert len(said) == 1
    assert works(python)
    assert make(tmp_path, flavor) == (python, [])


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"null", b"{}", b"\xff\xfe", b"\0" * 20),
        *(b'{"packages": "a"}', b'{"packages": [1]}', b'{"packages": []}'),
        *(b'{"key": 1, "packages": [], "files": {}}', b'{"key": "a", "packages": [], "files": []}'),
    ],
)
def test_a_damaged_note_of_an_environment_is_no_end_of_it(
    tmp_path: Path, flavor: Flavor, content: bytes
) -> None:
    python, _ = make(tmp_path, flavor)
    facts = python.parent.parent / "ready.json"
    facts.write_bytes(content)
    again, said = make(tmp_path, flavor)
    assert again == python
    assert "is damaged and is made again: ready.json is not what was written" in said[0]
    key = python.parent.parent.name.rpartition("-")[2]
    assert json.loads(facts.read_text()) == {"key": key, "packages": [], "files": {}}
    assert make(tmp_path, flavor)[1] == []


def test_a_note_of_another_environment(tmp_path: Path, flavor: Flavor) -> None:
    python, _ = make(tmp_path, flavor)
    facts = python.parent.parent / "ready.json"
    facts.write_text('{"key": "0123456789ab", "packages": [], "files": {}}')
    assert "ready.json is that of another one" in make(tmp_path, flavor)[1][0]
    assert make(tmp_path, flavor)[1] == []


def test_a_note_that_is_a_directory(tmp_path: Path, flavor: Flavor) -> None:
    python, _ = make(tmp_path, flavor)
    facts = python.parent.parent / "ready.json"
    facts.unlink()
    facts.mkdir()
    assert "is damaged" in make(tmp_path, flavor)[1][0]
    assert facts.is_file()


@pytest.mark.parametrize("how", ["removed", "dangling", "not executable"])
def test_an_environment_without_its_interpreter_is_made_again(
    tmp_path: Path, flavor: Flavor, how: str
) -> None:
    python, _ = make(tmp_path, flavor)
    python.unlink()
    if how == "dangling":
        python.symlink_to(tmp_path / "gone")
    elif how == "not executable":
        python.write_text("")
    again, said = make(tmp_path, flavor)
    assert "its interpreter is gone" in said[0]
    assert works(again)


@pytest.mark.parametrize(
    ("how", "said_of_it"),
    [
        ("another interpreter", "its interpreter is that of another environment"),
        ("no configuration", "its interpreter is that of another environment"),
        ("breaks", "its interpreter does not run"),
    ],
)
def test_an_interpreter_that_is_not_the_environment_s_own(
    tmp_path: Path, flavor: Flavor, how: str, said_of_it: str
) -> None:
    python, _ = make(tmp_path, flavor)
    if how == "no configuration":
        (python.parent.parent / "pyvenv.cfg").unlink()
    else:
        python.unlink()
        target = f'exec {REAL} "$@"' if how == "another interpreter" else "exit 1"
        python.write_text(f"#!/bin/sh\n{target}\n")
        python.chmod(0o755)
    again, said = make(tmp_path, flavor)
    assert said_of_it in said[0]
    assert works(again)
    assert make(tmp_path, flavor)[1] == []


# --- packages -------------------------------------------------------------------------------------


@pytest.fixture
def packed(flavor: Flavor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flavor:
    """The flavor with two small packages, of which one has a file in a directory below."""
    links = tmp_path / "links"
    links.mkdir()
    lock = []
    for name, version in (("one-thing", "1.0"), ("Other", "2.5")):
        module, file = name.lower().replace("-", "_"), name.replace("-", "_")
        wheel = links / f"{file}-{version}-py3-none-any.whl"
        info = f"{file}-{version}.dist-info"
        contents = {
            f"{module}/__init__.py": "VALUE = 1\n",
            f"{module}/below/data.txt": "data",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/entry_points.txt": f"[console_scripts]\n{module} = {module}:main\n",
        }
        rows = "".join(f"{path},,\n" for path in [*contents, f"{info}/RECORD"])
        with zipfile.ZipFile(wheel, "w") as archive:
            for path, content in {**contents, f"{info}/RECORD": rows}.items():
                archive.writestr(path, content)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        lock.append(f"{name}=={version} --hash=sha256:{digest}\n")
    (flavor.directory / "requirements.txt").write_text("".join(lock))
    monkeypatch.setenv("UV_FIND_LINKS", str(links))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    return flavor


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize(
    ("what", "said_of_it"),
    [
        ("one_thing*", "one-thing==1.0 is gone"),
        ("one_thing", "one-thing==1.0 has"),
        ("one_thing/below", "one-thing==1.0 has"),
        ("one_thing-1.0.dist-info", "one-thing==1.0 is gone"),
        ("one_thing-1.0.dist-info/RECORD", "one-thing==1.0 has 0 of its"),
        ("*", "other==2.5 is gone"),
        ("../../../bin/other", "other==2.5 has"),
    ],
)
def test_an_environment_that_lacks_what_was_installed_is_made_again(
    tmp_path: Path, packed: Flavor, what: str, said_of_it: str
) -> None:
    python, _ = make(tmp_path, packed)
    assert make(tmp_path, packed)[1] == []
    (packages,) = python.parent.parent.glob("lib/python*/site-packages")
    for path in list(packages.glob(what)):
        remove(path)
    again, said = make(tmp_path, packed)
    assert said_of_it in said[0]
    code = "import one_thing, other; assert one_thing.VALUE == other.VALUE == 1"
    assert subprocess.run([again, "-c", code]).returncode == 0
    assert make(tmp_path, packed)[1] == []


def test_a_file_that_was_cut_and_a_package_that_was_added(tmp_path: Path, packed: Flavor) -> None:
    python, _ = make(tmp_path, packed)
    (packages,) = python.parent.parent.glob("lib/python*/site-packages")
    # A new file: the old one may be a link to uv's cache.
    (packages / "other/__init__.py").unlink()
    (packages / "other/__init__.py").write_text("")
    assert "other==2.5 has" in make(tmp_path, packed)[1][0]
    (packages / "more-1.dist-info").mkdir()
    assert "more==1 was added" in make(tmp_path, packed)[1][0]
    assert make(tmp_path, packed)[1] == []


def test_what_a_phase_may_leave_in_an_environment_is_no_damage(
    tmp_path: Path, packed: Flavor
) -> None:
    python, _ = make(tmp_path, packed)
    (packages,) = python.parent.parent.glob("lib/python*/site-packages")
    for directory in list(packages.rglob("__pycache__")):
        shutil.rmtree(directory)
    assert make(tmp_path, packed)[1] == []
    assert subprocess.run([python, "-c", "import one_thing"], env={}).returncode == 0
    assert list(packages.rglob("*.pyc")) != []
    assert make(tmp_path, packed)[1] == []


# --- drivers that die, and others beside ----------------------------------------------------------


def test_a_driver_that_dies_leaves_no_environment_that_is_taken_for_whole(
    tmp_path: Path, flavor: Flavor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What says that it is whole is written last, and goes first."""
    python, _ = make(tmp_path, flavor)
    python.unlink()
    seen = []

    def fail(arguments: list[str], cancel: threading.Event, claim: Claim) -> str:
        seen.append((python.parent.parent / "ready.json").exists())
        raise EngineError("uv venv failed: disk full")

    with monkeypatch.context() as patched:
        patched.setattr(uv, "run", fail)
        with pytest.raises(EngineError, match="disk full"):
            make(tmp_path, flavor)
    assert seen == [False]
    assert not python.parent.parent.exists()
    assert works(make(tmp_path, flavor)[0])


def test_no_requirements_for_the_accelerator_is_one_line(tmp_path: Path, flavor: Flavor) -> None:
    with pytest.raises(UnavailableError, match=r"no requirements of plain for accelerator gpu"):
        make(tmp_path, flavor, "gpu")
    (flavor.directory / "requirements.txt").unlink()
    with pytest.raises(UnavailableError, match=r"requirements\.txt: No such file"):
        make(tmp_path, flavor)


def slow_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts a `uv` in place that starts a child in a session of its own and never ends.

    Returns:
        The file that gets the pids of both.
    """
    pids = tmp_path / "pids"
    program = tmp_path / "uv"
    program.write_text(
        "#!/bin/sh\ntrap '' TERM INT\nsetsid sleep 600 &\n"
        f"echo $$ $! > {pids}.new\nmkdir -p {tmp_path}/environments\nmv {pids}.new {pids}\nwait\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(uv, "find_uv_bin", lambda: str(program))
    return pids


def awaited(path: Path) -> list[int]:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return [int(word) for word in path.read_text().split()]


def gone(pids: list[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(psutil.pid_exists(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_stopped_run_ends_uv_and_what_it_started(
    tmp_path: Path, flavor: Flavor, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = slow_uv(tmp_path, monkeypatch)
    cancel, running = threading.Event(), []

    def stop() -> None:
        running.extend(awaited(pids))
        cancel.set()

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(StoppedError):
        environment.make(tmp_path / "environments", flavor, "virtual", print, cancel)
    thread.join()
    assert len(running) == 2
    assert not any(psutil.pid_exists(pid) for pid in running)
    assert list((tmp_path / "environments").rglob("ready.json")) == []
    monkeypatch.undo()
    monkeypatch.setenv("PYTHON_" + VERSION.replace(".", "_"), REAL)
    assert works(make(tmp_path, flavor)[0])


def test_uv_does_not_outlive_a_killed_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = slow_uv(tmp_path, monkeypatch)
    code = (
        "import threading; from harness.engine.venv import uv\n"
        f"uv.find_uv_bin = lambda: {str(tmp_path / 'uv')!r}\n"
        "uv.run(['venv'], threading.Event())"
    )
    driver = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    running = awaited(pids)
    driver.kill()
    driver.wait()
    assert gone(running, 20)


def test_the_wait_for_another_run_s_environment_can_be_stopped(
    tmp_path: Path, flavor: Flavor
) -> None:
    python, _ = make(tmp_path, flavor)
    lock = python.parent.parent.with_suffix(".lock")
    code = (
        "import sys, fcntl; lock = open(sys.argv[1], 'r+'); fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == b"held\n"
    cancel, said = threading.Event(), []

    def progress(text: str) -> None:
        said.append(text)
        threading.Timer(0.3, cancel.set).start()

    with pytest.raises(StoppedError):
        environment.make(tmp_path / "environments", flavor, "virtual", progress, cancel)
    assert said == ["plain: another run makes the same environment; waiting"]
    os.kill(holder.pid, signal.SIGKILL)  # the kernel frees what it held
    holder.wait()
    assert make(tmp_path, flavor) == (python, [])
    holder.stdin.close()
    holder.stdout.close()


_MAKE = """
import sys, threading
from pathlib import Path
from harness.catalog.flavors import Flavor
from harness.engine.venv import environment, uv
if len(sys.argv) > 4:
    uv.find_uv_bin = lambda: sys.argv[4]
flavor = Flavor.model_construct(
    id="plain", directory=Path(sys.argv[2]), python=sys.argv[3],
    requirements={"virtual": "requirements.txt"}, indexes={})
made = environment.make(Path(sys.argv[1]), flavor, "virtual", print, threading.Event())
print("made", flush=True)
sys.stdin.read()
"""


def driver(tmp_path: Path, flavor: Flavor, *more: str) -> subprocess.Popen[str]:
    """Another driver, which makes the environment and uses it until it is ended."""
    return subprocess.Popen(
        [
            *(sys.executable, "-c", _MAKE, str(tmp_path / "environments")),
            *(str(flavor.directory), VERSION, *more),
        ],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_an_environment_that_is_used_is_neither_removed_nor_made_again(
    tmp_path: Path, flavor: Flavor
) -> None:
    other = driver(tmp_path, flavor)
    assert other.stdout is not None
    while other.stdout.readline() != "made\n":
        pass
    python, said = make(tmp_path, flavor)
    assert said == []
    name = python.parent.parent.name
    found = environment.remove_all(tmp_path / "environments")
    assert found.used == [f"environment {name}: a run uses it"]
    assert (found.removed, found.failed) == ([], [])
    assert works(python)
    python.unlink()  # not by another run

    cancel = threading.Event()

    def progress(text: str) -> None:
        said.append(text)
        if text.endswith("waiting"):
            cancel.set()

    with pytest.raises(StoppedError):
        environment.make(tmp_path / "environments", flavor, "virtual", progress, cancel)
    assert said[-1] == "plain: another run uses it; waiting"
    other.kill()
    other.communicate()
    assert works(make(tmp_path, flavor)[0])
    assert environment.remove_all(tmp_path / "environments").removed == [f"environment {name}"]
    assert not (tmp_path / "environments").exists()


def test_what_a_link_leads_to_may_be_another_checkout_s(tmp_path: Path, flavor: Flavor) -> None:
    python, _ = make(tmp_path, flavor)
    (tmp_path / "link").symlink_to(tmp_path / "environments")
    found = environment.remove_all(tmp_path / "link")
    assert (len(found.used), found.removed) == (1, [])
    assert works(python)


def test_a_killed_driver_s_half_made_environment_is_removed_and_a_living_one_s_is_not(
    tmp_path: Path, flavor: Flavor, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = slow_uv(tmp_path, monkeypatch)
    (tmp_path / "environments").mkdir()
    other = driver(tmp_path, flavor, str(tmp_path / "uv"))
    running = awaited(pids)
    (lock,) = (tmp_path / "environments").glob("*.lock")
    half = lock.with_suffix("")
    half.mkdir()
    assert environment.reap(tmp_path / "environments") == []
    used = environment.remove_all(tmp_path / "environments").used
    assert used == [f"environment {half.name}: a run makes it"]
    other.kill()
    other.communicate()
    assert gone(running, 20)
    deadline = time.monotonic() + 20
    while not (said := environment.reap(tmp_path / "environments")):
        assert time.monotonic() < deadline
    assert said == [f"half-made environment {half.name} of a driver that is gone"]
    assert not half.exists()


def test_a_builder_that_outlives_its_driver_holds_the_claim(
    tmp_path: Path, flavor: Flavor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the driver's end and its supervisor's the next run must not begin."""
    pids = slow_uv(tmp_path, monkeypatch)
    (tmp_path / "environments").mkdir()
    other = driver(tmp_path, flavor, str(tmp_path / "uv"))
    uv_pid, _ = awaited(pids)
    (lock,) = (tmp_path / "environments").glob("*.lock")
    os.kill(psutil.Process(uv_pid).ppid(), signal.SIGSTOP)
    other.kill()
    other.communicate()
    claim = Claim(lock)
    assert not claim.take()
    os.kill(psutil.Process(uv_pid).ppid(), signal.SIGCONT)
    claim.wait(threading.Event())
    assert not any(psutil.pid_exists(pid) for pid in awaited(pids))
    claim.release()


def test_storage_that_became_read_only(tmp_path: Path, flavor: Flavor) -> None:
    """What is whole there can be used, and nothing of it is said to be removed."""
    with mounted(tmp_path / "environments", "256m") as place:
        python, _ = make(tmp_path, flavor)
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        assert make(tmp_path, flavor) == (python, [])
        found = environment.remove_all(place)
        name = python.parent.parent.name
        assert found.failed == [f"environment {name}: Read-only file system"]
        assert (found.removed, found.used) == ([], [])
        assert works(python)
