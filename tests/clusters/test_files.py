"""What a generated file makes of a job: valid for its service, and its scripts do what they say."""

from __future__ import annotations

import copy
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

import kubernetes_validate
import pytest
import yaml

from harness.clusters import files
from harness.clusters.job import KINDS, Job, Part
from tests.clusters import scripts
from tests.clusters.jobs import HOSTILE, Place, job

VERSIONS = [
    version for version in kubernetes_validate.utils.all_versions() if float(version[2:]) >= 27
]
SERVICES = {"github": scripts.of_github, "gitlab": scripts.of_gitlab}
NUMBER = {"github": "SHARD", "gitlab": "CI_NODE_INDEX"}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "place")


def many(**changes: object) -> Job:
    """A job of one shard and a job of several parts are as valid as any."""
    return job(options=HOSTILE, **changes)


@pytest.mark.parametrize("gpu", [True, False])
@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize(
    ("kind", "schema"), [("github", "github-workflows"), ("gitlab", "gitlab-ci")]
)
def test_services_would_take_the_file(tmp_path, kind, schema, gpu, shards):
    text = files.render(kind, many(parts=(Part(shards),), gpu=gpu))
    assert checked(tmp_path, schema, text) == ""
    # The schema is one that tells.
    broken = text.replace("needs:", "neds:")
    assert "neds" in checked(tmp_path, schema, broken)


