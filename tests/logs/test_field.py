"""Logs from the field, and siblings of each: the verdict of `harness judge` on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.checks.log_alone import judge_log
from harness.cli import judgement
from harness.logs import lines
from harness.logs.parser import parse
from harness.record.checks import CheckId, Status
from harness.record.facts import LogFacts
from tests.logs.siblings import (
    CAUGHT,
    ENDS,
    FAIL,
    HEAD,
    NOT_RESTORED,
    OK,
    TAIL,
    UNCAUGHT,
    prefixed,
    wrapped,
)
from tests.paths import RESOURCES

FIELD = sorted((RESOURCES / "logs" / "field").glob("*.log"))
CODES = {"ok": 0, "fail": 1, "unjudged": 2}
CAUSES = {  # what the message of the check that decides says
    "01": "ValueError: No operations were found with optimizer scopes",
    "03": "OOM when allocating tensor",
    "07": "OOM when allocating tensor",
    "13": "setting attribute of case_62/cond",
    "14": "Fatal Python error: Segmentation fault",
    "20": "NotFoundError: Restoring from checkpoint failed",
    "23": "NotFoundError: Key beta1_power_4 not found",
    "24": "ResourceExhaustedError: Graph execution error",
    "25": "ValueError: Target size",
    "26": "InvalidArgumentError: Incompatible shapes",
    "27": "RuntimeError: Error(s) in loading state_dict",
    "28": "ValueError: Unknown layer",
    "32": "Check failed: work_element_count > 0",
    "34": "Segmentation fault (core dumped)",
    "35": "Illegal instruction",
    "39": "DUE TO TIME LIMIT",
    "40": "Average loss: nan",
    "44": "Loss nan (nan)",
    "45": "Loss for final step: nan",
    "46": "np.float64(nan)",
    "48": "total_loss: nan",
    "49": '"loss": Infinity',
    "50": "JaxRuntimeError: RESOURCE_EXHAUSTED",
    "52": "ValueError: Layer count mismatch",
    "53": "signal 11: SIGSEGV",
    "54": "exit with status code 247",
    "60": "no text: it is gzip data",
    "64": "freshly initialized optimizer",
    "66": "Unresolved object in checkpoint: (root).optimizer.iter",
    "91": "no line is of LMS",
    "95": "Windows fatal exception: access violation",
    "96": "OSError: SavedModel file does not exist",
    "97": "ValueError: could not broadcast",
}


def code(facts: LogFacts) -> int:
    judged = judgement.Judgement((("log", facts),), tuple(judge_log(facts)))
    return judgement.exit_code([judged])


def told(facts: LogFacts) -> list[tuple[str, int, str]]:
    return [(problem.kind, problem.line, problem.text) for problem in facts.problems]


@pytest.mark.parametrize("path", FIELD, ids=lambda path: path.stem)
def test_field(path: Path) -> None:
    number, expected = path.name[:2], path.name.split(".")[-2]
    judged = judgement.judge([path])
    assert judgement.exit_code(judged) == CODES[expected]
    if expected != "ok":
        worst = Status.FAILED if expected == "fail" else Status.ERROR
        messages = [check.message for check in judged[0].checks if check.status is worst]
        assert any(CAUSES[number] in message for message in messages), messages


@pytest.mark.parametrize("name", FAIL)
def test_must_fail(name: str) -> None:
    facts = parse((HEAD + FAIL[name]).encode())
    assert code(facts) == 1, facts


@pytest.mark.parametrize("name", OK)
def test_must_not_fail(name: str) -> None:
    facts = parse((HEAD + OK[name] + TAIL).encode())
    assert code(facts) == 0, told(facts)


@pytest.mark.parametrize("name", NOT_RESTORED)
def test_state_that_the_log_says_was_not_restored(name: str) -> None:
    facts = parse((HEAD + NOT_RESTORED[name] + TAIL).encode())
    assert code(facts) == 2, told(facts)
    check = judge_log(facts)[3]
    assert check.id is CheckId.STATE_RESTORED
    assert "line 5 says" in check.message


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_where_the_log_is_cut_does_not_matter(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = [path.read_bytes() for path in FIELD if "gzip" not in path.name]
    contents += [(HEAD + text).encode() for text in FAIL.values()]
    contents += [(HEAD + text + TAIL).encode() for text in [*OK.values(), *NOT_RESTORED.values()]]
    expected = [parse(content) for content in contents]
    monkeypatch.setattr(lines, "CHUNK", size)
    for content, facts in zip(contents, expected, strict=True):
        assert parse(content) == facts


@pytest.mark.parametrize("name", ENDS)
def test_the_end_of_a_training(name: str) -> None:
    for text in ("WARNING:root:no cache\n" + UNCAUGHT, UNCAUGHT, OK["failed-operation-and-retry"]):
        assert code(parse((HEAD + text + ENDS[name]).encode())) == 0
    assert code(parse((HEAD + ENDS[name] + UNCAUGHT).encode())) == 1


@pytest.mark.parametrize(
    "front",
    [
        "2024-02-01 15:24:42 node7 trainer[30462] WARNING no cache",
        "[NeMo W 2024-02-01 15:24:42 nemo_logging:349] no cache",
        "[LightGBM] [Warning] no cache",
        "trainer WARNING: no cache",
        "2024-02-01 15:24:42,103 sagemaker-training-toolkit WARNING  no cache",
    ],
)
def test_a_warning_was_handled_whatever_follows(front: str) -> None:
    assert code(parse(f"{HEAD}{front}\n{CAUGHT}".encode())) == 0
    error = (
        front.replace("WARNING", "ERROR").replace("[Warning", "[Error").replace("NeMo W", "NeMo E")
    )
    assert code(parse(f"{HEAD}{error}\n{CAUGHT}".encode())) == 1


HARMLESS = (
    "2023-06-05 13:29:54.615258: W tensorflow/c/c_api.cc:304] Operation '{name:'output/bias/Assign'"
    " id:44 op device:{requested: '', assigned: ''} def:{{{node output/bias/Assign}} ="
    " AssignVariableOp[dtype=DT_FLOAT, validate_shape=false](output/bias,"
    " output/bias/Initializer/zeros)}}' was changed by setting attribute after it was run by a"
    " session. This mutation will have no effect, and will trigger an error in the future.\n"
)
HARMFUL = HARMLESS.replace("output/bias/Assign", "loss/Reshape").replace(
    "AssignVariableOp", "Reshape"
)


@pytest.mark.parametrize("width", [40, 72, 79, 80, 100, 120, 132, 200, 239, 300])
def test_wrapped(width: int) -> None:
    harmless = parse(wrapped(HEAD + HARMLESS + TAIL, width).encode())
    assert [(entry.operation, entry.harmless) for entry in harmless.mutations] == [
        ("output/bias/Assign", True)
    ]
    assert code(harmless) == 0
    harmful = parse(wrapped(HEAD + HARMFUL + TAIL, width).encode())
    assert [(entry.operation, entry.harmless) for entry in harmful.mutations] == [
        ("loss/Reshape", False)
    ]
    assert code(harmful) == 1
    assert (harmful.edits[0].swap_out, harmful.edits[0].swap_in) == (291, 355)


def test_wrapped_at_blanks() -> None:
    text = HARMLESS.replace(" id:44", "\nid:44").replace(" after it was run", "\nafter it was run")
    facts = parse((HEAD + text + TAIL).encode())
    assert [entry.harmless for entry in facts.mutations] == [True]


@pytest.mark.parametrize(
    "prefix",
    [
        "[rank0]: ",
        "[1,0]<stdout>:",
        "0: ",
        "train-1  | ",
        "2024-07-12T08:09:40.8675916Z ",
        "2024-07-12T08:09:49.867591617Z stdout F ",
        "[2024-07-12T08:09:49.867Z] ",
        "Nov 26 18:38:02 node7 python[4711]: ",
        "(RayTrainWorker pid=1234, ip=10.0.0.4) ",
        "2024-07-12T08:09:40Z [1,0]<stdout>:",
        "Tue Mar  5 10:11:12 2024[1,2]<stderr>:",
        "[1,mpirank:0,algo-1]<stderr>:",
        "[Mon Mar  4 10:11:12 2024] ",
        "08:09:49  ",
        "#12 34.56 ",
        "tflms-train  | ",
        "algo-1-xyz12 | ",
        "10.0.0.4: ",
        "[train-0] ",
        "[worker-0:stderr] ",
        "stderr: ",
    ],
)
def test_a_transport_changes_no_verdict(prefix: str) -> None:
    for text in (HEAD + UNCAUGHT, HEAD + "WARNING:root:no cache\n" + UNCAUGHT, HEAD + HARMFUL):
        assert code(parse(prefixed(prefix, text).encode())) == 1
    assert code(parse(prefixed(prefix, HEAD + OK["warning-of-absl"] + TAIL).encode())) == 0
    for name in ("syntax-error", "arguments", "csv", "aborted-bare", "k8s-describe"):
        assert code(parse(prefixed(prefix, HEAD + FAIL[name]).encode())) == 1, name
    facts = parse(prefixed(prefix, HEAD + OK["print-exc"] + TAIL).encode())
    assert code(facts) == 0
    assert [problem.kind for problem in facts.handled] == ["traceback"]
