"""Text as each language of a generated file takes it: none of it is ever code. Pure.

Values are printable, which `job.Job` asks for: none of them ends a line. Scripts have lines.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable

# https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/
_KUBERNETES = re.compile(r"\$(?=[$(])")
# An expression, even within quotes or a comment of the script that it stands in:
# https://docs.github.com/actions/reference/workflows-and-actions/expressions
_GITHUB = "${{"


def shell(value: object) -> str:
    """One word of a POSIX shell."""
    return shlex.quote(str(value))


def words(values: Iterable[str]) -> str:
    """Several words of a POSIX shell, those of options as they are mostly written."""
    return " ".join(map(shell, values))


def yaml(value: object) -> str:
    """A string of YAML in double quotes; JSON's are that as well (YAML 1.2, section 1.3)."""
    return json.dumps(str(value), ensure_ascii=False)


def block(script: str, indent: int) -> str:
    """A script as a literal block of YAML, with what follows `|` on its line.

    Args:
        indent: blanks before each line.
    """
    margin = " " * indent
    lines = [f"{margin}{line}" if line else "" for line in script.strip("\n").splitlines()]
    return "\n".join(["|", *lines])


def groovy(script: str) -> str:
    """A string of Groovy of one or several lines; in apostrophes nothing is interpolated.

    A backslash is an octal escape: `\\u` would be looked for before strings are.
    """
    return "'''" + script.strip("\n").replace("\\", "\\134").replace("'", "\\'") + "'''"


def github(text: str) -> str:
    """Text of a workflow in which GitHub finds no expression but one that gives the text back."""
    return text.replace(_GITHUB, "${{ '${{' }}")


def kubernetes(text: str) -> str:
    """Text of a command in which Kubernetes finds no variable of its own, such as `$(NAME)`."""
    return _KUBERNETES.sub("$$", text)


def slurm(path: object) -> str:
    """The beginning of a path of sbatch's `--output`, where `%` stands for something."""
    return str(path).replace("%", "%%")
