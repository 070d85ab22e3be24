"""`harness report`: other formats, and the schema of the record."""

from __future__ import annotations

import json

import click
import pytest

from harness.base.error import UsageError
from harness.cli.main import cli
from harness.record import store
from harness.report.files import reports
from tests import records


def report(root, *arguments):
    return cli.main(["--root", str(root), "report", *arguments], standalone_mode=False)


def test_ctrf_is_printed_and_nothing_is_written(tmp_path, capsys):
    place = tmp_path / "reports" / "one"
    reports.write_all(records.run(), place)
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    assert report(tmp_path, "one", "--format", "ctrf") == 1
    assert json.loads(capsys.readouterr().out)["reportFormat"] == "CTRF"
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*")} == before


def test_providers_of_several_runs_are_in_one_table(tmp_path, capsys):
    for name, provider in (("one", "remat"), ("two", "save_on_cpu")):
        made = records.record([records.case("save-load", provider=provider)], phases=[], id=name)
        reports.write_all(made, tmp_path / "reports" / name)
    code = report(tmp_path, "one", "two", "--format", "providers")
    printed = capsys.readouterr().out
    assert "| remat " in printed
    assert "| save_on_cpu " in printed
    assert code == max(report(tmp_path, name, "--format", "ctrf") for name in ("one", "two"))
    with pytest.raises(UsageError, match="report takes one run"):
        report(tmp_path, "one", "two")


def test_the_schema_is_printed_without_a_run(tmp_path, capsys):
    assert report(tmp_path, "--schema") == 0
    assert capsys.readouterr().out == store.schema()


def test_what_makes_no_sense_together_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="--schema is of every record"):
        report(tmp_path, "one", "--schema")
    with pytest.raises(click.UsageError):
        report(tmp_path)
    with pytest.raises(click.UsageError):
        report(tmp_path, "one", "--format", "junit")
