"""A comparison in words: what stands first, and that no text of a record is markup."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from rich.console import Console

from harness.base.markdown import code
from harness.record.checks import CheckId, Status
from harness.record.comparison import Change, Comparison, Differing, Moved
from harness.report import changes, junit, summary
from tests import records

FAILING = Change(
    case="f.a.one",
    check=CheckId.EDIT_TOOK_EFFECT,
    before=Status.PASSED,
    after=Status.FAILED,
    message="37 operations were changed",
    also=[CheckId.SWAPPING_CONFIRMED],
)
PEAK = Moved(
    case="f.a.two",
    check=CheckId.SWAPPING_CONFIRMED,
    name="peak_bytes",
    kind="peak",
    before=46 * 2**20,
    after=60.1 * 2**20,
    share=0.307,
    tolerance=0.05,
    worse=True,
)


def comparison(**values) -> Comparison:
    return Comparison(**{"base": ["base-run"], "run": "run", "checks": 8, "numbers": 3, **values})


def terminal(found: Comparison) -> str:
    file = io.StringIO()
    changes.terminal(found, Console(file=file, width=100))
    return file.getvalue()


def test_the_headline_says_whether_it_is_a_regression():
    assert changes.headline(comparison(failing=[FAILING], moved=[PEAK])) == (
        "REGRESSED: 1 newly failing, 1 number beyond tolerance, 1 for the worse;"
        " 8 checks and 3 numbers compared with base-run"
    )
    assert changes.headline(comparison(base=["a", "b"], fixed=[FAILING])) == (
        "no regression: 1 fixed; 8 checks and 3 numbers compared with a and 1 more run"
    )


def test_how_a_number_moved_has_its_unit_and_its_tolerance():
    assert changes.moved_words(PEAK) == "peak_bytes 46.0 MiB -> 60.1 MiB (+30.7 %, tolerance 5 %)"
    count = PEAK.model_copy(update={"kind": "swaps", "before": 0, "after": 3, "share": None})
    assert changes.moved_words(count) == "peak_bytes 0 -> 3 (tolerance 5 %)"


def test_the_most_severe_comes_first():
    fixed = FAILING.model_copy(update={"before": Status.FAILED, "after": Status.PASSED})
    found = comparison(
        failing=[FAILING],
        moved=[PEAK],
        fixed=[fixed],
        only_base=["f.a.gone"],
        provenance=[Differing(where="gpu", name="driver_version", before="1", after=None)],
        notes=["no time is compared"],
    )
    lines = [line for line in terminal(found).splitlines() if line]
    assert lines[0].startswith("REGRESSED: 1 newly failing")
    assert lines[2:6] == [
        "note: no time is compared",
        "newly failing: 1",
        "  f.a.one",
        "    edit took effect was passed; now: 37 operations were changed"
        " (also swapping confirmed)",
    ]
    titles = [line for line in lines[3:] if not line.startswith(" ")]
    assert titles == [
        *("newly failing: 1", "numbers for the worse: 1", "fixed: 1"),
        *("only in the baseline: 1", "where it ran: 1"),
    ]
    assert "    1 -> not there" in lines


def test_long_lists_are_cut_with_their_count():
    found = comparison(failing=[FAILING] * 500)
    assert "  and 488 more\n" in terminal(found)
    assert "- and 400 more\n" in changes.markdown(found)


@given(records.ANYTHING)
def test_whatever_a_record_says_lines_stay_lines_and_text_is_no_markup(text):
    change = FAILING.model_copy(update={"case": text, "message": text})
    fact = Differing(where=text, name=text, before=text, after=None)
    found = comparison(base=[text], failing=[change], provenance=[fact], notes=[text])
    shown = changes.markdown(found)
    as_code = code(text), code(f"{text}: {text}")
    assert "<b>" not in shown.replace(as_code[0], "").replace(as_code[1], "")
    assert "\x1b" not in shown + terminal(found)
    titles = [line for line in shown.split("\n") if line.startswith("#")]
    assert titles == ["### newly failing: 1", "### where it ran: 1"]


def compared_run():
    record = records.run()
    failing = FAILING.model_copy(update={"case": "tf1-tfkeras.keras_saveload.weights-session"})
    return record.model_copy(update={"comparison": comparison(failing=[failing])})


def test_the_comparison_is_in_every_report_of_the_run():
    record = compared_run()
    markdown = summary.markdown(record)
    assert markdown.index("## Beside the baseline") < markdown.index("## What did not pass")
    assert "**REGRESSED: 1 newly failing; 8 checks" in markdown
    xml = junit.render(record, records.TF1).decode()
    assert '<property name="baseline.runs" value="base-run" />' in xml
    assert "REGRESSED: 1 newly failing" in xml
    assert xml.count("baseline: this check was passed") == 4  # two checks, each in text and output
    file = io.StringIO()
    summary.terminal(record, Console(file=file, width=100))
    assert "newly failing: 1\n" in file.getvalue()


@pytest.mark.parametrize("render", [summary.markdown, lambda r: junit.render(r, records.TF1)])
def test_without_a_baseline_no_report_has_a_word_of_it(render):
    shown = render(records.run())
    assert "baseline" not in (shown if isinstance(shown, str) else shown.decode())
