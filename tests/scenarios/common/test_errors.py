"""How a phase ends that cannot do its work."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import pytest

from common import errors


@pytest.mark.parametrize(("end", "code"), [(errors.refuse, 2), (errors.unavailable, 3)])
def test_process_ends_with_a_code_and_one_line(
    end: Callable[[object], NoReturn], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        end(ValueError("no GPU:\n  driver and library differ"))
    assert ended.value.code == code
    assert capsys.readouterr().err == "error: no GPU: driver and library differ\n"
