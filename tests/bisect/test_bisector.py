"""Bisects over an engine that plays phases: ends, skips, stops, and what is used again."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from harness.base.claim import Claim
from harness.base.error import UsageError
from harness.bisect import bisection, bisector, derivation
from harness.bisect.bisection import Bisection
from harness.bisect.bisector import Question
from harness.catalog import catalog
from harness.plan import planner
from harness.record.checks import CheckId
from harness.run.settings import Settings
from tests.bisect.plays import Answers, Versioned, derivation_of
from tests.engines import Silent, nap
from tests.projects import lay_out

VERSIONS = tuple(f"1.{number}" for number in range(9))
CHECK = CheckId.PHASES_COMPLETE


def answers(first_bad: int, **others: str) -> dict[str, str]:
    """Bad from this one on, but for what is named as `v3="unbuildable"`."""
    found = {
        version: "bad" if number >= first_bad else "good" for number, version in enumerate(VERSIONS)
    }
    return {**found, **{f"1.{name[1:]}": answer for name, answer in others.items()}}


class Bench:
    """A checkout, and searches in it."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = lay_out(root)
        self.said: list[str] = []
        self.path = Path()
        self._monkeypatch = monkeypatch

    def bisect(
        self,
        given: Answers,
        then: Callable[[str], None] = lambda version: None,
        **changes: object,
    ) -> tuple[Bisection, list[str]]:
        """What was found, and the versions that ran."""
        self._monkeypatch.setattr(derivation, "make", derivation_of(given))
        selected = catalog.load(self.root).select([], [], ["save-predict"])
        plan = planner.make(selected)
        lock = self.root / "docker/flavors/test-flavor/requirements-cpu.txt"
        question = Question("alpha", VERSIONS, CHECK, None, False, lock, self.root / "flavors")
        engine = Versioned(given, then)
        settings = Settings(root=self.root, reports=self.root / "reports", data=self.root, jobs=1)

        def watch(title: str) -> nullcontext[Silent]:
            observer = Silent()
            observer.messages = self.said
            return nullcontext(observer)

        found, self.path = bisector.bisect(
            replace(question, **changes),
            plan,
            engine,
            settings,
            (),
            watch,  # type: ignore[arg-type]
        )
        assert Bisection.model_validate_json(self.path.read_bytes()) == found
        return found, engine.tried


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path / "checkout", monkeypatch)


@pytest.mark.parametrize("first_bad", range(1, 9))
def test_the_first_bad_version(bench: Bench, first_bad: int) -> None:
    found, tried = bench.bisect(answers(first_bad))
    assert (found.state, found.last, found.first) == (
        "found",
        f"1.{first_bad - 1}",
        f"1.{first_bad}",
    )
    assert bisection.exit_code(found) == 0
    assert tried[:4] == ["1.8", "1.8", "1.0", "1.0"]
    assert len(tried) == 4 + 3
    changed = [(change.name, change.last, change.first) for change in found.changes]
    assert changed[0] == ("alpha", found.last, found.first)
    assert (("beta", "1", "2") in changed) is (first_bad == 5)
    directories = {entry.run for entry in found.trials}
    assert all((bench.path.parent / str(name) / "record.json").is_file() for name in directories)


def test_the_repair(bench: Bench) -> None:
    given = {version: "bad" if version < "1.4" else "good" for version in VERSIONS}
    found, tried = bench.bisect(given, fixed=True)
    assert (found.state, found.last, found.first) == ("found", "1.3", "1.4")
    assert (found.good, found.bad, tried[0]) == ("1.8", "1.0", "1.0")
    assert "first good version: alpha 1.4; 1.3 is bad" in list(bisection.lines(found))


@pytest.mark.parametrize("how", ["unbuildable", "uninstallable", "otherwise"])
def test_what_cannot_be_judged_is_never_bad(bench: Bench, how: str) -> None:
    given = answers(5, v4=how, v3=how)
    found, _ = bench.bisect(given, pattern="exit code 1")
    assert (found.state, found.last, found.first) == ("range", "1.2", "1.5")
    assert found.between == ["1.3", "1.4"]
    assert bisection.exit_code(found) == 2
    words = "the first bad version of alpha is one of 1.3, 1.4, 1.5: 2 versions could not be judged"
    assert any(line.startswith(words) for line in bisection.lines(found))
    reasons = {entry.message for entry in found.trials if entry.version in found.between}
    said = {"unbuildable": "no solution", "uninstallable": "fits", "otherwise": "failed otherwise"}
    assert all(said[how] in reason for reason in reasons)


def test_what_cannot_be_judged_elsewhere_is_no_matter(bench: Bench) -> None:
    found, _ = bench.bisect(answers(2, v4="unbuildable"))
    assert (found.state, found.first, found.between) == ("found", "1.2", [])


def test_without_a_check_it_is_the_first_that_the_bad_end_fails(bench: Bench) -> None:
    found, _ = bench.bisect(answers(3), check=None)
    assert (found.check, found.first) == (CheckId.PHASES_COMPLETE, "1.3")
    assert [entry.verdict.value for entry in found.trials[:4]] == ["bad", "bad", "good", "good"]


