"""Fills `.whl` with the wheels that a machine with a GPU lacks.

    .venv/bin/python -m benchmarks.gpu.carry

That machine has CUDA, a Python 3.12, torch and jax, and no network. What it lacks are the driver's
packages and those of Keras 3, in the versions and with the hashes of the project's lock files. Run
it in the project's root; again after a change of pyproject.toml or of a lock file.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from harness.base.error import EngineError, HarnessError
from harness.engine import requirements
from harness.engine.requirements import Locked
from harness.engine.venv import uv

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ".whl"
# The first that has a package says its version.
LOCKS = ("requirements.txt", "docker/flavors/keras3-*/requirements-gpu.txt")
KERAS = "keras"
# What the machine has, and what that is built against: another version in front could break it.
PRESENT = frozenset(("torch", "jax", "jaxlib", "numpy", "scipy", "ml-dtypes", "h5py", "protobuf"))
PYTHON = "3.12"
MARKERS = {
    "python_version": PYTHON,
    "python_full_version": f"{PYTHON}.0",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
    "os_name": "posix",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "platform_machine": "x86_64",
}
# pip takes a platform for what it says, and not for the older ones that it can run as well.
PLATFORMS = [
    *(f"manylinux_2_{minor}_x86_64" for minor in (39, 35, 34, 31, 28, 27, 24, 17, 12, 5)),
    *(f"manylinux{year}_x86_64" for year in ("2014", "2010", "1")),
]
MIB = 2**20
LIMIT_MIB = 60


def locked(root: Path) -> dict[str, Locked]:
    """What the lock files hold for that machine, by name.

    Raises:
        EngineError: there is no lock file.
    """
    paths = [path for pattern in LOCKS for path in sorted(root.glob(pattern))]
    if not paths:
        raise EngineError(f"no lock file is in {root}: run it in the project's root")
    found: dict[str, Locked] = {}
    for path in paths:
        for name, entries in requirements.locked(path.read_text(encoding="utf-8")).items():
            for entry in entries:
                if not entry.marker or Marker(entry.marker).evaluate(MARKERS):
                    found.setdefault(name, entry)
    return found


def needed(root: Path, known: Mapping[str, Locked]) -> list[str]:
    """Names of all packages that the driver and Keras 3 need there, those that are there too.

    Args:
        known: the versions to choose from.

    Raises:
        EngineError: uv finds no solution, or reaches no index.
    """
    with (root / "pyproject.toml").open("rb") as file:
        asked = [*tomllib.load(file)["project"]["dependencies"], KERAS]
    with tempfile.TemporaryDirectory() as name:
        wanted, pins = Path(name) / "wanted.in", Path(name) / "pins.txt"
        wanted.write_text("\n".join(asked) + "\n", encoding="utf-8")
        lines = [f"{entry.name}=={entry.version}\n" for entry in known.values()]
        pins.write_text("".join(lines), encoding="utf-8")
        command = ["pip", "compile", "--quiet", "--no-header", "--no-annotate", "--no-config"]
        command += ["--python-version", PYTHON, "--python-platform", "x86_64-manylinux_2_39"]
        said = uv.run([*command, "--constraint", str(pins), str(wanted)], threading.Event())
    return [canonicalize_name(Requirement(line).name) for line in said.splitlines() if line.strip()]


def download(wanted: Iterable[Locked], folder: Path) -> None:
    """Downloads a wheel of each, and looks at its hash.

    Raises:
        EngineError: there is no such wheel for that machine, or it is another file.
    """
    lines = folder / "wanted.txt"
    # pip would ask this interpreter whether a marker applies.
    text = "".join(replace(entry, marker="").text for entry in wanted)
    lines.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--require-hashes", "--only-binary=:all:", "--implementation", "cp"]
    command += ["--python-version", PYTHON]
    command += [word for platform in PLATFORMS for word in ("--platform", platform)]
    done = subprocess.run(
        [*command, "-d", str(folder), "-r", str(lines)], capture_output=True, text=True
    )
    lines.unlink()
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise EngineError(f"pip download: {' '.join(said or [done.stderr])[-600:].strip()}")


def fill(root: Path) -> Path:
    """Makes `.whl` anew; returns it. One that is there stays until the other is whole.

    Raises:
        EngineError: a package is in no lock file, or its wheel cannot be had.
    """
    known = locked(root)
    names = needed(root, known)
    unknown = [name for name in names if name not in known and name not in PRESENT]
    if unknown:
        raise EngineError(f"no lock file has {', '.join(unknown)}: run `make lock`")
    folder = root / FOLDER
    cache = root / ".cache"  # ignored by git as well, and on the same disk
    cache.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as name:
        part = Path(name) / FOLDER
        part.mkdir()
        download((known[entry] for entry in names if entry not in PRESENT), part)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    return folder


def main() -> int:
    """Fills the folder and prints what is in it; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument(
        "--limit-mib", type=float, default=LIMIT_MIB, help="most that .whl may take"
    )
    options = parser.parse_args()
    try:
        folder = fill(ROOT)
    except HarnessError as problem:
        print(f"carry: {problem}", file=sys.stderr)
        return 4
    sizes = {path.name: path.stat().st_size for path in sorted(folder.glob("*.whl"))}
    for name, size in sizes.items():
        print(f"{size / MIB:7.2f} MiB  {name}")
    total = sum(sizes.values()) / MIB
    print(f"{FOLDER}: {len(sizes)} wheels, {total:.1f} MiB")
    if total > options.limit_mib:
        print(f"carry: that is more than {options.limit_mib:g} MiB", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
