"""Code run as another user of the machine."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2
OTHER = 54321  # users without a name, a home or any rights
ANOTHER = 54322


def call(uid: int, function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function in a fork that is another user; returns what it returns.

    Skips the test where it does not run as root. An exception is raised as a `RuntimeError` with
    its traceback.
    """
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    answers, answer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            result: tuple[bool, Any] = True, function(*arguments)
        except BaseException:
            result = False, traceback.format_exc()
        with contextlib.suppress(BaseException):
            os.write(answer, pickle.dumps(result))
        os._exit(0)
    os.close(answer)
    with os.fdopen(answers, "rb") as stream:
        said = stream.read()
    os.waitpid(pid, 0)
    completed, value = pickle.loads(said)
    if not completed:
        raise RuntimeError(value)
    return value


def obey_modes() -> None:
    """Before an exec: root, too, may enter and read only what the modes of its files allow."""
    if os.geteuid() == 0:
        for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
            ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


@contextlib.contextmanager
def directory() -> Iterator[Path]:
    """A directory that every user may write to and only owners may remove from, like /tmp."""
    made = Path(tempfile.mkdtemp(prefix="lms-harness-test."))
    made.chmod(0o1777)
    try:
        yield made
    finally:
        shutil.rmtree(made)
