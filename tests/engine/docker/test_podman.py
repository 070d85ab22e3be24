"""The docker engine on the socket of a real Podman, in a directory of its own; it takes root."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from harness.base.error import UsageError
from harness.engine.docker.daemon import Daemon
from harness.record.models import Outcome
from tests import small_runs
from tests.paths import ROOT

pytestmark = [pytest.mark.podman, pytest.mark.docker]  # what is loaded comes from Docker

_PROGRAMS = ("podman", "runc", "setpriv", "umount")
# crun wants version 2 of cgroups; in a container root may not set limits as high as the defaults.
_CONFIGURATION = """
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
"""
_BASE = "lms-harness-test/podman:base"
_PHASE = """
import os, pathlib, socket
assert os.getuid() == 65532, os.getuid()
for name in ("HOME", "TMPDIR", "OUTPUT_DIR"):
    pathlib.Path(os.environ[name], "written").write_text("x")
pathlib.Path("written").write_text("x")
for path in ("/written", os.environ["DATA_DIR"] + "/written"):
    try:
        open(path, "w")
    except OSError:
        pass
    else:
        raise SystemExit(path + " can be written")
assert [name for _, name in socket.if_nameindex()] == ["lo"]
if "INPUT_DIR" in os.environ:
    assert pathlib.Path(os.environ["INPUT_DIR"], "written").read_text() == "x"
"""


@pytest.fixture(scope="module")
def podman(daemon: Daemon, base_image: str) -> Iterator[str]:
    """The address of a Podman that has the base image; skips where it cannot be had."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing or os.geteuid():
        pytest.skip(
            "a Podman of its own takes root, and the packages podman, catatonit and runc"
            + (f"; there is no {', '.join(missing)}" if missing else "")
        )
    place = Path(tempfile.mkdtemp(prefix="podman-"))
    (place / "containers.conf").write_text(_CONFIGURATION)
    address = f"unix://{place}/podman.sock"
    service = subprocess.Popen(
        [
            *("setpriv", "--pdeathsig", "TERM", "podman", f"--root={place}/root"),
            *(f"--runroot={place}/run", "system", "service", "--time=0", address),
        ],
        env={**os.environ, "CONTAINERS_CONF": str(place / "containers.conf")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(place / "log").open("wb"),
    )
    try:
        small_runs.wait_for(lambda: (place / "podman.sock").exists())
        client = docker.DockerClient(base_url=address, version="1.41", timeout=120).api
        client.load_image(b"".join(daemon.client().get_image(base_image)))  # type: ignore[no-untyped-call]
        client.tag(client.images()[0]["Id"], *_BASE.split(":"))
        yield address
    finally:
        service.kill()  # asked to end, it waits for its clients
        service.wait(60)
        for mount in (place / "root" / "overlay", place / "run"):
            subprocess.run(["umount", "--recursive", "--quiet", str(mount)], check=False)
        shutil.rmtree(place, ignore_errors=True)


def run(root: Path, address: str, *options: str) -> tuple[int, str, str]:
    """Runs a checkout on the docker engine."""
    words = small_runs.arguments(root, "run", "--engine=docker", *options)
    variables = {"DOCKER_HOST": address, "BASE_IMAGE_TEST_FLAVOR": _BASE}
    process = small_runs.start(words, env=small_runs.environment(**variables))
    return small_runs.finish(process, 600)


def test_an_image_is_built_and_phases_run_as_in_docker(tmp_path: Path, podman: str) -> None:
    scripts = dict.fromkeys(("save", "load", "predict"), _PHASE)
    root = small_runs.checkout(tmp_path / "checkout", **scripts)
    for name in ("Dockerfile", "install.sh", "requirements-build.txt"):
        shutil.copy(ROOT / "docker" / name, root / "docker")
    reports = tmp_path / "reports"
    images = []
    for _ in range(2):
        code, out, err = run(root, podman, "--gpu=none", f"--reports={reports}")
        record = small_runs.record_of(reports)
        assert {phase.outcome for phase in record.phases} == {Outcome.COMPLETED}, out + err
        assert len(record.phases) > 2
        assert code == 1  # they say nothing of LMS
        images.append(record.phases[0].details["image"])
    assert images[0] == images[1]  # it is built once
    (ledger,) = (root / ".cache" / "docker").iterdir()  # what is ours on it is known by one name
    assert [path.name.partition("-")[0] for path in ledger.glob("*.json")] == ["image"]
    with contextlib.closing(docker.DockerClient(base_url=podman, version="1.41").api) as client:
        assert client.containers(all=True) == []
        (image,) = [entry for entry in client.images() if entry["Id"] == images[0]]
        assert "NVIDIA_VISIBLE_DEVICES=void" in client.inspect_image(image["Id"])["Config"]["Env"]  # type: ignore[no-untyped-call]


def test_a_phase_that_does_not_end_is_ended(tmp_path: Path, podman: str) -> None:
    root = small_runs.checkout(tmp_path / "checkout", save="import time; time.sleep(600)")
    for name in ("Dockerfile", "install.sh", "requirements-build.txt"):
        shutil.copy(ROOT / "docker" / name, root / "docker")
    file = root / "scenarios" / "families" / "basic" / "scenarios.toml"
    file.write_text(
        file.read_text().replace('script = "save.py"', 'script = "save.py"\ntimeout_s = 3')
    )
    reports = tmp_path / "reports"
    code, out, err = run(root, podman, "--gpu=none", f"--reports={reports}")
    assert code in (1, 2), out + err
    outcomes = {phase.key: phase.outcome for phase in small_runs.record_of(reports).phases}
    assert Outcome.TIMED_OUT in outcomes.values(), outcomes


def test_a_gpu_is_refused_in_one_line(podman: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", podman)
    found = Daemon()
    found.check()
    assert found.podman
    with pytest.raises(UsageError, match="ignores requests for a GPU") as caught:
        found.check_gpu("GPU-7c4bbd3e-0f6b-4e3b-a5c6-0123456789ab")
    assert "\n" not in str(caught.value)
