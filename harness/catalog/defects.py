"""Known defects: failures of a release that are really its own, each stated and none repaired.

`scenarios/known-defects.toml` lists them. A case that an entry covers runs like any other; only
what becomes of its failure differs (`run.defects`).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import re2
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from harness.base import plain_file
from harness.base.error import UsageError
from harness.base.text import one_line
from harness.catalog import entry
from harness.catalog.entry import Accelerator, Entry, printable
from harness.catalog.scenarios import Scenario
from harness.record.checks import CheckId, KnownDefect
from harness.record.models import BUILTIN

FILE = Path("scenarios", "known-defects.toml")
SCRIPTS = Path("scenarios", "defects")
# What no pattern may match: of one finding, and of several with `; ` between them.
_OF_NO_CHECK = (
    "",
    "this is the message of no check",
    "of no check: 1 of 2; of no check either (3 x 4)",
)
_CODE = re.compile(r"(`+).*?\1", re.DOTALL)  # of Markdown, in a line or as a block
_OF_THE_PAGE = re.compile(r"^ {0,3}#{1,6}( |$)|<[A-Za-z/!?]", re.MULTILINE)
_MESSAGE_CHARACTERS = 100_000  # of a check's message that are looked at


def _printable_lines(text: str) -> str:
    for line in text.split("\n"):  # and not at the control characters that end a line too
        printable(line)
    return text


def _report(text: str) -> str:
    fences = [line for line in _printable_lines(text).split("\n") if line.strip()[:3] == "```"]
    if len(fences) % 2:
        raise ValueError("does not close a block of code, and what follows would be in it")
    if _OF_THE_PAGE.search(_CODE.sub("", text)) is not None:
        raise ValueError("holds a heading or HTML; the page has its own headings")
    return text


def _pattern(text: str) -> str:
    try:
        compiled = _compiled(printable(text))
    except (re2.error, UnicodeEncodeError) as problem:
        raise ValueError(f"is no pattern that RE2 knows: {_reason(problem)}") from None
    if any(compiled.fullmatch(other) is not None for other in _OF_NO_CHECK):
        raise ValueError("matches every message, and so would hide any other failure")
    return text


def _requirement(text: str) -> str:
    try:
        parsed = Requirement(text)
    except (InvalidRequirement, ValueError):
        parsed = None
    if parsed is None or not parsed.specifier or parsed.extras or parsed.marker or parsed.url:
        raise ValueError("is no name with versions, such as keras>=3.9,<3.16")
    return text


def _of_a_case(check: CheckId) -> CheckId:
    if check is CheckId.CAUGHT:
        raise ValueError(f"{check.value} is the check of canaries, which no defect excuses")
    return check


DefectId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")]
Glob = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_*?\[\]!-]{1,64}$")]
Globs = Annotated[tuple[Glob, ...], Field(min_length=1)]
Sentence = Annotated[
    str, StringConstraints(min_length=1, max_length=300), AfterValidator(printable)
]
Address = Annotated[
    str, StringConstraints(pattern=r"^https://[A-Za-z0-9.-]+(/[A-Za-z0-9._~/?#&=%+-]*)?$")
]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_pattern)]
Report = Annotated[str, AfterValidator(_report)]
Versions = Annotated[str, StringConstraints(max_length=200), AfterValidator(_requirement)]


class Also(Entry):
    """Another check that fails for the same cause.

    Attributes:
        flavors, families, scenarios, providers: as of the defect, and its own where they are not
            given.
        check, message: as of the defect.
    """

    flavors: Globs | None = None
    families: Globs | None = None
    scenarios: Globs | None = None
    providers: Globs | None = None
    check: Annotated[CheckId, AfterValidator(_of_a_case)]
    message: Pattern


class Defect(Entry):
    """A failure that is known, and where it is to be seen.

    A defect is one cause. Where it makes several checks fail each of them is a sighting.

    Attributes:
        flavors, families, scenarios, providers: shell patterns; one of each has to match the case.
        check: the check that fails.
        versions: requirements, each of which has to hold for what the phases ran with.
        accelerator: the only one on which it fails, or None for both.
        message: a pattern in the syntax of RE2 for the check's whole message: what else failed in
            the same check stands there too, and is not to be hidden.
        means: what the defect means for a user.
        upstream: address of the issue.
        unreported: there is no issue.
        also: what else fails for the same cause.
        report: what a maintainer of the framework needs to know: what happens, what was expected,
            and the cause; Markdown.
        script: name of the smallest script that shows it, in `scenarios/defects`.
    """

    id: DefectId
    flavors: Globs = ("*",)
    families: Globs = ("*",)
    scenarios: Globs = ("*",)
    providers: Globs = ("*",)
    check: Annotated[CheckId, AfterValidator(_of_a_case)]
    versions: Annotated[tuple[Versions, ...], Field(min_length=1)]
    accelerator: Accelerator | None = None
    message: Pattern
    means: Sentence
    upstream: Annotated[Address, StringConstraints(max_length=300)] | None = None
    unreported: Literal[True] | None = None
    also: tuple[Also, ...] = ()
    report: Annotated[Report, Field(max_length=4_000)] = ""
    script: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}\.py$")] | None = None

    @model_validator(mode="after")
    def _reported_or_not(self) -> Defect:
        if (self.upstream is None) is (self.unreported is None):
            raise ValueError("write either upstream or unreported = true, and not both")
        return self

    @property
    def shown(self) -> KnownDefect:
        """What a check's record has of it."""
        return KnownDefect(id=self.id, means=self.means, upstream=self.upstream)

    @property
    def sightings(self) -> tuple[Sighting, ...]:
        """Every check that fails for it, and where."""
        places: tuple[Defect | Also, ...] = (self, *self.also)
        return tuple(
            Sighting(
                self,
                entry.flavors or self.flavors,
                entry.families or self.families,
                entry.scenarios or self.scenarios,
                entry.providers or self.providers,
                entry.check,
                entry.message,
            )
            for entry in places
        )

    def holds(self, reported: Iterable[Mapping[str, str]]) -> bool:
        """Whether each requirement is met by every phase that told the package's version.

        One of a package that no phase told of is not met.

        Args:
            reported: of each phase, the versions by package.
        """
        found: dict[str, list[str]] = {}
        for versions in reported:
            for name, version in versions.items():
                found.setdefault(canonicalize_name(name), []).append(version)
        return all(_met(Requirement(text), found) for text in self.versions)


