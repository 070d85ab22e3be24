"""What a person reads after a run."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from rich.console import Console

from harness.base import markdown
from harness.record.checks import CheckId, Status
from harness.record.models import FlavorRecord, RunRecord
from harness.report import summary
from tests import records
from tests.records import ANYTHING, KERAS22, TF1


def shown(record: RunRecord, width: int = 80, terminal: bool = False, encoding: str = "") -> str:
    """The summary as a console prints it."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding or "utf-8", write_through=True)
    summary.terminal(record, Console(file=file, width=width, force_terminal=terminal))
    return raw.getvalue().decode(encoding or "utf-8")


def head(record: RunRecord) -> list[str]:
    return shown(record).strip().splitlines()[:3]


# --- the first lines --------------------------------------------------------------------------


def test_the_first_lines_say_what_became_of_the_run() -> None:
    assert head(records.run()) == [
        "FAILED: 3 of 40 checks failed, 9 could not be judged, 1 of 2 canaries caught",
        "11 cases: 4 passed, 3 failed, 2 not judged, 2 skipped; 62.7 s",
        "engine venv, on a virtual accelerator (no GPU), LMS provider builtin",
    ]
    assert head(records.green())[:2] == [
        "PASSED: 8 checks passed, 1 of 1 canaries caught",
        "3 cases: 2 passed, 1 skipped; 62.7 s",
    ]


def test_a_run_that_judged_nothing_is_not_passed() -> None:
    skipped = records.record([records.case("one", checks=[], skip="not here")])
    assert head(skipped)[0] == "NOT JUDGED: no check was judged"
    assert head(records.record([]))[0] == "NOT JUDGED: no check was judged"


def test_an_interrupted_run_says_so_first() -> None:
    run = records.record([records.case("one")], state="interrupted")
    assert head(run)[0] == "NOT JUDGED: the run is interrupted, 8 checks passed"


def test_a_gpu_is_named() -> None:
    gpu = {"name": "NVIDIA H200", "uuid": "GPU-1"}
    run = records.record([records.case("one")], accelerator="gpu", gpu=gpu)
    assert head(run)[2] == "engine venv, on NVIDIA H200, LMS provider builtin"
    assert "virtual" not in shown(run)
    assert "| GPU uuid | GPU-1 |" in summary.markdown(run)


# --- what it holds ----------------------------------------------------------------------------


@pytest.mark.parametrize("text", [shown(records.run()), summary.markdown(records.run())])
def test_a_failure_has_its_reason_and_the_way_to_reproduce_it(text: str) -> None:
    assert "37 operations were changed after a session had run them" in text
    assert "make repro FLAVOR=tf1-tfkeras SCENARIO=weights-session GPU=none" in text
    assert "failed (exit code 1) after 2.3 s" in text
    assert "not caught: all checks passed" in text
    assert "keras-team Keras has no tf.train.Checkpoint (tf1-keras22 x 2)" in text
    assert text.count("This mutation will have no effect") <= 1  # 37 equal lines are shown once


def test_how_swapping_was_confirmed_has_both_peaks_and_the_bytes() -> None:
    assert "trainsave-loadtrain" in shown(records.green())
    assert "peak 82.7 -> 46.0 MiB, 36.7 MiB out" in shown(records.green())
    assert records.SWAPPED in summary.markdown(records.green())
    assert "caught by 'edit took effect'" in shown(records.green())


def test_without_the_numbers_the_message_says_it() -> None:
    check = records.check(CheckId.SWAPPING_CONFIRMED, message="confirmed: by eye", numbers={})
    assert "confirmed: by eye" in shown(records.record([records.case("one", checks=[check])]))


def test_checks_that_fail_for_one_reason_are_told_once() -> None:
    checks = "LMS edited the graph, edit took effect, state restored, swapping confirmed, result"
    assert shown(records.run()).count(checks) == 1
    markdown = summary.markdown(records.run())
    assert markdown.count("**: not judged: load phase failed") == 1


@pytest.mark.parametrize("error", [False, True])
def test_an_unavailable_flavor_is_loud(error: bool) -> None:
    flavor = FlavorRecord(id=KERAS22, unavailable="no Python 3.7 was found", error=error)
    cases = [
        records.case("one"),
        *(
            records.case(f"s{n}", KERAS22, checks=[], skip="no Python 3.7 was found")
            for n in range(9)
        ),
    ]
    run = records.record(cases, flavors=[FlavorRecord(id=TF1), flavor])
    for text in (shown(run), summary.markdown(run)):
        assert f"{KERAS22} is not available: no Python 3.7 was found" in text
        assert ("infrastructure error" in text) is error


