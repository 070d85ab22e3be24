"""Files of requirements as text: a pin changed, and what a lock file holds. Pure."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

_COMMENT = re.compile(r"(^|\s)#.*")
_HASH = "--hash="


@dataclass(frozen=True)
class Locked:
    """A package of a lock file.

    Attributes:
        name: normalised.
        version: its local part included, e.g. "2.13.0+cpu".
        marker: the environments it is for, or "".
        hashes: of the files that an index had for it; it may get more.
    """

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    @property
    def text(self) -> str:
        """The entry as a lock file has it."""
        marker = f" ; {self.marker}" if self.marker else ""
        return " \\\n    ".join([f"{self.name}=={self.version}{marker}", *self.hashes]) + "\n"


def locked(text: str) -> dict[str, tuple[Locked, ...]]:
    """The packages of a lock file by name, each with an entry for every marker it has."""
    found: dict[str, tuple[Locked, ...]] = {}
    for entry in _COMMENT.sub("", text).replace("\\\n", " ").splitlines():
        head, *hashes = entry.partition(_HASH)[0], *re.findall(rf"{_HASH}\S+", entry)
        with contextlib.suppress(InvalidRequirement):
            requirement = Requirement(head.strip())
            for specifier in requirement.specifier:
                name = canonicalize_name(requirement.name)
                marker = str(requirement.marker or "")
                one = Locked(name, specifier.version, marker, tuple(hashes))
                found[name] = (*found.get(name, ()), one)
    return found


def repinned(text: str, package: str, version: str) -> str:
    """The text of a file of requirements with another version of one package.

    Where no line names the package, as one that others ask for, a line is added.
    """
    lines, found = [], False
    for line in text.splitlines():
        with contextlib.suppress(InvalidRequirement):
            requirement = Requirement(_COMMENT.sub("", line))
            if canonicalize_name(requirement.name) == canonicalize_name(package):
                requirement.specifier = SpecifierSet(f"=={version}")
                line, found = str(requirement), True
        lines.append(line)
    return "\n".join([*lines, *([] if found else [f"{package}=={version}"]), ""])
