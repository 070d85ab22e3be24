"""Shards on a real Slurm of one node, submitted by the script that is generated for them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.record.models import RunRecord
from tests import small_runs
from tests.clusters.slurm import Slurm, slurm  # noqa: F401
from tests.paths import ROOT
from tests.projects import FLAVOR as SMALL_FLAVOR
from tests.projects import lay_out
from tests.records import what_failed

FLAVOR = "tf1-tfkeras"
SCENARIOS = "trainsaveweights-*,stale_artifact,wrong_epochs_checkpoint"

pytestmark = pytest.mark.slurm


def harness(*words: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", f"--root={root}", *words],
        env=small_runs.environment(),
        capture_output=True,
        text=True,
        timeout=900,
    )


def generate(reports: Path, *options: str, root: Path = ROOT) -> Path:
    """The script for three shards, with its reports in a directory of a test."""
    script = reports.parent / "submit.sh"
    words = ("--shards=3", f"--reports={reports}", f"--output={script}")
    done = harness("ci-generate", "slurm", *words, *options, root=root)
    assert done.returncode == 0, done.stderr
    return script


def verdicts(record: RunRecord) -> dict[str, dict[str, str]]:
    """The status of each check of each case."""
    return {
        case.id: {check.id: check.status.value for check in case.checks} for case in record.cases
    }


def logs(reports: Path) -> str:
    return "\n".join(path.read_text()[-3000:] for path in sorted(reports.glob("slurm-*.log")))


@pytest.mark.slow
@pytest.mark.tensorflow
def test_three_shards_say_what_one_run_says(slurm: Slurm, tmp_path: Path) -> None:  # noqa: F811
    options = ("--engine=venv", "--gpu=none", f"--flavors={FLAVOR}", f"--scenarios={SCENARIOS}")
    alone, spread = tmp_path / "one", tmp_path / "three shards"
    done = harness("run", f"--reports={alone}", *options)
    assert done.returncode == 0, what_failed(alone) + done.stderr
    one = small_runs.record_of(alone)

    script = generate(spread, *options)
    submitted = slurm.command("sh", str(script), "--wait", "--time=30", seconds=900)
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr + logs(spread)
    merged = small_runs.record_of(spread)
    assert merged.state == "finished"
    assert list(verdicts(merged)) == list(verdicts(one))
    assert verdicts(merged) == verdicts(one)
    assert {phase.key for phase in merged.phases} == {phase.key for phase in one.phases}
    (array,) = [path for path in spread.glob("slurm-*") if path.is_dir()]
    shards = [small_runs.record_of(array / f"shard-{number}") for number in (1, 2, 3)]
    assert all(shard.cases for shard in shards)
    assert sum(len(shard.cases) for shard in shards) == len(one.cases)
    assert f"shards: job array {array.name.removeprefix('slurm-')}, " in submitted.stdout
    assert (spread / "latest" / "junit" / f"{FLAVOR}.xml").is_file()


def test_shards_that_could_not_run_are_no_pass(slurm: Slurm, tmp_path: Path) -> None:  # noqa: F811
    """Each shard gets the node's one GPU, and finds that it is none."""
    if shutil.which("nvidia-smi") is not None:
        pytest.skip("there is a GPU here")
    root = small_runs.checkout(tmp_path / "check out")
    script = generate(tmp_path / "reports", "--shards=1", root=root)
    assert "--gres=gpu:1" in script.read_text()
    submitted = slurm.command("sh", str(script), "--wait")
    assert submitted.returncode == 2, submitted.stdout + submitted.stderr
    said = logs(tmp_path / "reports")
    assert "shard 1: no GPU here" in said
    assert "shard 1/1 has left no run" in said


def test_a_shard_that_is_missing_leaves_the_merged_run_without_a_verdict(
    slurm: Slurm,  # noqa: F811
    tmp_path: Path,
) -> None:
    flavors = {
        f"flavor-{number}": SMALL_FLAVOR.replace("3.11", small_runs.PYTHON) for number in (1, 2)
    }
    root = lay_out(tmp_path / "checkout", flavors=flavors)
    script = generate(tmp_path / "reports", "--engine=venv", "--gpu=none", root=root)
    # The second shard's node goes away before it begins; what the first has run fails, since its
    # scripts know of no LMS.
    lost = script.read_text().replace(
        "code=0\n", 'code=0\nif [ "$shard" = 2 ]; then kill -KILL $$; fi\n', 1
    )
    script.write_text(lost)
    submitted = slurm.command("sh", str(script), "--wait")
    assert submitted.returncode == 1, submitted.stdout + submitted.stderr + logs(tmp_path)
    merged = small_runs.record_of(tmp_path / "reports")
    assert merged.state == "aborted"
    assert any(note.startswith("shard 2/2 is missing") for note in merged.notes)