def test_fallbacks_are_noted_and_what_a_virtual_accelerator_proves() -> None:
    for text in (shown(records.run()), summary.markdown(records.run())):
        flat = " ".join(text.split())
        assert "no Docker daemon answers: the venv engine is used" in flat
        assert "proves nothing about GPU memory" in flat
    noted = records.record([records.case("one")], notes=["a virtual accelerator was used"])
    assert "proves nothing" not in shown(noted)


def test_many_failures_are_bounded() -> None:
    check = records.check(CheckId.STATE_RESTORED, Status.FAILED, "weights differ")
    run = records.record([records.case(f"s{n}", checks=[check]) for n in range(300)])
    assert shown(run).count("weights differ") == summary.TERMINAL_PROBLEMS
    assert "and 288 more that did not pass" in shown(run)
    assert "And 200 more" in summary.markdown(run)


# --- how it looks -----------------------------------------------------------------------------


def test_lines_fit_into_100_columns_except_what_is_to_be_copied() -> None:
    for line in shown(records.run()).splitlines():
        assert len(line) <= 100 or "reproduce:" in line
        assert line == line.rstrip()


def test_plain_output_has_no_control_sequences_and_a_terminal_has_colours() -> None:
    assert "\x1b" not in shown(records.run())
    assert "\x1b[" in shown(records.run(), terminal=True)


@pytest.mark.parametrize("width", [20, 40, 200])
def test_any_width_works(width: int) -> None:
    assert "FAILED" in shown(records.run(), width, terminal=True)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_unicode_does_not_end_the_run(encoding: str) -> None:
    run = records.record([records.case("one", checks=[], skip="→ 😀")])
    assert "skipped" in shown(run, encoding=encoding)


# --- hostile text -----------------------------------------------------------------------------


def hostile(text: str) -> RunRecord:
    check = records.check(
        CheckId.SWAPPING_CONFIRMED,
        Status.FAILED,
        text.encode("utf-8", "replace").decode() or "-",
        lines=[text, f"load:1: {text}"],
        numbers={text: text, "peak_bytes": 1},
    )
    cases = [
        records.case("one", checks=[check], reproduce=text, description=text),
        records.case("two", checks=[records.check(CheckId.CAUGHT, message="ok")], expects="caught"),
        records.case(text, text, checks=[], skip=text, family=text),
    ]
    flavors = [
        FlavorRecord(id=TF1, provenance={text: text}),
        FlavorRecord(id="b", unavailable=text),
    ]
    return records.record(
        cases, notes=[text], command=text, host={text: text}, flavors=flavors, engine=text
    )


@given(ANYTHING)
@example("``")
@settings(max_examples=60, deadline=None)
def test_no_text_breaks_the_summary(text: str) -> None:
    run = hostile(text)
    assert re.search(r"^FAILED: 1 of ", shown(run), re.MULTILINE)
    plain = shown(run)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", plain.replace("\x85", ""))
    markdown = summary.markdown(run)
    markdown.encode("utf-8")
    outside = re.sub(r"(?ms)^(`{3,})text\n.*?^\1$", "", markdown)  # without the log lines
    rows = [line for line in outside.split("\n") if line.startswith("|")]
    assert len(rows) > 10
    for row in rows:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) in (3, 6)
    # What opens a fence has no backtick behind it: https://spec.commonmark.org/0.31.2/#code-fence
    assert not re.search(r"(?m)^ {0,3}`{3,}[^`\n]*$", outside)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b", r"a\|b"),
        ("a\nb", "a b"),
        ("`code`", r"\`code\`"),
        ("<script>&", "&lt;script&gt;&amp;"),
        ("[x](http://y)", r"\[x\](http://y)"),
        ("![x](y)", r"\!\[x\](y)"),
        ("*_x_*", r"\*\_x\_\*"),
        ("swap_out", "swap_out"),
        ("back\\slash|", r"back\\slash\|"),
        ("# title", r"\# title"),
        ("\x1b[1mbold", "bold"),
    ],
)
def test_markdown_shows_text_as_it_is(text: str, escaped: str) -> None:
    assert markdown.escape(text) == escaped


def test_code_keeps_backticks() -> None:
    assert markdown.code("a`b``c") == "```a`b``c```"
    assert markdown.code("`a`") == "`` `a` ``"
    fenced = summary._fenced(["````", "x"])
    assert fenced.splitlines()[0] == "`````text"


def test_markup_of_rich_is_text() -> None:
    run = records.record([records.case("one", checks=[], skip="[bold]x[/bold] [/] :smile:")])
    assert "[bold]x[/bold] [/] :smile:" in shown(run)


# --- known defects ----------------------------------------------------------------------------


def known_run(message: str = "optimizer differs", cases: int = 1, **values: Any) -> RunRecord:
    known = records.check(CheckId.STATE_RESTORED, Status.KNOWN, message)
    return records.record(
        [
            records.case("sound"),
            *(
                records.case(f"known-{number}", checks=records.checks(state_restored=known))
                for number in range(cases)
            ),
        ],
        **values,
    )


