"""The list of known defects as text and as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.catalog import catalog
from harness.catalog.catalog import Catalog
from harness.plan import defects
from harness.record.checks import CheckId, Status
from harness.record.models import RunRecord
from tests import records
from tests.catalog.test_defects import ENTRY, checkout, toml
from tests.paths import ROOT

UPSTREAM = ENTRY["upstream"]
RUN = "run 20250301-100000-3f2a"


def listed(root: Path, record: RunRecord | None = None, **values: Any) -> list[str]:
    return list(defects.lines(defects.entries(own(root, **values), record)))


def own(root: Path, **values: Any) -> Catalog:
    return catalog.load(checkout(root, toml(**values)))


def case(scenario: str, status: Status, message: str = "x", **values: Any) -> Any:
    found = records.check(CheckId.STATE_RESTORED, status, message)
    if status is Status.KNOWN:
        shown = records.DEFECT.model_copy(update=values)
        found = found.model_copy(update={"defect": shown, "message": message})
    checks = records.checks(state_restored=found)
    return records.case(scenario, "test-flavor", family="basic", checks=checks)


def test_an_entry_says_what_it_means_where_it_applies_and_how_to_see_it(tmp_path):
    assert listed(tmp_path, scenarios=["save-*"], flavors=["o*"], accelerator="virtual") == [
        "moments-lost: the optimizer starts anew after a load",
        "  check       state restored",
        "  message     optimizer differs",
        "  flavors     other",
        "  scenarios   basic/save-load, basic/save-predict (2 cases)",
        "  versions    keras>=3.9,<3.16",
        "  accelerator virtual",
        f"  upstream    {UPSTREAM}",
        "  reproduce   make repro FLAVOR=other SCENARIO=save-load GPU=none",
    ]


def test_an_entry_that_covers_everything_says_so(tmp_path):
    lines = listed(tmp_path, upstream=None, unreported=True)
    assert "  flavors     every flavor" in lines
    assert "  scenarios   every scenario (6 cases)" in lines
    assert "  accelerator any" in lines
    assert "  upstream    unreported" in lines
    assert lines[-1] == "  reproduce   make repro FLAVOR=other SCENARIO=save-load"


def test_a_run_adds_what_it_measured_and_how_it_was_run(tmp_path):
    record = records.record(
        [
            case("save-load", Status.KNOWN, "load: optimizer differs: 3 of 9\x1b[31m"),
            case("save-predict", Status.PASSED),
            case("elsewhere", Status.FAILED),  # the entry is not about it
        ]
    )
    assert listed(tmp_path, record)[-3:] == [
        "  reproduce   make repro FLAVOR=test-flavor SCENARIO=save-load GPU=none",
        f"  measured    {RUN}: 1 known, 1 passed",
        "    test-flavor.basic.save-load: load: optimizer differs: 3 of 9",
    ]


def test_a_run_of_other_cases_measured_nothing(tmp_path):
    record = records.record([records.case("trainsave-loadtrain")])
    assert listed(tmp_path, record)[-1] == f"  measured    {RUN}: none of its cases"


def test_what_another_entry_states_is_not_measured_of_this_one(tmp_path):
    record = records.record([case("save-load", Status.KNOWN, id="other")])
    assert listed(tmp_path, record)[-1] == f"  measured    {RUN}: 1 known otherwise"


def test_an_empty_list_says_so(tmp_path):
    own = catalog.load(checkout(tmp_path))
    text = "no defect is known: there is no entry in scenarios/known-defects.toml"
    assert list(defects.lines(defects.entries(own))) == [text]
    assert defects.page(defects.entries(own)).endswith(f"\n\n{text}\n")


def test_the_page_shows_texts_as_they_are(tmp_path):
    means = "a <b>loss</b> of | *moments* [x](y)"
    record = records.record([case("save-load", Status.KNOWN, "`a` <script>\n# b")])
    page = defects.page(defects.entries(own(tmp_path, means=means, message="`a|b`"), record))
    assert page.startswith("# Known defects\n\n")
    paragraphs = page.split("\n\n")
    assert paragraphs[3:5] == [
        "## moments-lost",
        r"a &lt;b&gt;loss&lt;/b&gt; of \| \*moments\* \[x\](y)",
    ]
    assert "- message: `` `a|b` ``\n" in page
    assert f"- upstream: {UPSTREAM}\n" in page
    shown = r"  - `test-flavor.basic.save-load`: \`a\` &lt;script&gt; \# b"
    assert page.endswith(f"{shown}\n")


def test_a_defect_of_many_cases_names_some(tmp_path):
    many = "".join(
        f'[[scenario]]\nid = "s-{number}"\ndescription = "x"\n[[scenario.phase]]\nid = "save"\n'
        'script = "save.py"\nrole = "train"\n'
        for number in range(defects.MEASURED + 3)
    )
    root = checkout(tmp_path, toml())
    (root / "scenarios" / "families" / "basic" / "scenarios.toml").write_text(many)
    cases = [case(f"s-{number}", Status.KNOWN) for number in range(defects.MEASURED + 3)]
    entries = defects.entries(catalog.load(root), records.record(cases))
    lines = list(defects.lines(entries))
    assert lines[-1] == "    and 3 more"
    assert sum(line.startswith("    test-flavor.") for line in lines) == defects.MEASURED
    beyond = defects.MEASURED + 3 - defects.ON_THE_PAGE
    assert defects.page(entries).endswith(f"\n  - and {beyond} more\n")


def test_each_smallest_script_of_the_project_is_that_of_a_defect():
    named = {defect.script for defect in catalog.load(ROOT).defects} - {None}
    assert named == {path.name for path in (ROOT / "scenarios" / "defects").glob("*.py")}


def test_each_defect_of_the_project_is_reported_or_ready_to_be():
    for defect in catalog.load(ROOT).defects:
        assert defect.upstream is not None or len(defect.report) > 300, defect.id


def test_a_script_cannot_end_its_block_of_code(tmp_path):
    own = catalog.load(checkout(tmp_path, toml()))
    script = 'text = """\n```\n# no heading\n"""'
    own = own.model_copy(
        update={"defects": (own.defects[0].model_copy(update={"script": "x.py"}),)}
    )
    page = defects.page(defects.entries(own, scripts={"x.py": script}))
    assert page.endswith(f"````python\n{script}\n````\n")
