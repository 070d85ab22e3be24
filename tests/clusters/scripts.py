"""The scripts in a generated file, as what runs them reads them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.clusters import files
from harness.clusters.job import Job
from tests.clusters.test_quoting import github_evaluates, kubernetes_expands

_PIPELINE = Path(__file__).with_name("pipeline.groovy")


def of_github(job: Job) -> tuple[str, str]:
    """The script of a shard, and that of the merge."""
    jobs = yaml.safe_load(files.render("github", job))["jobs"]
    steps = [
        step["run"] for name in ("shard", "merge") for step in jobs[name]["steps"] if "run" in step
    ]
    shard, merge = map(github_evaluates, steps)
    return shard, merge


def of_gitlab(job: Job) -> tuple[str, str]:
    """The script of a shard, and that of the merge."""
    jobs = yaml.safe_load(files.render("gitlab", job))
    (shard,), (merge,) = jobs["shard"]["script"], jobs["merge"]["script"]
    return shard, merge


def of_kubernetes(job: Job) -> tuple[str, str]:
    """The script of a shard, and those of the merge's pod, one after the other."""
    shard, merge = yaml.safe_load_all(files.render("kubernetes", job))
    variables = {"HOME": "/tmp", "TMPDIR": "/tmp", "JOB_UID": "uid", "JOB_COMPLETION_INDEX": "1"}

    def script(container: dict[str, Any]) -> str:
        assert container["command"] == ["/bin/sh", "-c"]
        (text,) = container["args"]
        return kubernetes_expands(text, variables)

    pod = merge["spec"]["template"]["spec"]
    (waiting,), (merging,) = pod["initContainers"], pod["containers"]
    (running,) = shard["spec"]["template"]["spec"]["containers"]
    return script(running), f"{script(waiting)}\n{script(merging)}"


def of_slurm(job: Job, place: Path) -> tuple[str, str, list[list[str]]]:
    """The scripts of both jobs, and the options that sbatch got for each.

    Args:
        place: an empty directory for a program that stands in for sbatch.
    """
    sbatch = place / "sbatch"
    sbatch.write_text(
        '#!/bin/sh\nset -eu\ncd "$PLACE"\nnumber=$(ls | wc -l)\nmkdir "job$number"\n'
        'cat >"job$number/script"\nprintf \'%s\\n\' "$@" >"job$number/options"\necho 77\n'
    )
    sbatch.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", files.render("slurm", job), "sh", "--wait", "--partition=a b"],
        env={"PATH": f"{place}{os.pathsep}{os.environ['PATH']}", "PLACE": str(place)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "merge: job 77"
    found = sorted(place.glob("job*"))
    shard, merge = ((job / "script").read_text() for job in found)
    return shard, merge, [(job / "options").read_text().splitlines() for job in found]


def pipeline(text: str, place: Path, *codes: int) -> list[Any]:
    """What a declarative pipeline calls, once for each exit code of its step that asks for one.

    Each call has `name`, `arguments`, and the calls in its `body`. Skips where there is no Groovy.
    """
    groovy, java = shutil.which("groovy"), shutil.which("java")
    if groovy is None or java is None:
        pytest.skip("there is no groovy here: apt-get install groovy default-jre-headless")
    file = place / "Jenkinsfile"
    file.write_text(text)
    done = subprocess.run(
        [groovy, str(_PIPELINE), str(file), *map(str, codes or (0,))],
        env={**os.environ, "JAVA_HOME": str(Path(java).resolve().parents[1]), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


def calls(tree: list[Any], name: str) -> list[Any]:
    """All calls of a name, wherever in a pipeline, in their order."""
    found = []
    for call in tree:
        found += [call] if call["name"] == name else []
        found += calls(call["body"], name)
    return found
