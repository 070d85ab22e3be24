"""The list of known defects: what an entry says, and every mistake in it, told in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.base.error import UsageError
from harness.catalog import catalog
from harness.catalog.catalog import Catalog
from harness.catalog.defects import Defect
from harness.record.checks import CheckId, KnownDefect
from tests.projects import FAMILY, FLAVOR, lay_out

ENTRY: dict[str, Any] = {
    "id": "moments-lost",
    "check": "state_restored",
    "versions": ["keras>=3.9,<3.16"],
    "message": "optimizer differs",
    "means": "the optimizer starts anew after a load",
    "upstream": "https://github.com/keras-team/keras/issues/1",
}
CANARY = FAMILY.replace(
    'id = "save-load"', 'id = "wrong"\nexpects = "state_restored"\ncaught_in = "load"'
).replace('id = "save-predict"', 'id = "right"')


def toml(**values: Any) -> str:
    """An entry; JSON's texts, lists and truth values are those of TOML."""
    kept = {name: value for name, value in {**ENTRY, **values}.items() if value is not None}
    return "[[defect]]\n" + "".join(f"{name} = {json.dumps(kept[name])}\n" for name in kept)


def defect(**values: Any) -> Defect:
    return Defect(**{**ENTRY, **values})


def checkout(root: Path, *entries: str) -> Path:
    """Two flavors, a family with a canary in it, and a list of known defects."""
    lay_out(
        root,
        flavors={"test-flavor": FLAVOR, "other": FLAVOR},
        families={"basic": FAMILY, "canary": CANARY},
    )
    (root / "scenarios" / "known-defects.toml").write_text("\n".join(entries), encoding="utf-8")
    return root


def covered(own: Catalog) -> list[str]:
    (sighting,) = [entry for defect in own.defects for entry in defect.sightings]
    return [pair.id for pair in own.covered(sighting)]


def refused(root: Path, text: str) -> str:
    """The one line that a list is refused with, after the name of the file."""
    checkout(root, text)
    with pytest.raises(UsageError) as caught:
        catalog.load(root)
    line = str(caught.value)
    file = f"{root}/scenarios/known-defects.toml: "
    assert line.startswith(file)
    assert line.isprintable()
    assert len(line) <= 1000
    return line.removeprefix(file)


def test_without_the_file_nothing_is_known(tmp_path):
    own = catalog.load(lay_out(tmp_path))
    assert own.defects == ()


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_a_list_may_be_empty(tmp_path, text):
    assert catalog.load(checkout(tmp_path, text)).defects == ()


def test_an_entry_covers_every_case_but_canaries(tmp_path):
    own = catalog.load(checkout(tmp_path, toml()))
    assert covered(own) == [
        f"{flavor}.{name}"
        for flavor in ("other", "test-flavor")
        for name in ("basic.save-load", "basic.save-predict", "canary.right")
    ]


@pytest.mark.parametrize(
    ("patterns", "cases"),
    [
        ({"flavors": ["o*"], "scenarios": ["save-*"]}, ["other.basic.save-load", "other.basic.s"]),
        ({"flavors": ["other", "test-*"], "families": ["canary"]}, ["other.can", "test-flavor."]),
        ({"scenarios": ["*-predict"]}, ["other.basic.save-predict", "test-flavor.basic."]),
    ],
)
def test_patterns_choose_flavors_families_and_scenarios(tmp_path, patterns, cases):
    found = covered(catalog.load(checkout(tmp_path, toml(**patterns))))
    assert len(found) == len(cases)
    assert all(name.startswith(start) for name, start in zip(found, cases, strict=True))


def test_a_pair_that_can_never_apply_is_not_covered(tmp_path):
    root = checkout(tmp_path, toml())
    family = root / "scenarios" / "families" / "basic" / "scenarios.toml"
    needs = 'id = "save-predict"\nrequires = ["magic"]'
    family.write_text(FAMILY.replace('id = "save-predict"', needs))
    lacks = root / "docker" / "flavors" / "other" / "flavor.toml"
    lacks.write_text(f'{FLAVOR}\n[lacks]\nmagic = "none here"\n')
    assert not [name for name in covered(catalog.load(root)) if name.endswith("save-predict")]


def test_a_selection_keeps_the_list_though_it_holds_no_case_of_it(tmp_path):
    own = catalog.load(checkout(tmp_path, toml(flavors=["other"])))
    assert own.select(flavors=["test-*"]).defects == own.defects != ()


def test_what_reports_show_of_an_entry():
    upstream = ENTRY["upstream"]
    assert defect().shown == KnownDefect(id="moments-lost", means=ENTRY["means"], upstream=upstream)
    assert defect().shown.text == f"known defect moments-lost: {ENTRY['means']} ({upstream})"
    mine = defect(upstream=None, unreported=True)
    assert mine.shown.text == f"known defect moments-lost: {ENTRY['means']} (unreported)"


# --- mistakes ---------------------------------------------------------------------------------

