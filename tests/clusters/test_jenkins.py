"""The pipeline for Jenkins, evaluated without Jenkins by the version of Groovy that it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.clusters import files
from harness.clusters.job import Part
from tests.clusters.jobs import HOSTILE, Place, job
from tests.clusters.scripts import calls, pipeline
from tests.paths import ROOT

pytestmark = pytest.mark.groovy


def test_shards_are_a_matrix_and_one_stage_merges_and_publishes(tmp_path):
    (found,) = pipeline(files.render("jenkins", job(parts=(Part(3),))), tmp_path)
    (matrix,) = calls(found, "matrix")
    (values,) = calls(matrix["body"], "values")
    assert values["arguments"] == ["1", "2", "3"]
    assert calls(matrix["body"], "name")[0]["arguments"] == ["SHARD"]
    assert calls(matrix["body"], "label")[0]["arguments"] == ["gpu"]
    (stash,) = calls(matrix["body"], "stash")
    assert stash["arguments"][0]["name"] == "shard-2"
    assert calls(matrix["body"], "junit") == []
    assert [stage["arguments"] for stage in calls(found, "stage")] == [
        ["Shards"],
        ["Shard"],
        ["Merge"],
    ]
    (merge,) = [stage for stage in calls(found, "stage") if stage["arguments"] == ["Merge"]]
    taken = [call["arguments"] for call in calls(merge["body"], "unstash")]
    assert taken == [["shard-1"], ["shard-2"], ["shard-3"]]
    (junit,) = calls(found, "junit")
    assert junit["arguments"][0]["skipMarkingBuildUnstable"] is True
    assert calls(merge["body"], "junit") == [junit]


def test_without_a_gpu_any_agent_will_do(tmp_path):
    (found,) = pipeline(files.render("jenkins", job(gpu=False)), tmp_path)
    assert [call["arguments"] for call in calls(found, "agent")] == [["none"], ["any"], ["any"]]
    assert "nvidia" not in str(found)


def test_every_word_reaches_the_harness(tmp_path):
    place = Place(tmp_path / "place")
    (found,) = pipeline(files.render("jenkins", job(options=HOSTILE)), tmp_path)
    first, last = calls(found, "sh")[0], calls(found, "sh")[2]
    done = place.run(first["arguments"][0], SHARD="2")
    assert done.returncode == 0, done.stderr
    reports = "--reports=shards/shard-2"
    assert place.calls == [["run", "--shard=2/2", reports, *HOSTILE, "--flavors=tf1-tfkeras"]]
    assert place.run(last["arguments"][0]["script"], CODE="1").returncode == 1
    run = "shards/shard-2/20260101-000000-aaaa/"
    assert place.calls[1:] == [["merge", "--reports=merged", run]]


@pytest.mark.parametrize("text", ["generated", "of the project"])
def test_two_codes_make_a_build_unstable_and_all_others_fail_it(tmp_path, text):
    own = (ROOT / "Jenkinsfile").read_text()
    codes = (0, 1, 2, 3, 4, 130)
    trees = pipeline(
        files.render("jenkins", job()) if text == "generated" else own, tmp_path, *codes
    )
    named = {
        code: [name for name in ("unstable", "error") if calls(tree, name)]
        for code, tree in zip(codes, trees, strict=True)
    }
    assert named == {
        0: [],
        1: ["unstable"],
        2: ["unstable"],
        3: ["error"],
        4: ["error"],
        130: ["error"],
    }


def test_what_is_no_groovy_is_seen(tmp_path):
    broken = files.render("jenkins", job()).replace("axes {", "axes {{", 1)
    with pytest.raises(AssertionError, match="MultipleCompilationErrorsException"):
        pipeline(broken, tmp_path)


def test_links_are_gone_before_anything_is_archived(tmp_path):
    (found,) = pipeline(files.render("jenkins", job()), tmp_path)
    (always,) = calls(found, "always")[1:]
    assert [call["name"] for call in always["body"]] == ["sh", "junit", "archiveArtifacts"]
    run = tmp_path / "merged" / "run"
    run.mkdir(parents=True)
    (run / "kept").touch()
    (run / "link").symlink_to("/etc")
    Path(tmp_path / "merged" / "latest").symlink_to("run")
    place = Place(tmp_path / "place")
    place.directory = tmp_path
    assert place.run(always["body"][0]["arguments"][0]).returncode == 0
    assert [path.name for path in run.iterdir()] == ["kept"]
