"""Annotations and step summaries within GitHub's limits, and commands that no log gives."""

from __future__ import annotations

import re

import pytest
from hypothesis import given

from harness.base.error import HarnessError
from harness.base.text import clean
from harness.record.checks import CheckId, Status
from harness.record.comparison import Change, Comparison
from harness.report import summary
from harness.report.ci import github
from tests import records

HERE = {"GITHUB_ACTIONS": "true"}
COMMAND = re.compile(r"::(error|warning) title=([^:,\r\n]*)::([^\r\n]*)\Z")


def failing(count: int, status: Status = Status.FAILED):
    check = records.check(CheckId.EDIT_TOOK_EFFECT, status, "100 % wrong")
    checks = records.checks(edit_took_effect=check)
    return [records.case(f"s{number}", checks=checks) for number in range(count)]


def test_an_error_for_each_failed_case_and_a_warning_for_each_that_was_not_judged():
    lines = github.annotated(records.run())
    kinds = [COMMAND.match(line)[1] for line in lines]
    assert kinds == ["error"] * 3 + ["warning"] * 2
    assert lines[0].startswith(
        "::error title=tf1-tfkeras.keras_saveload.weights-session%3A edit took effect::37"
    )
    assert "%0Areproduce: make repro FLAVOR=tf1-tfkeras" in lines[0]
    assert github.annotated(records.green()) == []


def test_a_percent_sign_is_escaped_once():
    (line,) = github.annotated(records.record(failing(1)))
    assert "::100 %25 wrong%0A" in line


@pytest.mark.parametrize(("count", "shown"), [(9, 9), (10, 10), (11, 10), (500, 10)])
def test_ten_of_a_kind_at_most_and_the_last_tells_of_the_rest(count, shown):
    lines = github.annotated(records.record(failing(count) + failing(count, Status.ERROR)))
    assert sum(line.startswith("::error ") for line in lines) == shown
    errors = [line for line in lines if line.startswith("::error ")]
    told = count - shown + 1 if count > shown else 0
    assert errors[-1].startswith(f"::error title=and {told} more%2C which") is bool(told)


def test_what_fails_newly_comes_first():
    change = Change(
        case="tf1-tfkeras.keras_saveload.s12",
        check=CheckId.EDIT_TOOK_EFFECT,
        before=Status.PASSED,
        after=Status.FAILED,
        message="x",
    )
    compared = Comparison(base=["b"], run="r", failing=[change])
    record = records.record(failing(20)).model_copy(update={"comparison": compared})
    first = github.annotated(record)[0]
    assert ".s12%3A" in first
    assert "edit took effect was passed in the baseline" in first


def test_a_run_that_did_not_end_is_a_warning():
    record = records.record([], state="aborted", notes=["the run was aborted: disk full"])
    assert github.annotated(record) == [
        "::warning title=the run is aborted::the run was aborted: disk full"
    ]


@given(records.ANYTHING)
def test_whatever_a_record_says_a_line_is_one_command(text):
    check = records.check(CheckId.EDIT_TOOK_EFFECT, Status.FAILED, clean(text) or "x")
    case = records.case("one", checks=records.checks(edit_took_effect=check), reproduce=text)
    (line,) = github.annotated(records.record([case]))
    assert COMMAND.match(line), line


def test_no_log_gives_commands_while_it_is_shown():
    said: list[str] = []
    with github.commands_stopped(said.append, HERE):
        said.append("::add-mask::passed")
    stop, _, resume = said
    token = stop.removeprefix("::stop-commands::")
    assert len(token) == 32
    assert resume == f"::{token}::"
    again: list[str] = []
    with pytest.raises(ValueError, match="x"), github.commands_stopped(again.append, HERE):
        raise ValueError("x")
    assert again[-1] == f"::{again[0].removeprefix('::stop-commands::')}::"
    assert again[0] != stop  # a token that a log knows would be none


def test_outside_of_github_nothing_is_said_nor_written(tmp_path):
    said: list[str] = []
    with github.commands_stopped(said.append, {}):
        pass
    assert said == []
    path = tmp_path / "summary"
    assert github.write_summary("x", "w", {"GITHUB_STEP_SUMMARY": str(path)}) is None
    assert github.write_summary("x", "w", HERE) is None
    assert not path.exists()


def test_a_summary_that_fits_is_whole():
    text = summary.markdown(records.run())
    assert github.step_summary(text, len(text.encode()), "w") == text


def test_one_that_does_not_is_cut_at_whole_sections_which_are_named():
    text = (
        "# é\n\nverdict\n\n## Small\n\na\n\n### Large `x`\n\n" + "b" * 5000 + "\n\n### Last\n\nc\n"
    )
    cut = github.step_summary(text, 1000, "reports/run/summary.md")
    assert len(cut.encode()) <= 1000
    assert cut.startswith("# é\n\nverdict\n\n## Small\n\na\n\n### Last\n\nc\n")
    assert "\n**Cut** for GitHub's limit of 1 MiB: Large `x`. All of it is in" in cut
    assert cut.endswith(" `reports/run/summary.md`.\n")


def test_the_summary_of_very_many_cases_is_within_the_limit(tmp_path):
    path = tmp_path / "summary"
    path.write_text("an earlier command's\n" * 1000)
    record = records.record(
        [
            case.model_copy(update={"flavor": f"flavor-{number}"})
            for number in range(40)
            for case in failing(300)
        ]
    )
    environ = {**HERE, "GITHUB_STEP_SUMMARY": str(path)}
    assert github.write_summary(summary.markdown(record), "w", environ) == path
    text = path.read_text()
    assert 2**19 < len(text.encode()) <= 2**20
    assert text.startswith("an earlier command's\n")
    assert "**Cut** for GitHub's limit of 1 MiB" in text


def test_a_summary_that_cannot_be_written_is_one_line(tmp_path):
    environ = {**HERE, "GITHUB_STEP_SUMMARY": str(tmp_path / "none" / "summary")}
    with pytest.raises(HarnessError, match="cannot write the summary of the step"):
        github.write_summary("x", "w", environ)


def test_a_phase_that_was_tried_again_is_a_notice_and_no_more():
    (line,) = github.annotated(records.tried_again("50 % of\n::error::it"))
    assert line.startswith("::notice title=tf1-tfkeras.trainsave-loadtrain.load was tried again::")
    assert line.endswith("on GPU-1: 50 %25 of ::error::it")
    assert "\n" not in line
