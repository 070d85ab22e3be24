"""Only plain files are read, and nothing is waited for."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from harness.base import plain_file

KINDS = ("directory", "FIFO", "socket", "device", "link to a FIFO")


def other_than_a_file(path: Path, kind: str) -> None:
    """Puts something in the place of a file."""
    if kind == "directory":
        path.mkdir()
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "link to a FIFO":
        os.mkfifo(path.with_name("fifo"))
        path.symlink_to("fifo")
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's path is short
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
        os.chdir(here)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_an_error_with_words(tmp_path: Path, kind: str) -> None:
    other_than_a_file(tmp_path / "file", kind)
    with pytest.raises(OSError) as refused:  # noqa: PT011 - its words are looked at
        plain_file.read(tmp_path / "file")
    assert refused.value.filename == str(tmp_path / "file")
    if kind != "socket":  # which cannot even be opened
        assert refused.value.strerror == f"is a {kind.rpartition(' ')[2]}, and no file"


def test_a_file_is_read_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"one\r\ntwo\n")
    (tmp_path / "link").symlink_to("file")
    assert plain_file.read(tmp_path / "link") == b"one\r\ntwo\n"
    assert plain_file.read_text(tmp_path / "link") == "one\ntwo\n"
    with pytest.raises(FileNotFoundError):
        plain_file.read(tmp_path / "none")