def test_a_known_defect_is_counted_as_one_and_never_as_passed() -> None:
    assert head(known_run())[:2] == [
        "PASSED: 15 of 16 checks passed, 1 is a known defect",
        "2 cases: 1 passed, 1 known; 62.7 s",
    ]
    assert head(known_run(cases=2))[0] == "PASSED: 22 of 24 checks passed, 2 are known defects"
    assert f"{TF1}: 1 of 2 cases passed, 1 known" in shown(known_run())
    assert f"### `{TF1}`: 1 of 2 cases passed, 1 known" in summary.markdown(known_run())
    assert "| known | 7/8 |" in summary.markdown(known_run())
    assert re.search(r"known-0 +known 7/8 ", shown(known_run()))


def test_a_strict_run_with_a_known_defect_is_failed() -> None:
    assert head(known_run(strict=True))[0] == (
        "FAILED: 15 of 16 checks passed, 1 is a known defect (strict)"
    )


def test_a_failure_beside_a_known_defect_is_counted_apart() -> None:
    known = records.check(CheckId.STATE_RESTORED, Status.KNOWN, "x")
    broken = records.check(CheckId.RESULT_UNCHANGED, Status.FAILED, "y")
    checks = records.checks(state_restored=known, result_unchanged=broken)
    run = records.record([records.case("one", checks=checks)])
    assert head(run)[:2] == [
        "FAILED: 1 of 8 checks failed, 1 is a known defect",
        "1 case: 1 failed; 62.7 s",
    ]
    assert "known defect moments-lost: " in shown(run)


def test_a_known_defect_is_listed_with_what_it_means_and_what_was_measured() -> None:
    text = shown(known_run())
    assert "known defect moments-lost: the optimizer starts anew after a load" in text
    assert f"  {TF1}.keras_saveload.known-0: state restored: optimizer differs" in text
    markdown = summary.markdown(known_run())
    assert (
        "## Known defects\n\n- known defect moments-lost: the optimizer starts anew after a load"
        " (https://github.com/keras-team/keras/issues/1)\n"
        f"  - `{TF1}.keras_saveload.known-0`: state restored: optimizer differs\n\n## Cases\n"
    ) in markdown


def test_one_defect_of_many_cases_is_told_once() -> None:
    for text in (shown(known_run(cases=30)), summary.markdown(known_run(cases=30))):
        assert text.count("starts anew after a load") == 1
        assert text.count("state restored: optimizer differs") == summary.SEEN
        assert "and 10 more" in text


def test_without_known_defects_there_is_no_word_of_them() -> None:
    for text in (shown(records.run()), summary.markdown(records.run())):
        assert "known" not in text


@settings(max_examples=40, deadline=None)
@example("|`[red]<b>\n# x\x1b[31m", "*x* | <script>", "a`b|")
@given(ANYTHING, ANYTHING, ANYTHING)
def test_no_text_of_a_defect_breaks_the_summary(message: str, means: str, name: str) -> None:
    hostile = records.DEFECT.model_copy(update={"id": name, "means": means})
    known = records.check(CheckId.STATE_RESTORED, Status.KNOWN, "x").model_copy(
        update={"defect": hostile, "message": message}
    )
    run = records.record([records.case("one", checks=records.checks(state_restored=known))])
    assert "\x1b" not in shown(run)
    markdown = summary.markdown(run)
    assert "<script>" not in markdown
    section = markdown.split("## Known defects\n\n")[1].split("\n\n## Cases\n")[0]
    first, second = section.split("\n")
    assert first.startswith("- ")
    assert second.startswith("  - `")


def test_a_phase_that_was_tried_again_passes_with_a_mark() -> None:
    run = records.tried_again()
    assert head(run)[1].endswith("62.7 s; 1 phase tried again")
    assert head(run)[2] == "engine venv, on 2 GPUs (2 x NVIDIA H200), LMS provider builtin"
    text = re.sub(r"\s+", " ", shown(run, width=200))
    assert "tried again tf1-tfkeras.trainsave-loadtrain.load attempt 1 does not count" in text
    assert "failed after 1.5 s on GPU-1: GPU-1 is lost" in text
    assert "36.7 MiB out, tried again" in text
    page = summary.markdown(run)
    assert "## Tried again" in page
    assert "| passed, tried again |" in page
    assert "| GPU 1 uuid | GPU-2 |" in page
    assert "Tried again" not in summary.markdown(records.green())


@given(ANYTHING)
@settings(max_examples=25)
def test_no_reason_of_an_attempt_breaks_the_summary(reason: str) -> None:
    run = records.tried_again(reason)
    shown(run)
    assert "\n## Tried again\n" in summary.markdown(run)
