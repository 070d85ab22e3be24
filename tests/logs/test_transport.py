"""What carried a log: encodings, compression, what is no text, labels and times before a line."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from harness.base.error import UsageError
from harness.checks.log_alone import judge_log
from harness.cli import judgement
from harness.logs import transport
from harness.logs.parser import parse
from harness.record.checks import Status
from tests.logs.siblings import HEAD, TAIL, UNCAUGHT

TEXT = HEAD + "größer\n" + UNCAUGHT
PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-32"])
@pytest.mark.parametrize("size", [1, 3, 1000, 1 << 20])
def test_encodings(encoding: str, size: int) -> None:
    content = TEXT.replace("\n", "\r\n").encode(encoding)
    facts = parse(content[start : start + size] for start in range(0, len(content), size))
    assert [(problem.kind, problem.line) for problem in facts.problems] == [("traceback", 6)]
    assert facts.edits[0].swap_out == 291
    assert facts.no_text is None
    assert facts.lines == TEXT.count("\n")


@pytest.mark.parametrize("suffix", PACK)
def test_a_compressed_log_whose_name_says_so(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"console.log{suffix}"
    pack = PACK[suffix]
    path.write_bytes(pack(HEAD.encode()) + pack(UNCAUGHT.encode()))  # rotated, then put together
    judged = judgement.judge([path])
    assert judgement.exit_code(judged) == 1
    assert "ValueError: bad shape" in judged[0].checks[0].message
    path.write_bytes(pack((HEAD + TAIL).encode()))
    assert judgement.exit_code(judgement.judge([path])) == 0


@pytest.mark.parametrize("suffix", PACK)
def test_a_compressed_log_under_another_name_is_no_text(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    path.write_bytes(PACK[suffix](TEXT.encode()))
    judged = judgement.judge([path])
    assert judgement.exit_code(judged) == 2
    assert f"a name that ends in {suffix} has it unpacked" in judged[0].checks[0].message


@pytest.mark.parametrize("suffix", PACK)
def test_a_damaged_archive(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"console.log{suffix}"
    packed = PACK[suffix](TEXT.encode() * 1000)
    for content in (packed[: len(packed) // 2], packed[:20] + b"\xff" * 50):
        path.write_bytes(content)
        judged = judgement.judge([path])
        assert judgement.exit_code(judged) in (1, 2)
        if judged[0].checks[0].status is Status.ERROR:
            assert "cannot be read to its end: damaged" in judged[0].checks[0].message


@pytest.mark.parametrize("suffix", PACK)
def test_what_a_log_says_before_it_is_cut_off_counts(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"console.log{suffix}"
    noise = "".join(f"step {number} loss {number * 7919 % 1000}\n" for number in range(100_000))
    for text, code in ((noise, 2), (TEXT + noise, 1)):
        packed = PACK[suffix](text.encode())
        path.write_bytes(packed[: len(packed) * 9 // 10])
        assert judgement.exit_code(judgement.judge([path])) == code


def test_an_archive_larger_than_any_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "UNPACKED_LIMIT", 1 << 20)
    path = tmp_path / "console.log.gz"
    path.write_bytes(gzip.compress(b"x" * (4 << 20)))
    with pytest.raises(UsageError, match="GiB of text"):
        judgement.judge([path])


@pytest.mark.parametrize("packed", [True, False])
def test_standard_input(packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    content = gzip.compress(TEXT.encode()) if packed else TEXT.encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))
    (judged,) = judgement.judge([Path("-")])
    assert "ValueError: bad shape" in judged.checks[0].message


def test_standard_input_is_read_once() -> None:
    with pytest.raises(UsageError, match="once only"):
        judgement.judge([Path("-"), Path("-")])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(200), "an HDF5 file"),
        (b"PK\x03\x04" + bytes(100), "a zip archive"),
        (bytes(range(256)) * 20, "binary data"),
        (b"\x80\x04\x95" + bytes(range(30)) * 10, "binary data"),
    ],
)
def test_no_text(content: bytes, words: str) -> None:
    facts = parse(content)
    assert facts.no_text == words
    check = judge_log(facts)[0]
    assert check.status is Status.ERROR
    assert words in check.message


@pytest.mark.parametrize(
    "content",
    [
        b"",
        bytes(5000) + TEXT.encode(),  # truncated while it was written
        "größer\n日本語\n".encode() * 50,
        "Größe in Byte, café\n".encode("latin-1") * 50,
        "日本語のログ\n".encode("cp932") * 50,
        b"\x1b[31mred\x1b[0m \x08\x08\x07\r\n" * 100,
        b"BZh is how a line may start\n" * 10,
    ],
)
def test_text(content: bytes) -> None:
    assert parse(content).no_text is None


@pytest.mark.parametrize(
    ("line", "label", "text"),
    [
        ("[rank1]: Traceback", "[rank1]:", "Traceback"),
        ("[rank1]:   File", "[rank1]:", "  File"),
        ("[1,0]<stderr>:Traceback", "[1,0]<stderr>:", "Traceback"),
        ("12: Traceback", "12:", "Traceback"),
        ("train-1  | Traceback", "train-1  |", "Traceback"),
        ("(pid=12) Traceback", "(pid=12)", "Traceback"),
        ("[pod/train-0/main] x", "[pod/train-0/main]", "x"),
        ("2024-07-12T08:09:49.8677299Z   File", "", "  File"),
        ("2024-07-12T08:09:49Z stdout F x", "", "x"),
        ("Nov 26 18:38:02 node7 python[4711]: x", "node7 python[4711]:", "x"),
        ("2024-07-12T08:09:49Z [1,0]<stdout>: x", "[1,0]<stdout>:", "x"),
        ('{"log":"a\\tb\\n","stream":"stderr","time":"x"}', "", "a\tb"),
        ('{"loss": 1}', "", '{"loss": 1}'),
        ('{"log":', "", '{"log":'),
        ("INFO:tensorflow:[LMS][0] x", "", "INFO:tensorflow:[LMS][0] x"),
        ("2024-05-01 10:00:00.000001: W tensorflow/c.cc:1] x",) * 1
        + ("", "2024-05-01 10:00:00.000001: W tensorflow/c.cc:1] x"),
        ("loss: nan", "", "loss: nan"),
        ("", "", ""),
    ],
)
def test_in_front_of_a_line(line: str, label: str, text: str) -> None:
    assert transport.stripped(line.encode()) == (label.encode(), text.encode())
