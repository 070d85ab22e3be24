from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from harness.record.models import Outcome, PhaseRecord
from harness.resumption import takeover
from harness.resumption.source import Source
from tests import records

# save <- load <- again, save <- other; alone reads nothing.
INPUTS = {"save": None, "load": "save", "again": "load", "other": "save", "alone": None}
IDENTITIES = {key: f"identity of {key}" for key in INPUTS}


def why(
    without: Collection[str] = (),
    gone: Collection[str] = (),
    broken: Collection[str] = (),
    **changes: dict[str, object],
) -> dict[str, str]:
    """Reasons for a run that has all phases.

    Args:
        without: phases that it does not have.
        gone: phases whose artifacts are gone.
        broken: phases whose logs are.
        changes: of the record of a phase.
    """
    phases: dict[str, PhaseRecord] = {
        key: records.phase(key, **{"identity": IDENTITIES[key], **changes.get(key, {})})
        for key in INPUTS
        if key not in without
    }
    return takeover.choose(
        INPUTS, IDENTITIES, phases, lambda key: key not in broken, lambda key: key not in gone
    )


def test_what_completed_as_the_same_thing_stands() -> None:
    assert why() == {}
    assert why(gone=INPUTS) == {}  # nobody reads artifacts any more


def test_what_did_not_complete_runs_again_with_what_reads_it() -> None:
    for outcome in Outcome:
        if outcome is not Outcome.COMPLETED:
            assert set(why(load={"outcome": outcome})) == {"load", "again"}
    assert set(why(without=["other"])) == {"other"}
    assert set(why(without=["save"])) == {"save", "load", "again", "other"}


def test_another_thing_and_one_that_says_not_what_it_was_run() -> None:
    assert why(alone={"identity": "x"}) == {"alone": "other than there"}
    assert why(alone={"identity": ""}) == {"alone": "other than there"}
    assert why(broken=["alone"]) == {"alone": "without all of its files there"}


def test_an_input_whose_artifacts_are_gone_runs_with_all_that_was_read_from_it() -> None:
    assert why(without=["again"], gone=["load"]) == {
        "again": "not completed there",
        "load": "needed, its artifacts are gone there",
    }
    found = why(without=["again"], gone=["load", "save"])
    assert found["save"] == "needed, its artifacts are gone there"
    assert found["other"] == "after one that runs again"
    assert "alone" not in found


def run(name: str, before: Source | None = None, **executors: str) -> Source:
    """A run with these phases, each with the run that executed it ("" for itself)."""
    phases = [
        records.phase(key, identity=IDENTITIES[key], taken_from=executor)
        for key, executor in executors.items()
    ]
    record = records.run().model_copy(update={"id": name, "phases": phases})
    return Source(Path(name), record, before)


def held(source: Source) -> dict[str, tuple[str, str]]:
    found = takeover.hold(source, INPUTS, IDENTITIES)
    return {key: (str(entry.place.parent.parent), entry.executor) for key, entry in found.items()}


def test_a_run_that_had_taken_over_nothing_yet_has_what_it_went_on_with() -> None:
    first = run("first", save="", load="", alone="")
    assert held(run("second", first)) == {
        "save": ("first", "first"),
        "load": ("first", "first"),
        "alone": ("first", "first"),
    }


def test_the_latest_execution_counts_and_what_read_another_one_does_not() -> None:
    first = run("first", save="", load="", again="", other="", alone="")
    assert held(run("second", first, save="", load="")) == {
        "save": ("second", "second"),
        "load": ("second", "second"),
        "alone": ("first", "first"),
    }
    # What was taken over is the same execution, wherever it lies.
    assert held(run("second", first, save="first")) == {
        "save": ("second", "first"),
        **dict.fromkeys(("load", "again", "other", "alone"), ("first", "first")),
    }


def test_of_two_executions_that_of_the_same_thing_counts() -> None:
    first = run("first", alone="")
    second = run("second", first, alone="")
    other = second.record.phases[0].model_copy(update={"identity": "x"})
    changed = Source(second.directory, second.record.model_copy(update={"phases": [other]}), first)
    assert held(changed) == {"alone": ("first", "first")}


def test_names_of_groups_are_names_of_directories_or_none() -> None:
    for name in ("a.1", "flavor.family.script.2"):
        assert takeover.group_of(records.phase("x", details={"group": name})) == name
    for hostile in ("../x", "/etc", "..", ".", "", "a\0b", 5, ["a"]):
        assert takeover.group_of(records.phase("x", details={"group": hostile})) is None


def test_what_differs_is_named_once_in_order() -> None:
    assert takeover.differing({"a": "1", "b": "2"}, {"b": "3", "c": ""}) == ["a", "b", "c"]
    assert takeover.differing({"a": "1"}, {"a": "1"}) == []
