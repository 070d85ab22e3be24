"""Parameters of scripts: numbers of the environment, and one line where they are none."""

from __future__ import annotations

import pytest

from common import parameter

NAME = "PARAMETER_OF_A_TEST"


@pytest.mark.parametrize(("text", "number"), [("", 7), ("  ", 7), ("3", 3), (" 12 ", 12)])
def test_a_number_or_its_default(text: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, text)
    assert parameter.number(NAME, 7, least=3) == number


def test_what_is_not_set_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)
    assert parameter.number(NAME, 7) == 7


@pytest.mark.parametrize("text", ["2", "-5", "3.0", "many"])
def test_another_one_is_refused_in_one_line(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(NAME, text)
    with pytest.raises(SystemExit) as ended:
        parameter.number(NAME, 7, least=3)
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        f"error: {NAME} is '{text}'; it must be a whole number of at least 3\n"
    )