EITHER = "moments-lost: (top level): Value error, write either upstream or unreported = true"


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"upstream": None}, EITHER),
        ({"unreported": True}, EITHER),
        ({"upstream": None, "unreported": False}, "moments-lost: unreported: Input should be True"),
        ({"upstream": "http://x.org/1"}, "moments-lost: upstream: String should match pattern"),
        ({"upstream": "https://x.org/a b"}, "moments-lost: upstream: "),
        ({"upstream": "https://x.org/1\n"}, "moments-lost: upstream: "),
        ({"upstream": "https://x.org/" + "1" * 300}, "moments-lost: upstream: "),
        ({"id": None}, "defect 1: id: Field required"),
        ({"id": "Moments_Lost"}, "Moments_Lost: id: String should match pattern"),
        ({"id": "a\x1b[31m\nb"}, "a b: id: "),
        ({"id": "a" * 10_000}, "a"),
        ({"check": "nope"}, "moments-lost: check: Input should be 'phases_complete', "),
        ({"check": "caught"}, "moments-lost: check: Value error, caught is the check of canaries"),
        ({"check": None}, "moments-lost: check: Field required"),
        ({"versions": None}, "moments-lost: versions: Field required"),
        ({"versions": []}, "moments-lost: versions: "),
        ({"versions": ["keras>="]}, "moments-lost: versions.0: Value error, is no name with"),
        ({"versions": ["keras"]}, "moments-lost: versions.0: Value error, is no name with"),
        ({"versions": ["keras>1", "x @ https://x.org/x"]}, "moments-lost: versions.1: "),
        ({"versions": ["keras>1; python_version>'3'"]}, "moments-lost: versions.0: "),
        ({"versions": ["keras>" + "9" * 5000]}, "moments-lost: versions.0: "),
        ({"accelerator": "tpu"}, "moments-lost: accelerator: Input should be 'gpu' or 'virtual'"),
        ({"flavors": []}, "moments-lost: flavors: "),
        ({"flavors": ["a b"]}, "moments-lost: flavors.0: String should match pattern"),
        ({"scenarios": "save-load"}, "moments-lost: scenarios: Input should be a valid tuple"),
        ({"message": None}, "moments-lost: message: Field required"),
        ({"message": ""}, "moments-lost: message: "),
        ({"message": "("}, "moments-lost: message: Value error, is no pattern that RE2 knows: mis"),
        ({"message": "(?=x)"}, "moments-lost: message: Value error, is no pattern that RE2 knows"),
        ({"message": ".*"}, "moments-lost: message: Value error, matches every message, and so"),
        ({"message": ".+"}, "moments-lost: message: Value error, matches every message, and so"),
        ({"message": "x*"}, "moments-lost: message: Value error, matches every message, and so"),
        ({"message": "[^;]*; .*"}, "moments-lost: message: Value error, matches every message"),
        ({"report": "a\x0bb"}, "moments-lost: report: Value error, holds a control character"),
        ({"report": "a\u2028b"}, "moments-lost: report: Value error, holds a control character"),
        ({"report": "a\n```\nb"}, "moments-lost: report: Value error, does not close a block"),
        ({"report": "a\n## b"}, "moments-lost: report: Value error, holds a heading or HTML"),
        ({"report": "a <b>"}, "moments-lost: report: Value error, holds a heading or HTML"),
        ({"script": "../x.py"}, "moments-lost: script: String should match pattern"),
        ({"also": "x"}, "moments-lost: also: Input should be a valid tuple"),
        ({"also": [1]}, "moments-lost: also.0: Input should be a valid dictionary"),
        ({"message": "x" * 501}, "moments-lost: message: String should have at most 500"),
        ({"message": r"(\pL{100}){10}"}, "moments-lost: message: Value error, is no pattern"),
        ({"message": "a\x00b"}, "moments-lost: message: Value error, holds a control character"),
        ({"means": "red \x1b[31m"}, "moments-lost: means: Value error, holds a control character"),
        ({"means": "two\nlines"}, "moments-lost: means: Value error, holds a control character"),
        ({"means": ""}, "moments-lost: means: "),
        ({"means": "x" * 301}, "moments-lost: means: "),
        ({"scenarios": ["nope"]}, "moments-lost: no case of the catalog matches its flavors, fam"),
        ({"scenarios": ["wrong"]}, "moments-lost: no case of the catalog matches its flavors, fam"),
        ({"until": "3.16"}, "moments-lost: until: Extra inputs are not permitted"),
    ],
)
def test_a_mistake_in_an_entry_is_one_line_with_its_name(tmp_path, values, line):
    assert refused(tmp_path, toml(**values)).startswith(line)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[[defect]\n", "not TOML: "),
        ("x = 1\n", "unknown key 'x'"),
        ('"a\\u001b\\n" = 1\n', "unknown key 'a"),
        ("[defect]\n", "defect is not a table; write [[defect]]"),
        ("defect = [1]\n", "defect is not a table; write [[defect]]"),
        ("defect = " + "[" * 100_000, "not TOML: "),
        ("defect = " + "9" * 5_000, "not TOML: "),
        ("# \x1b[31m\n", "not TOML: "),
        (toml() + toml(), "moments-lost: is there twice; ids are unique"),
        (toml() + toml(id=None), "defect 2: id: Field required"),
        (toml(**{"a\x1b[2Jb\nc": 1}).replace("a\x1b[2Jb\nc", '"a\\u001b[2Jb\\nc"'), "moments-lost"),
    ],
)
def test_a_mistake_in_the_file_is_one_line(tmp_path, text, line):
    assert refused(tmp_path, text).startswith(line)


