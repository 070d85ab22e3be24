"""The real command: runs that go on, what failed again, shards and their merge."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from harness.base.error import EXIT_FAILED, EXIT_NOT_JUDGED, EXIT_PASSED, EXIT_USAGE
from harness.record import store
from harness.record.models import Outcome
from tests import records
from tests.projects import FLAVOR, lay_out
from tests.small_runs import PYTHON, arguments, environment, finish, run_arguments, start

FLAVORS = ("one", "two")
SCRIPT = """
import json, os

def say(event, **fields):
    print(":::LMS " + json.dumps(dict(fields, event=event)), flush=True)

swapped = os.environ["LMS_PROVIDER"] != "off"
moved, peak = (2, 40) if swapped else (0, 100)
if swapped:
    say("lms_edited", provider="builtin", operations=4, swap_out=2, swap_in=2, ms=3.0)
say("digest", of="weights", stage="STAGE", sha256="a" * 64, tensors=8, bytes=64)
say("metric", name="loss", value=0.5, epoch=1, split="train")
say(
    "trace", function="train", batch=32, meter="allocations", swap_out=moved, swap_in=moved,
    bytes_out=moved * 2**20, bytes_in=moved * 2**20, peak_accelerator=peak * 2**20, peak_host=0,
)
with open(os.path.join(os.environ["OUTPUT_DIR"], "model.h5"), "w") as file:
    file.write("weights")
