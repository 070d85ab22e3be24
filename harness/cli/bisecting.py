"""The command `bisect`: which release of a package broke a case, or repaired it."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import click
import re2
from rich.console import Console

from harness.base.error import UnavailableError, UsageError
from harness.base.stop import waited_for
from harness.base.text import one_line
from harness.bisect import bisection, bisector, derivation, versions
from harness.cli import options, running
from harness.cli.console import ConsoleObserver
from harness.engine import requirements
from harness.engine.venv import interpreter
from harness.record.checks import CheckId
from harness.record.models import CaseRecord


class _TrialObserver(ConsoleObserver):
    """Shows a trial as it goes; what it says of its version the bisect itself tells."""

    def case_judged(self, record: CaseRecord) -> None:
        """Prints nothing: a check that is not looked at may have nothing to rest on."""


def _pattern(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        try:
            options_of_re2 = re2.Options()
            options_of_re2.log_errors = False  # it is said below
            re2.compile(value, options_of_re2)
        except (re2.error, UnicodeEncodeError):
            raise click.BadParameter(f"{one_line(value, 80)!r} is no pattern of RE2") from None
    return value


@click.command("bisect")
@click.option(
    "--package", required=True, envvar="HARNESS_PACKAGE", help="Of the flavor's packages."
)
@click.option("--good", required=True, envvar="HARNESS_GOOD", help="A version that passes.")
@click.option("--bad", required=True, envvar="HARNESS_BAD", help="A version that fails.")
@click.option("--flavor", required=True, envvar="FLAVOR")
@click.option("--scenario", required=True, envvar="SCENARIO")
@click.option(
    "--check",
    type=click.Choice([check.value for check in CheckId]),
    envvar="HARNESS_CHECK",
    help="The check to look at  [default: the first that the bad version fails]",
)
@click.option(
    "--message",
    "pattern",
    metavar="RE2",
    envvar="HARNESS_MESSAGE",
    callback=_pattern,
    help="What its message has to hold: another failure is not judged.",
)
@click.option(
    "--fixed",
    is_flag=True,
    envvar="HARNESS_FIXED",
    help="Search for the repair: the good version is the later one.",
)
@click.option(
    "--versions",
    "named",
    metavar="A,B,C",
    envvar="HARNESS_VERSIONS",
    help="The versions to choose from  [default: those of the package index]",
)
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on standard output.")
@options.where
@options.how
@options.execution
@options.activations
@click.pass_obj
def bisect_command(
    root: Path,
    /,
    package: str,
    good: str,
    bad: str,
    flavor: str,
    scenario: str,
    check: str | None,
    pattern: str | None,
    fixed: bool,
    named: str | None,
    as_json: bool,
    **how: Any,
) -> int:
    """Find the release of a package with which one case fails, or with --fixed passes again."""
    selected = running.one_case("bisect", root, flavor, scenario)
    # Known defects are stated of the pinned releases, and not of these.
    prepared = running.prepare(root, selected.model_copy(update={"defects": ()}), how)
    (case,) = prepared.planned.cases
    question = _question(root, prepared, package, good, bad, named, fixed, check, pattern)
    console = Console(stderr=as_json, soft_wrap=False)
    for note in prepared.chosen.notes:
        click.echo(f"note: {note}", err=as_json)
    click.echo(
        f"{question.package}: {len(question.versions)} versions from {question.versions[0]} to"
        f" {question.versions[-1]}; {case.id}",
        err=as_json,
    )
    found, file = bisector.bisect(
        question,
        prepared.planned,
        prepared.chosen.engine,
        prepared.settings,
        prepared.chosen.gpus,
        lambda title: _TrialObserver(console, title=title),
    )
    for line in bisection.lines(found):
        click.echo(line, err=as_json)
    click.echo(f"bisect: {options.shown(file)}", err=as_json)
    if as_json:
        click.echo(found.to_json(indent=1))
    return bisection.exit_code(found)


def _question(
    root: Path,
    prepared: running.Prepared,
    package: str,
    good: str,
    bad: str,
    named: str | None,
    fixed: bool,
    check: str | None,
    pattern: str | None,
) -> bisector.Question:
    """What is searched for, with the versions from end to end.

    Raises:
        UsageError: there is no such package or version, or nothing that could be derived.
    """
    flavor = prepared.planned.cases[0].flavor
    engine, gpus = prepared.chosen.engine.name, prepared.chosen.gpus
    if engine == "venv" and interpreter.stand_in(flavor.id) is not None:
        raise UsageError(
            f"an interpreter stands in for the environment of {flavor.id}: unset its PYTHON_..."
            " variable, or every version would be tried with the same packages"
        )
    accelerator: Any = "gpu" if gpus else "virtual"
    capability = gpus[0].compute_capability if gpus else None
    try:
        own = derivation.lock_file(flavor, engine, accelerator, capability)
    except UnavailableError as problem:
        raise UsageError(str(problem)) from None
    pins = requirements.locked(own.read_text(encoding="utf-8"))
    name = versions.locked_name(package, pins)
    local = versions.local_part(pins[name][0].version)
    if named is not None:
        there = [text for text in re.split(r"[\s,]+", named) if text]
    else:
        more = flavor.indexes.get(accelerator, ()) if local is not None else ()
        there = waited_for(
            lambda: versions.offered(name, flavor.python, more),
            threading.Event(),  # SIGINT raises here
            f"asking the package index for versions of {name}",
        )
    return bisector.Question(
        package=name,
        versions=versions.between(name, good, bad, there, local, fixed),
        check=None if check is None else CheckId(check),
        pattern=pattern,
        fixed=fixed,
        lock=own,
        flavors=options.cache_of(root) / "flavors",
    )
