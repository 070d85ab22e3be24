"""An environment of this machine's Python, with its packages behind the wheels of `.whl`.

    python3 -m benchmarks.gpu.install ENVIRONMENT

A phase is given no variable of the shell, so what it imports has to be found without PYTHONPATH.
Imports nothing but the standard library: nothing is installed yet.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

FOLDER = ".whl"
SHOWN = ("torch", "jax", "jaxlib", "keras", "numpy", "h5py", "optree", "pydantic", "nvidia-ml-py")

# Run in the environment: what its packages need and do not find, or find in another version.
_CHECK = f"""
import sys, sysconfig
from importlib import metadata
from packaging.requirements import Requirement

problems = 0
for found in metadata.distributions(path=[sysconfig.get_path("purelib")]):
    for need in map(Requirement, found.requires or ()):
        if need.marker and not need.marker.evaluate({{"extra": ""}}):
            continue
        try:
            has = metadata.version(need.name)
        except metadata.PackageNotFoundError:
            has = None
        if has is None or not need.specifier.contains(has, prereleases=True):
            problems += 1
            print(f"PROBLEM: {{found.name}} {{found.version}} needs {{need}}, here is {{has}}")
import harness.cli.main
print(f"harness can be imported; {{problems}} problems with requirements")
for name in {SHOWN!r}:
    try:
        print(f"{{name:<14}} {{metadata.version(name)}}")
    except metadata.PackageNotFoundError:
        print(f"{{name:<14}} missing")
sys.exit(problems > 0)
"""


def main() -> int:
    """Makes the environment anew; returns 0 where all that is needed is there."""
    if len(sys.argv) != 2:
        print("usage: python3 -m benchmarks.gpu.install ENVIRONMENT", file=sys.stderr)
        return 4
    wheels = sorted(map(str, Path(FOLDER).glob("*.whl")))
    if not wheels:
        print(f"install: no wheel is in {FOLDER}: run benchmarks.gpu.carry first", file=sys.stderr)
        return 4
    environment = Path(sys.argv[1]).absolute()
    shutil.rmtree(environment, ignore_errors=True)
    _make(environment)
    python = environment / "bin" / "python"
    site = _site(environment)
    if subprocess.run([sys.executable, "-m", "pip", "--version"]).returncode != 0:
        return 1
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    command += ["--no-compile", "--no-cache-dir", "--disable-pip-version-check", "--target"]
    if subprocess.run([*command, str(site), *wheels]).returncode != 0:
        return 1
    # Phases would compile Keras again and again where they may not write beside it.
    compile_all = [str(python), "-m", "compileall", "-q", "-j", "0", str(site), "harness"]
    subprocess.run([*compile_all, "scenarios"], stdout=subprocess.DEVNULL)
    return subprocess.run([str(python), "-c", _CHECK]).returncode


def _make(environment: Path) -> None:
    """An environment whose packages are in front of this Python's."""
    venv.create(environment, symlinks=True, with_pip=False)
    places = [path for path in sys.path if path.endswith("-packages") and Path(path).is_dir()]
    site = _site(environment)
    # Its .pth files too: some packages are on the path by one alone.
    lines = [f"import site; site.addsitedir({path!r})\n" for path in places]
    (site / "image.pth").write_text("".join(lines), encoding="utf-8")


def _site(environment: Path) -> Path:
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    return environment / "lib" / version / "site-packages"


if __name__ == "__main__":
    sys.exit(main())
