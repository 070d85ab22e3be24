"""What the pods of Kubernetes run, in containers that are confined as the pods are."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.catalog import catalog
from harness.engine.docker.daemon import ERRORS, LABEL, Daemon
from harness.engine.docker.engine import DockerEngine
from harness.engine.docker.image import base_reference
from tests import small_runs
from tests.clusters.test_quoting import kubernetes_expands
from tests.paths import ROOT

FLAVOR = "tf2-tfkeras"
SCENARIOS = "stale_artifact,trainsaveweights-loadweights_predict"

pytestmark = [
    pytest.mark.docker,
    pytest.mark.tensorflow,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
]


@pytest.fixture(scope="module")
def image(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image as docker/pod/Dockerfile makes it of the flavor's."""
    (flavor,) = catalog.load(ROOT).select([FLAVOR]).flavors
    reference, variable = base_reference(flavor, flavor.image[0])
    try:
        daemon.client().inspect_image(reference)
    except ERRORS:
        pytest.skip(f"no base image {reference}; {variable} names another")
    engine = DockerEngine(cache=ROOT / ".cache")
    built = engine.prepare(flavor, "virtual", lambda line: None, threading.Event()).handle
    wheels = ROOT / ".cache" / "wheels"
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if version != flavor.python:
        pytest.skip(f"Python {flavor.python} would have to run these tests, to load its packages")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes"),
            *("--only-binary=:all:", f"--dest={wheels}", "--requirement=requirements.txt"),
        ],
        cwd=ROOT,
        check=True,
        timeout=600,
    )
    client, tag = daemon.client(), f"lms-harness-test/pod:{tmp_path_factory.getbasetemp().name}"
    arguments = {"FLAVOR_IMAGE": built, "FLAVOR": FLAVOR.replace("-", "_")}
    answers: Any = client.build(
        path=str(ROOT),
        dockerfile="docker/pod/Dockerfile",
        buildargs=arguments,
        tag=tag,
        network_mode="none",
        rm=True,
        forcerm=True,
        decode=True,
    )
    said = [str(answer.get("stream") or answer.get("error") or "") for answer in answers]
    try:
        client.inspect_image(tag)  # type: ignore[no-untyped-call]
    except ERRORS:
        pytest.fail("".join(said)[-4000:])
    yield tag
    client.remove_image(tag, force=True)  # type: ignore[no-untyped-call]
    # What the classic builder leaves of the first stage.
    for stage in client.images(filters={"dangling": True, "label": f"{LABEL}=pod"}):
        client.remove_image(stage["Id"], force=True)  # type: ignore[no-untyped-call]
    engine.close()


def run(daemon: Daemon, image: str, pod: Any, container: Any, place: Path, index: int) -> str:
    """Runs a container of a pod to its end, which has to be a good one; returns what it wrote."""
    told = {entry["name"]: entry["value"] for entry in container.get("env", ()) if "value" in entry}
    told |= {"JOB_COMPLETION_INDEX": str(index), "JOB_UID": "uid"}
    may = container["securityContext"]
    assert may["allowPrivilegeEscalation"] is False
    binds = []
    for mount in container["volumeMounts"]:
        if mount["name"] != "memory":
            source = place / (
                mount["name"] if mount["name"] == "reports" else f"{mount['name']}{index}"
            )
            source.mkdir(exist_ok=True)
            source.chmod(0o777)
            binds.append(f"{source}:{mount['mountPath']}")
    client = daemon.client()
    who = pod["securityContext"]
    made: Any = client.create_container(
        image,
        entrypoint=container["command"],
        command=[kubernetes_expands(text, told) for text in container["args"]],
        environment=told,
        user=f"{who['runAsUser']}:{who['runAsGroup']}",
        host_config=client.create_host_config(
            read_only=may["readOnlyRootFilesystem"],
            cap_drop=["ALL"] if may["capabilities"]["drop"] == ["ALL"] else [],
            security_opt=["no-new-privileges"],
            network_mode="none",
            shm_size="1g",
            binds=binds,
        ),
    )
    try:
        client.start(made["Id"])
        code = client.wait(made["Id"], timeout=900)["StatusCode"]
        said: bytes = client.logs(made["Id"])
        assert code == 0, said.decode()
        return said.decode()
    finally:
        client.remove_container(made["Id"], force=True)


def test_shards_and_their_merge_run_confined(tmp_path: Path, daemon: Daemon, image: str) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "harness", "ci-generate", "kubernetes", "--gpu=none"),
            *("--shards=2", "--name=run", f"--flavors={FLAVOR}", f"--scenarios={SCENARIOS}"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    for document in yaml.safe_load_all(done.stdout):
        pod = document["spec"]["template"]["spec"]
        for index in range(document["spec"].get("completions", 1)):
            for container in [*pod.get("initContainers", ()), *pod["containers"]]:
                said = run(daemon, image, pod, container, tmp_path, index)
                if container["name"] == "shard":
                    assert f"(PYTHON_{FLAVOR.replace('-', '_')})" in said
    record = small_runs.record_of(tmp_path / "reports")
    assert record.state == "finished"
    assert len(record.cases) == 2
    assert record.engine == "venv"
    statuses = {check.status.value for case in record.cases for check in case.checks}
    assert statuses - {"skipped"} == {"passed"}