def checked(place: Path, schema: str, text: str) -> str:
    """What is wrong with a file by its published schema."""
    file = place / "file.yml"
    file.write_text(text)
    command = [sys.executable, "-m", "check_jsonschema", f"--builtin-schema=vendor.{schema}"]
    done = subprocess.run([*command, str(file)], capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("gpu", [True, False])
def test_kubernetes_would_take_the_file(version, gpu):
    parts = (Part(3, (), "tf1-tfkeras"), Part(1, (), "keras3_torch"))
    documents = list(yaml.safe_load_all(files.render("kubernetes", many(parts=parts, gpu=gpu))))
    assert [entry["metadata"]["name"] for entry in documents] == [
        *("lms-tf1-tfkeras", "lms-tf1-tfkeras-merge"),
        *("lms-keras3-torch", "lms-keras3-torch-merge"),
    ]
    for document in documents:
        kubernetes_validate.validate(document, version, strict=True)
    broken = copy.deepcopy(documents[0])
    broken["spec"]["template"]["spec"]["containers"][0]["securityContext"]["readOnly"] = True
    with pytest.raises(kubernetes_validate.ValidationError, match="readOnly"):
        kubernetes_validate.validate(broken, version, strict=True)


def test_a_pod_may_do_little_and_a_shard_has_one_gpu():
    documents = list(yaml.safe_load_all(files.render("kubernetes", job())))
    for document in documents:
        pod = document["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in [*pod.get("initContainers", ()), *pod["containers"]]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
    shards, merge = (document["spec"] for document in documents)
    assert (shards["completionMode"], shards["completions"]) == ("Indexed", 2)
    (container,) = shards["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert "nvidia" not in str(merge)
    assert "nvidia" not in files.render("kubernetes", job(gpu=False))


@pytest.mark.parametrize("kind", SERVICES)
def test_services_start_as_many_shards_as_there_are(kind):
    read = yaml.safe_load(files.render(kind, job(parts=(Part(3),))))
    if kind == "github":
        assert read["jobs"]["shard"]["strategy"]["matrix"]["shard"] == [1, 2, 3]
        assert read["jobs"]["merge"]["if"] == "always()"
        assert read["jobs"]["shard"]["runs-on"] == ["self-hosted", "gpu"]
    else:
        assert read["shard"]["parallel"] == 3
        assert (read["merge"]["when"], read["shard"]["tags"]) == ("always", ["gpu"])
        assert "reports" not in read["shard"]["artifacts"]
        assert read["merge"]["artifacts"]["reports"] == {"junit": "merged/latest/junit/*.xml"}


@pytest.mark.parametrize("kind", SERVICES)
def test_every_word_reaches_the_harness_of_a_service(place, kind):
    shard, merge = SERVICES[kind](job(options=HOSTILE))
    done = place.run(shard, **{NUMBER[kind]: "2"})
    assert done.returncode == 0, done.stderr
    reports = "--reports=shards/shard-2"
    assert place.calls == [["run", "--shard=2/2", reports, *HOSTILE, "--flavors=tf1-tfkeras"]]
    run = place.directory / "shards" / "shard-2" / "20260101-000000-aaaa"
    assert sorted(path.name for path in run.iterdir()) == ["record.json"]  # and no link
    done = place.run(merge)
    assert done.returncode == 0, done.stderr
    assert "shard 1/2 has left no run" in done.stderr
    assert place.calls[1:] == [
        ["merge", "--reports=merged", f"{run.relative_to(place.directory)}/"]
    ]


def test_every_word_reaches_the_harness_of_a_pod(place, monkeypatch):
    monkeypatch.setattr(files, "_POD", (str(place.harness),))
    shard, merge = scripts.of_kubernetes(job(options=HOSTILE, gpu=False))
    here = str(place.directory / "reports")
    shard, merge = (text.replace("=/reports", f"={here}") for text in (shard, merge))
    first = place.run(shard, JOB_COMPLETION_INDEX="1", JOB_UID="a")
    assert first.returncode == 0, first.stderr
    (call,) = place.calls
    assert call[:3] == ["run", "--shard=2/2", f"--reports={here}/lms-tf1-tfkeras/shard-2"]
    assert tuple(call[3:]) == (*HOSTILE, "--flavors=tf1-tfkeras")
    shutil.rmtree(f"{here}/lms-tf1-tfkeras/shard-2/20260101-000000-aaaa")
    again = place.run(
        shard, JOB_COMPLETION_INDEX="1", JOB_UID="a", CODE="3"
    )  # a pod that began anew
    assert again.returncode == 3
    other = place.run(shard, JOB_COMPLETION_INDEX="1", JOB_UID="b")
    assert other.returncode == 4
    assert "is of an earlier Job" in other.stderr
    place.run(shard, JOB_COMPLETION_INDEX="0", JOB_UID="a", CODE="1")
    before = len(place.calls)
    done = place.run(merge)
    assert done.returncode == 0, done.stderr
    (call,) = place.calls[before:]
    assert call[:2] == ["merge", f"--reports={here}"]
    assert [path.split("/")[-3] for path in call[2:]] == ["shard-1", "shard-2"]


def test_slurm_gets_both_jobs_and_every_word_reaches_the_harness(place, tmp_path):
    root = tmp_path / "it's a $HOME `x` %A"
    root.mkdir()
    stand_in = tmp_path / "sbatch"
    stand_in.mkdir()
    reports = root / "reports"
    made = job(options=HOSTILE, root=root, python=place.harness, reports=PurePosixPath(reports))
    shard, merge, (array, behind) = scripts.of_slurm(made, stand_in)
    assert {"--array=1-2", "--gres=gpu:1", "--partition=a b"} <= set(array)
    assert f"--output={tmp_path}/it's a $HOME `x` %%A/reports/slurm-%A_%a.log" in array
    assert {"--dependency=afterany:77", "--wait", "--partition=a b"} <= set(behind)
    done = place.run(shard, SLURM_ARRAY_JOB_ID="77", SLURM_ARRAY_TASK_ID="2")
    assert done.returncode == 0, done.stderr
    called = Place.calls.fget  # the scripts go to the checkout
    place.directory = root
    prefix = ["-m", "harness", f"--root={root}"]
    reported = f"--reports={reports}/slurm-77/shard-2"
    assert called(place) == [
        [*prefix, "run", "--shard=2/2", reported, *HOSTILE, "--flavors=tf1-tfkeras"]
    ]
    done = place.run(merge)
    assert done.returncode == 0, done.stderr
    run = f"{reports}/slurm-77/shard-2/20260101-000000-aaaa/"
    assert called(place)[1:] == [[*prefix, "merge", f"--reports={reports}", run]]


@pytest.mark.parametrize("kind", SERVICES)
def test_a_shard_fails_where_it_could_not_run_and_not_for_its_verdict(place, kind):
    shard, merge = SERVICES[kind](job())
    codes = {}
    for code in (0, 1, 2, 3, 4, 130):
        codes[code] = place.run(shard, **{NUMBER[kind]: "1", "CODE": str(code)}).returncode
    assert codes == {0: 0, 1: 0, 2: 0, 3: 3, 4: 4, 130: 130}
    for code in codes:  # the verdict of the merge is the job's
        assert place.run(merge, CODE=str(code)).returncode == code


@pytest.mark.parametrize("kind", SERVICES)
def test_without_a_gpu_nothing_is_run_where_one_was_wanted(place, kind):
    place.without_gpu()
    done = place.run(SERVICES[kind](job())[0], **{NUMBER[kind]: "1"})
    assert done.returncode == 4
    assert "no GPU here" in done.stderr
    assert place.calls == []
    assert place.run(SERVICES[kind](job())[1]).returncode == 2  # of no shard nothing can be said
    assert place.calls == []
    assert place.run(SERVICES[kind](job(gpu=False))[0], **{NUMBER[kind]: "1"}).returncode == 0


@pytest.mark.parametrize("kind", SERVICES)
def test_of_a_shard_that_ran_again_the_newest_run_counts(place, kind):
    for name in ("20260101-000000-aaaa", "20260101-000001-aaaa", "20260102-000000-aaaa"):
        run = place.directory / "shards" / "shard-1" / name
        run.mkdir(parents=True)
        if not name.startswith("20260102"):  # it has no record
            (run / "record.json").touch()
    assert place.run(SERVICES[kind](job())[1]).returncode == 0
    assert place.calls[0][2:] == ["shards/shard-1/20260101-000001-aaaa/"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_says_what_made_it_and_ends_in_one_line(kind):
    text = files.render(kind, job())
    assert f"Generated by `harness ci-generate {kind}`: 2 shards of tf1-tfkeras." in text
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert "\n\n\n" not in text