@dataclass(frozen=True)
class Sighting:
    """One check that fails for a defect, and where.

    Attributes:
        flavors, families, scenarios, providers, check, message: as of a `Defect`.
    """

    defect: Defect
    flavors: tuple[str, ...]
    families: tuple[str, ...]
    scenarios: tuple[str, ...]
    providers: tuple[str, ...]
    check: CheckId
    message: str

    def covers(self, flavor: str, scenario: Scenario, provider: str = BUILTIN) -> bool:
        """Whether the patterns match; no defect excuses a canary, which tests the harness."""
        named = (
            (flavor, self.flavors),
            (scenario.family, self.families),
            (scenario.id, self.scenarios),
            (provider, self.providers),
        )
        return scenario.expects is None and all(
            any(fnmatchcase(name, pattern) for pattern in patterns) for name, patterns in named
        )

    def matches(self, message: str) -> bool:
        """Whether the pattern is that of a check's message, as reports show it, from end to end."""
        shown = one_line(message, _MESSAGE_CHARACTERS)
        return _compiled(self.message).fullmatch(shown) is not None


def load(root: Path) -> tuple[Defect, ...]:
    """The known defects of a checkout, in the order of the file; none where there is no file.

    Raises:
        UsageError: the file does not say what it must; one line names it and the entry.
    """
    path = root / FILE
    if not path.exists():
        return ()
    content = entry.read(path)
    tables = content.pop("defect", [])
    if content:
        raise UsageError(one_line(f"{path}: unknown key {next(iter(content))!r}"))
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise UsageError(f"{path}: defect is not a table; write [[defect]]")
    found: dict[str, Defect] = {}
    for number, table in enumerate(tables, start=1):
        defect = entry.validated(Defect, table, path, unnamed=f"defect {number}")
        if defect.id in found:
            raise UsageError(f"{path}: {defect.id}: is there twice; ids are unique")
        found[defect.id] = defect
    scripts(root, found.values())
    return tuple(found.values())


def scripts(root: Path, defects: Iterable[Defect]) -> dict[str, str]:
    """The texts of the scripts that entries name, by name.

    Raises:
        UsageError: one is not there, or no text; one line names the entry.
    """
    return {
        defect.script: _text_of(root, defect.script, f"{root / FILE}: {defect.id}")
        for defect in defects
        if defect.script is not None
    }


def _text_of(root: Path, script: str, entry: str) -> str:
    path = SCRIPTS / script
    try:
        return _printable_lines(plain_file.read_text(root / path))
    except FileNotFoundError:
        raise UsageError(f"{entry}: {path} is not there") from None
    except UnicodeDecodeError:
        raise UsageError(f"{entry}: {path} is no text in UTF-8") from None
    except OSError as problem:
        raise UsageError(f"{entry}: {path}: {problem.strerror}") from None
    except ValueError as problem:
        raise UsageError(f"{entry}: {path} {problem}") from None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.max_mem = 1 << 20  # a pattern beyond it is refused
    options.log_errors = False
    return re2.compile(pattern, options)


def _reason(problem: Exception) -> str:
    said = problem.args[0] if problem.args else ""
    return one_line(said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said), 200)


def _met(requirement: Requirement, found: Mapping[str, list[str]]) -> bool:
    versions = found.get(canonicalize_name(requirement.name), [])
    return bool(versions) and all(_admits(requirement, version) for version in versions)


def _admits(requirement: Requirement, version: str) -> bool:
    # `tf.keras` of TensorFlow 1 calls itself 2.2.4-tf: a label, which PEP 440 sets off by a plus.
    for text in (version, version.replace("-", "+", 1)):
        with contextlib.suppress(InvalidVersion):
            return requirement.specifier.contains(Version(text), prereleases=True)
    return False