say("done")
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with two flavors, its environments made."""
    root = tmp_path_factory.mktemp("spread") / "checkout"
    lay_out(
        root,
        flavors=dict.fromkeys(FLAVORS, FLAVOR.replace("3.11", PYTHON)),
        scripts={
            "save.py": SCRIPT.replace("STAGE", "saved"),
            "load.py": SCRIPT.replace("STAGE", "restored"),
        },
    )
    return root


def harness(root: Path, reports: Path, *options: str, **variables: str) -> tuple[int, str]:
    """Runs `harness run`; its exit code and all it printed."""
    process = start(run_arguments(root, reports, *options), env=environment(**variables))
    code, out, err = finish(process)
    return code, out + err


def merge(root: Path, reports: Path, *places: Path) -> tuple[int, str]:
    words = [str(place) for place in places]
    code, out, err = finish(start(arguments(root, "merge", f"--reports={reports}", *words)))
    return code, out + err


SELECTED = ("--scenarios=save-load", "--jobs=2")


def latest(reports: Path) -> Path:
    return (reports / "latest").resolve()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_shards_of_the_command_are_merged_by_the_command(checkout: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        code, said = harness(checkout, tmp_path / f"{number}", f"--shard={number}/2", *SELECTED)
        assert code == EXIT_PASSED, said
        assert f"note: shard {number}/2: 1 of 2 cases, 3 of 6 phases" in said
    code, said = merge(checkout, tmp_path / "all", tmp_path / "1", tmp_path / "2")
    assert code == EXIT_PASSED, said
    assert "2 cases: 2 passed" in said
    record = store.load(latest(tmp_path / "all"))
    assert len(record.phases) == 6
    code, said = merge(checkout, tmp_path / "all", tmp_path / "1")
    assert code == EXIT_NOT_JUDGED
    assert "shard 2/2 is missing: 1 case without a verdict: two.basic.save-load" in said
    # What is missing is run by going on with what was merged.
    code, said = harness(checkout, tmp_path / "all", "--resume=latest")
    assert code == EXIT_PASSED, said
    assert "3 of 6 phases taken over" in said


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_killed_run_goes_on_with_what_was_selected_and_given(
    checkout: Path, tmp_path: Path
) -> None:
    reports = tmp_path / "reports"
    fault = """
        import os, signal
        from harness.record.journal import Journal
        append, seen = Journal._append, []
        def killed(journal, entry):
            append(journal, entry)
            seen.append(entry)
            if len(seen) == 2:
                os.kill(os.getpid(), signal.SIGKILL)
        Journal._append = killed
    """
    options = (*SELECTED, "--flavors=two", "--strict", "--activations-mib=7")
    code, _, _ = finish(start(run_arguments(checkout, reports, *options, fault=fault)))
    assert code == -signal.SIGKILL
    first = latest(reports).name
    code, said = harness(checkout, reports, "--resume=latest")
    assert code == EXIT_PASSED, said
    record = store.load(latest(reports))
    assert f"phases taken over from run {first}; 1 phase to run: 1 not completed there" in said
    assert "taken over" in said
    assert [case.id for case in record.cases] == ["two.basic.save-load"]
    assert (record.strict, record.options["activations_mib"]) == (True, 7)
    assert {phase.taken_from for phase in record.phases} == {first, ""}
    code, said = harness(checkout, reports, "--resume=latest")
    assert (code, "there is nothing to resume; --failed" in said) == (EXIT_USAGE, True)
    code, said = harness(checkout, reports, "--failed=latest")
    assert (code, "nothing to run" in said) == (EXIT_PASSED, True)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_failed_runs_again_and_nothing_else(checkout: Path, tmp_path: Path) -> None:
    reports, script = tmp_path / "reports", checkout / "scenarios/families/basic/load.py"
    text = script.read_text()
    script.write_text(f"import sys\nif '/two-' in sys.prefix: sys.exit(1)\n{text}")
    try:
        code, said = harness(checkout, reports, *SELECTED)
        assert code == EXIT_FAILED, said
    finally:
        script.write_text(text)
    code, said = harness(checkout, reports, "--failed=latest")
    assert code == EXIT_PASSED, said
    record = store.load(latest(reports))
    assert [case.id for case in record.cases] == ["two.basic.save-load"]
    assert {phase.outcome for phase in record.phases} == {Outcome.COMPLETED}
    assert not any(phase.taken_from for phase in record.phases)


WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "shard": (("--shard=6/5",), "the number is from 1 to the count"),
    "both": (("--resume=a", "--failed=b"), "exclude each other"),
    "shard of what failed": (("--failed=a", "--shard=1/2"), "exclude each other"),
    "no run": (("--resume=none",), "no run in none"),
    "no durations": (("--shard=1/2", "--durations=none"), "none is not there"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_one_line(checkout: Path, tmp_path: Path, name: str) -> None:
    options, words = WRONG[name]
    code, said = harness(checkout, tmp_path, *options)
    assert code == EXIT_USAGE
    assert words in said
    assert len(said.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def record_with(reports: Path, **options: Any) -> Path:
    """A run that did not end, as anybody may write it."""
    directory = reports / "20200101-000000-aaaa"
    directory.mkdir(parents=True)
    changes = {"state": "aborted", "options": options, "accelerator": "virtual", "engine": "venv"}
    store.write(records.run().model_copy(update=changes), directory)
    return directory


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "does not say what was selected"),
        ({"depth": "hostile"}, "its option depth is none"),
        ({"jobs": {"a": 1}}, "its option jobs is none"),
        ({"flavors_patterns": 5}, "its option flavors_patterns is none"),
        ({"provider": "/tmp/evil.py:Evil"}, "with a provider of its own file"),
        ({"provider": "evil.py:Evil"}, "with a provider of its own file"),
    ],
)
def test_options_of_a_record_are_checked_and_name_no_file(
    checkout: Path, tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    directory = record_with(tmp_path / "reports", **options)
    code, said = harness(checkout, tmp_path / "reports", f"--resume={directory}")
    assert code == EXIT_USAGE
    assert words in said
    assert len(said.strip().splitlines()) == 1


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["pipe", "huge", "cut", "directory"])
def test_a_record_that_is_none_is_one_line(checkout: Path, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "run" / "record.json"
    path.parent.mkdir()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "huge":
        with path.open("wb") as file:
            file.truncate(2**40)
    elif kind == "cut":
        path.write_text(json.dumps({"id": "x"}))
    else:
        path.mkdir()
    for code, said in (
        harness(checkout, tmp_path / "reports", f"--resume={path.parent}"),
        merge(checkout, tmp_path / "reports", path.parent),
    ):
        assert code == EXIT_USAGE
        assert len(said.strip().splitlines()) == 1
        assert "record.json" in said