@pytest.mark.parametrize("check", [CHECK, None])
@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (answers(9), r"alpha 1\.8 \(bad\) (passes|fails no check)"),
        (answers(0), r"alpha 1\.0 \(good\) fails: phases complete: .*exit code 1"),
        (answers(3, v8="bad,good"), r"alpha 1\.8 \(bad\) is flaky: bad, then good"),
        (answers(3, v8="good,bad"), r"alpha 1\.8 \(bad\) is flaky: good, then bad"),
        (answers(3, v0="good,bad"), r"alpha 1\.0 \(good\) is flaky: good, then bad"),
        (answers(3, v8="unbuildable"), r"alpha 1\.8 \(bad\) could not be judged: uv pip compile"),
        (answers(3, v0="uninstallable"), r"alpha 1\.0 \(good\) could not be judged: no wheel"),
        (
            {version: "bad" if version < "1.4" else "good" for version in VERSIONS},
            r"the ends are the wrong way round: alpha 1\.0 \(good\) fails and 1\.8 \(bad\) passes"
            r" .*--good 1\.8 --bad 1\.0 .*add --fixed",
        ),
    ],
)
def test_ends_that_are_no_ground_for_a_search(
    bench: Bench, given: dict[str, str], problem: str, check: CheckId | None
) -> None:
    found, tried = bench.bisect(given, check=check)
    assert re.match(problem, found.problem), found.problem
    assert (found.state, found.first, bisection.exit_code(found)) == ("not judged", None, 2)
    assert set(tried) <= {"1.0", "1.8"}
    assert f"not judged: {found.problem}" in list(bisection.lines(found))


def test_a_second_start_asks_nothing_again(bench: Bench) -> None:
    first, _ = bench.bisect(answers(5))
    again, tried = bench.bisect(answers(5))
    assert tried == []
    assert (again.first, again.trials) == (first.first, first.trials)
    narrower, tried = bench.bisect(answers(5), versions=VERSIONS[3:])
    assert (narrower.first, set(tried)) == ("1.5", {"1.3"})  # the other end is known
    found, tried = bench.bisect(answers(5))
    assert (found.first, tried) == ("1.5", [])  # a search in between has taken nothing away


def test_what_could_not_be_built_is_tried_again(bench: Bench) -> None:
    assert bench.bisect(answers(5, v4="uninstallable"))[0].state == "range"
    found, tried = bench.bisect(answers(5))
    assert (found.state, found.first, tried[0]) == ("found", "1.5", "1.4")
    assert tried.count("1.5") == tried.count("1.8") == 0


def test_scripts_that_have_changed_are_another_search(bench: Bench) -> None:
    bench.bisect(answers(5))
    with (bench.root / "scenarios/families/basic/predict.py").open("a") as script:
        script.write("\n# changed\n")
    assert len(bench.bisect(answers(5))[1]) == 7


@pytest.mark.parametrize("moment", ["1.8", "1.4"])
def test_a_stopped_search_goes_on_where_it_was(bench: Bench, moment: str) -> None:
    def stop(version: str) -> None:
        if version == moment:
            os.kill(os.getpid(), signal.SIGINT)
            nap(0.2)

    found, tried = bench.bisect(answers(5), stop)
    assert (found.state, bisection.exit_code(found)) == ("interrupted", 130)
    shown = list(bisection.lines(found))
    assert shown[-1] == "interrupted: the same command goes on from here"
    if moment == "1.4":
        assert (found.last, found.first) == ("1.0", "1.8")
        assert any("7 versions are not judged yet" in line for line in shown)
    whole, rest = bench.bisect(answers(5))
    assert (whole.state, whole.first) == ("found", "1.5")
    done = len(tried) - 1  # the one that was stopped does not count
    assert len(rest) == 7 - done


def test_one_search_at_a_time(bench: Bench) -> None:
    bench.bisect(answers(5))
    claim = Claim(bench.path.with_suffix(".lock"))
    assert claim.take()
    with pytest.raises(UsageError, match="another bisect is at the same search"):
        bench.bisect(answers(5))
    claim.release()


def test_a_damaged_file_is_no_end_of_it(bench: Bench) -> None:
    bench.bisect(answers(5))
    bench.path.write_bytes(b"{\xff")
    assert len(bench.bisect(answers(5))[1]) == 7


def test_each_trial_is_told(bench: Bench) -> None:
    bench.bisect(answers(5, v4="unbuildable"))
    lines = [line for line in bench.said if line.startswith("alpha ")]
    assert lines[0].startswith("alpha 1.8: bad (")
    assert lines[1].startswith("alpha 1.8 again: bad (")
    assert any(line.startswith("alpha 1.4: not judged (") for line in lines)


@pytest.mark.parametrize(
    ("check", "kinds"),
    [
        (CheckId.PHASES_COMPLETE, {"", ".control"}),
        (CheckId.STATE_RESTORED, {""}),
        (CheckId.RESULT_UNCHANGED, {"", ".control"}),
        (CheckId.SWAPPING_AS_BEFORE, {""}),
        (None, {"", ".control"}),
    ],
)
def test_no_more_is_run_than_the_check_rests_on(
    bench: Bench, check: CheckId | None, kinds: set[str]
) -> None:
    bench.bisect(answers(5), check=check)
    (run, *_) = bench.path.parent.glob("2*")
    phases = {path.name for path in (run / "phases").iterdir()}
    last = "test-flavor.basic.save-predict"
    assert phases == {f"{last}.save", *(f"{last}.load{kind}" for kind in kinds)}