def test_a_file_that_is_no_text_is_one_line(tmp_path):
    root = checkout(tmp_path)
    (root / "scenarios" / "known-defects.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"known-defects\.toml: not TOML: "):
        catalog.load(root)


# --- versions and messages --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("versions", "reported", "holds"),
    [
        (["keras>=3.9,<3.16"], [{"keras": "3.9.0"}], True),
        (["keras>=3.9,<3.16"], [{"keras": "3.16.0"}], False),
        (["keras>=3.9,<3.16"], [{"keras": "3.8.2"}], False),
        (["keras>=3.9,<3.16"], [{"keras": "3.15.0.dev1"}], True),  # a nightly build
        (["keras>=3.9", "torch==2.9.1"], [{"keras": "3.12", "torch": "2.9.1+cpu"}], True),
        (["keras>=3.9", "torch>=3"], [{"keras": "3.12", "torch": "2.9.1"}], False),
        (["Keras>=3.9"], [{"KERAS": "3.12"}], True),
        (["torch>=2"], [{"keras": "3.12"}, {"torch": "2.9"}], True),  # one saves, one loads
        (["keras>=3.9"], [{"keras": "3.12"}, {"keras": "3.8"}], False),
        (["keras>=3.9"], [{}], False),
        (["keras>=3.9"], [], False),
        (["keras>=0"], [{"keras": "latest"}], False),
        (["keras>=0"], [{"keras": "3.12"}, {"keras": ""}], False),
    ],
)
def test_every_requirement_has_to_hold_for_what_was_reported(versions, reported, holds):
    assert defect(versions=versions).holds(reported) is holds


@pytest.mark.parametrize(
    ("pattern", "message", "matches"),
    [
        ("optimizer differs", "optimizer differs", True),
        ("optimizer differs", "load: optimizer differs", False),
        ("optimizer differs", "optimizer differs: 3 of 9 tensors", False),
        ("optimizer differs", "optimizer differs; weights differ", False),
        ("optimizer differs[^;]*", "optimizer differs: 3 of 9 tensors; weights differ", False),
        (r"optimizer differs: \d+ of \d+ tensors", "optimizer differs: 3 of 9 tensors", True),
        ("ab", "a\x1b[31mb\x1b[0m", True),  # as the reports show it
        ("a b", "a\nb", True),
        (r"\[red\]<b>", "[red]<b>", True),
        ("#xDC80", "\udc80", True),
        ("(a|a)*b", "a" * 50_000, False),
    ],
)
def test_a_pattern_is_that_of_the_whole_message(pattern, message, matches):
    (sighting,) = defect(message=pattern).sightings
    assert sighting.matches(message) is matches


def test_another_check_is_looked_at_where_the_entry_or_its_own_patterns_say(tmp_path):
    also = """
[[defect.also]]
check = "resume_equal"
message = "weights differ"
scenarios = ["save-load"]
"""
    own = catalog.load(checkout(tmp_path, toml(flavors=["other"]) + also))
    first, second = own.defects[0].sightings
    assert [pair.id for pair in own.covered(second)] == ["other.basic.save-load"]
    assert {pair.id for pair in own.covered(second)} < {pair.id for pair in own.covered(first)}
    assert (second.check, second.message) == (CheckId.RESUME_EQUAL, "weights differ")
    nowhere = also.replace("save-load", "nope")
    assert "for resume_equal" in refused(tmp_path / "other", toml() + nowhere)


def test_the_script_of_an_entry_has_to_be_there(tmp_path):
    line = refused(tmp_path, toml(script="lost.py"))
    assert line == "moments-lost: scenarios/defects/lost.py is not there"
    (tmp_path / "scenarios" / "defects").mkdir()
    (tmp_path / "scenarios" / "defects" / "lost.py").write_text("print('nothing lost')")
    assert catalog.load(tmp_path).defects[0].script == "lost.py"


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"\xff\xfe", "is no text in UTF-8"), (b"# \x1b[31m\n", "holds a control character")],
)
def test_a_script_is_text(tmp_path, content, line):
    scripts = tmp_path / "scenarios" / "defects"
    scripts.mkdir(parents=True)
    (scripts / "lost.py").write_bytes(content)
    found = refused(tmp_path, toml(script="lost.py"))
    assert found == f"moments-lost: scenarios/defects/lost.py {line}"


def test_code_in_a_report_may_be_anything():
    report = "`<class 'x'>` for 1 < 2, and\n```\n# a comment <b>\n```\nthat #1 is."
    assert defect(report=report).report == report


def test_a_check_is_named_by_its_id():
    assert defect().check is CheckId.STATE_RESTORED
