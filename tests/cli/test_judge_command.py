"""`harness judge`: its options, its exit codes, and what it says in JSON."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from harness.cli.main import main
from tests.logs.siblings import CAUGHT, FAIL, HEAD, OK, TAIL, TF_OOM, UNCAUGHT
from tests.paths import ROOT

PLAIN = "Epoch 1/1\n10/10 [====] - 35s 3s/step - loss: 1.4939\n"
STATISTICS = """\
2023-08-23 01:25:45.802137: I tensorflow/core/common_runtime/bfc_allocator.cc:1364] Stats:
Limit:                       68719476736
BytesReclaimed:              {size}
NumSingleReclaims:                   {single}
"""


def run(*arguments: object, stdin: bytes = b"") -> tuple[int, str]:
    output, before = io.StringIO(), (sys.argv, sys.stdin)
    sys.argv = ["harness", "judge", *map(str, arguments)]
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin)))
    try:
        with redirect_stdout(output), redirect_stderr(output), pytest.raises(SystemExit) as left:
            main()
    finally:
        sys.argv, sys.stdin = before
    assert isinstance(left.value.code, int)
    return left.value.code, output.getvalue()


def test_as_a_process(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(HEAD + UNCAUGHT)
    command = [sys.executable, "-m", "harness", "judge", "-"]
    done = subprocess.run(command, cwd=ROOT, stdin=log.open("rb"), capture_output=True, check=False)
    assert done.returncode == 1
    assert b"ValueError: bad shape" in done.stdout


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def log(text: str, name: str = "a.log") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return log


def checks(output: str) -> list[list[Any]]:
    return [[check["status"] for check in entry["checks"]] for entry in json.loads(output)]


def test_exit_code_0_makes_a_handled_exception_certain(write: Any) -> None:
    log = write(HEAD + "ERROR:root:no cache\n" + CAUGHT + TF_OOM)
    assert run(log)[0] == 1
    code, output = run("--exit-code", 0, log)
    assert code == 0
    assert "exit code 0; 2 problems handled (line 6)" in output


@pytest.mark.parametrize("name", ["bus-error", "loss-equals", "kernel-oom", "thread-then-more"])
def test_exit_code_0_takes_back_no_death_and_no_loss(name: str, write: Any) -> None:
    assert run("--exit-code", 0, write(HEAD + FAIL[name]))[0] == 1


@pytest.mark.parametrize("code", [1, 137, -9])
def test_another_exit_code_fails(code: int, write: Any) -> None:
    status, output = run(f"--exit-code={code}", write(HEAD + TAIL))
    assert status == 1
    assert f"exit code {code}" in output


def test_a_run_without_lms(write: Any) -> None:
    log = write(PLAIN)
    code, output = run(log)
    assert code == 2
    assert "--no-lms says that it was not to be on" in output
    code, output = run("--no-lms", "--json", log)
    assert code == 0
    assert checks(output) == [["passed"] + ["skipped"] * 7]
    assert run("--no-lms", write(PLAIN + UNCAUGHT))[0] == 1


@pytest.mark.parametrize(
    ("size", "single", "code", "words"),
    [
        (12884901888, 941, 0, "moved 12,288.0 MiB to the host, 941 times one tensor"),
        (0, 0, 1, "it never swapped"),
    ],
)
def test_an_allocator_is_judged_by_its_statistics(
    size: int, single: int, code: int, words: str, write: Any
) -> None:
    log = write(STATISTICS.format(size=size, single=single) + PLAIN)
    status, output = run("--provider", "allocator", log)
    assert status == code
    assert words in output
    status, output = run(log)
    assert status == 2
    assert "--provider allocator judges that" in output


def test_an_allocator_that_says_nothing(write: Any) -> None:
    code, output = run("--provider", "allocator", write(PLAIN))
    assert code == 2
    assert "no statistics of the allocator" in output


def test_statistics_in_the_form_of_the_python_interface(write: Any) -> None:
    log = write("bytes_reclaimed: 4096, num_single_reclaims: 3, num_full_reclaims=1\n" + PLAIN)
    code, output = run("--provider", "allocator", log)
    assert code == 0
    assert "4.0 KiB to the host, 3 times one tensor, 1 time all" in output


def test_ranks_have_one_verdict(write: Any) -> None:
    good, bad = write(HEAD + TAIL, "0.log"), write(HEAD + UNCAUGHT, "1.log")
    code, output = run("--ranks", good, bad)
    assert code == 1
    assert f"rank 1 ({bad}): exception at line 5: ValueError: bad shape" in output
    assert "rank 0" not in output.split("\n")[1]
    assert run("--ranks", good, good)[0] == 0
    code, output = run("--ranks", "--json", good, bad)
    (entry,) = json.loads(output)
    assert code == 1
    assert entry["logs"] == [str(good), str(bad)]
    assert [check["status"] for check in entry["checks"]][:3] == ["failed", "passed", "passed"]
    assert [rank["checks"][0]["status"] for rank in entry["ranks"]] == ["passed", "failed"]
    assert entry["ranks"][1]["facts"]["problems"][0]["kind"] == "traceback"


def test_several_logs_have_a_verdict_each(write: Any) -> None:
    code, output = run("--json", write(HEAD + TAIL, "0.log"), write(HEAD + UNCAUGHT, "1.log"))
    assert code == 1
    assert [entry[0] for entry in checks(output)] == ["passed", "failed"]


def test_standard_input() -> None:
    code, output = run("-", stdin=(HEAD + UNCAUGHT).encode())
    assert code == 1
    assert output.startswith("-\n")
    assert run("-", stdin=(HEAD + TAIL).encode("utf-16"))[0] == 0


def test_json_holds_what_was_handled(write: Any) -> None:
    code, output = run("--json", write(HEAD + OK["print-exc"] + TAIL))
    (entry,) = json.loads(output)
    assert code == 0
    assert [problem["kind"] for problem in entry["facts"]["handled"]] == ["traceback"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--no-lms", "--provider", "allocator", "-"], "exclude each other"),
        (["--exit-code", "many", "-"], "not a valid integer"),
        (["--provider", "magic", "-"], "is not one of"),
        (["no-such.log"], "does not exist"),
        ([], "Missing argument"),
    ],
)
def test_bad_usage(arguments: list[str], words: str) -> None:
    code, output = run(*arguments)
    assert code == 4
    assert words in output
    assert "Traceback" not in output
