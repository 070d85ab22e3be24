"""What the driver knows of swapping parameters is what the providers know."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from harness.base.error import UsageError
from harness.catalog import parameters
from harness.plan import planner
from tests.paths import ROOT

Parameters = runpy.run_path(str(ROOT / "scenarios" / "providers" / "parameters.py"))["Parameters"]


def test_the_providers_take_what_the_driver_takes_and_nothing_else() -> None:
    known = parameters.known(ROOT)
    assert known is not None
    assert tuple(known) == Parameters._fields
    for name, bounds in known.items():
        for value in (bounds.least - 1, bounds.least, bounds.greatest, bounds.greatest + 1):
            text = json.dumps({name: value})
            if bounds.least <= value <= bounds.greatest:
                assert getattr(Parameters.from_json(text), name) == value
                assert parameters.parse(ROOT, text) == {name: value}
                continue
            with pytest.raises(ValueError, match=name):
                Parameters.from_json(text)
            with pytest.raises(ValueError, match=f"has {name} outside of"):
                parameters.parse(ROOT, text)
    usual = json.dumps(dict(planner.MAXIMUM_SWAPPING))
    assert parameters.parse(ROOT, usual) == planner.MAXIMUM_SWAPPING


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not a JSON object of whole numbers"),
        ("[1]", "is not a JSON object"),
        ("7", "is not a JSON object"),
        ('{"sync_mode": true}', "is not a JSON object of whole numbers"),
        ('{"sync_mode": "3"}', "is not a JSON object of whole numbers"),
        ('{"sync_mode": 1.0}', "is not a JSON object of whole numbers"),
        ('{"sync_mode": NaN}', "is not a JSON object of whole numbers"),
        ('{"sync_mode": {}}', "is not a JSON object of whole numbers"),
        ('{"threshold": 1}', "has unknown 'threshold'; known are swapout_threshold, swapin_"),
        ('{"\\u001b[31m": 1}', "has unknown"),
        ('{"swapin_ahead": 1' + "0" * 400 + "}", "has swapin_ahead outside of 1 to 2147483647"),
    ],
)
def test_others_are_one_line(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        parameters.parse(ROOT, text)
    assert str(caught.value).isprintable()


def test_a_checkout_that_declares_none_takes_any(tmp_path: Path) -> None:
    assert parameters.known(tmp_path) is None
    assert parameters.parse(tmp_path, '{"anything": 7}') == {"anything": 7}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "top level"),
        ('{"sync_mode": 3}', "sync_mode"),
        ('{"sync_mode": {"least": "x", "greatest": 3}}', "sync_mode.least"),
        ('{"sync_mode": {"least": 1, "greatest": 3, "more": 1}}', "sync_mode.more"),
        (None, "is a directory, and no file"),
    ],
)
def test_a_broken_declaration_is_one_line(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / parameters.FILE
    path.parent.mkdir(parents=True)
    path.mkdir() if content is None else path.write_text(content)
    with pytest.raises(UsageError, match=words) as caught:
        parameters.parse(tmp_path, "{}")
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
