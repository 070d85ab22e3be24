"""Text of a user comes back from each language as it was, and nothing in it is run."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness.clusters import quoting

PRINTABLE = st.text().filter(str.isprintable)
HOSTILE = [
    *("'", '"', "`touch x`", "$(touch x)", "$HOME", "${{ secrets.TOKEN }}", "$(HOME)", "$$"),
    *("\\", "\\'", "\\u0027", "'''", "*/", "%A", ": #", "- |", "é😀", "", " ", "!!x", "--x=y"),
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_shell_takes_each_word_as_it_is(text):
    script = f"printf '%s\\n' {quoting.words([text, 'end'])}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"{text}\nend\n"


@given(PRINTABLE)
def test_yaml_takes_a_string_as_it_is(text):
    assert yaml.safe_load(f"key: {quoting.yaml(text)}") == {"key": text}


@given(st.lists(PRINTABLE.filter(str.strip), min_size=1))
def test_yaml_takes_a_script_as_it_is(lines):
    script = "\n".join(["#", *lines])
    read = yaml.safe_load(f"steps:\n  - run: {quoting.block(script, 6)}\n    name: x\n")
    assert read == {"steps": [{"run": f"{script}\n", "name": "x"}]}


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("${{ secrets.TOKEN }}", "${{ '${{' }} secrets.TOKEN }}"),
        ("$${{{ x }}", "$${{ '${{' }}{ x }}"),
        ("${ x } }}", "${ x } }}"),
    ],
)
def test_github_evaluates_nothing_but_what_gives_the_text_back(text, written):
    assert quoting.github(text) == written
    assert github_evaluates(written) == text


@given(PRINTABLE)
def test_github_gives_every_text_back(text):
    assert github_evaluates(quoting.github(text)) == text


def github_evaluates(text: str) -> str:
    """What a workflow's text becomes; raises where an expression is more than one string."""

    def value(match: re.Match[str]) -> str:
        literal = re.fullmatch(r"\s*'((?:[^']|'')*)'\s*", match[1])
        assert literal is not None, match[0]
        return literal[1].replace("''", "'")

    return re.sub(r"\$\{\{((?:'(?:[^']|'')*'|[^'}]|\}(?!\}))*)\}\}", value, text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("$(HOME)", "$$(HOME)"),
        ("$$(HOME)", "$$$$(HOME)"),
        ("$$", "$$$"),
        ("$HOME ${HOME}", "$HOME ${HOME}"),
    ],
)
def test_kubernetes_expands_nothing(text, written):
    assert quoting.kubernetes(text) == written
    assert kubernetes_expands(written, {"HOME": "/tmp"}) == text


@given(st.text(alphabet="$(){}aH"))
def test_kubernetes_gives_every_text_back(text):
    variables = {"H": "x", "HH": "y", "a": "z", "": "w"}
    assert kubernetes_expands(quoting.kubernetes(text), variables) == text


def kubernetes_expands(text: str, variables: dict[str, str]) -> str:
    """What a command becomes: `$$` is `$`, `$(NAME)` a value, or itself where there is none."""
    made, place = "", 0
    while place < len(text):
        pair = text[place : place + 2]
        end = text.find(")", place)
        if pair == "$$":
            made, place = made + "$", place + 2
        elif pair == "$(" and end > 0:
            made += variables.get(text[place + 2 : end], text[place : end + 1])
            place = end + 1
        else:
            made, place = made + text[place], place + 1
    return made


def test_sbatch_takes_a_path_as_it_is():
    assert quoting.slurm("/a %A/100%") == "/a %%A/100%%"
