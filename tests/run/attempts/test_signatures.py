"""What counts as the GPU's fault by a log, and what a product says without being excused by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.engine.protocol import Exit
from harness.logs import parser
from harness.record.facts import LogFacts
from harness.record.models import Outcome
from harness.run.attempts import signatures

FAILED = Exit(Outcome.FAILED, 1, "exit code 1")
ECC = "uncorrectable ECC error encountered"
TORCH_HINT = (
    "\nCUDA kernel errors might be asynchronously reported at some other API call, so the"
    " stacktrace below might be incorrect.\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1."
)
FATAL = (
    "2024-03-05 10:00:00.123456: F tensorflow/stream_executor/lib/statusor.cc:34] Attempting to"
    " fetch value instead of handling error Internal: failed initializing StreamExecutor for CUDA"
    " device ordinal 0: Internal: failed call to cuDevicePrimaryCtxRetain:"
    f" CUDA_ERROR_ECC_UNCORRECTABLE: {ECC}"
)


def facts_of(tmp_path: Path, *parts: str) -> LogFacts:
    path = tmp_path / "stderr.log"
    path.write_text("\n".join(["Epoch 1/2", *parts, ""]))
    return parser.parse(path)


def traceback(exception: str) -> str:
    frame = '  File "/scenarios/train.py", line 5, in <module>\n    model.fit(x)'
    return f"Traceback (most recent call last):\n{frame}\n{exception}"


# As torch, TensorFlow 1 and 2, and jax pass on what CUDA answers.
@pytest.mark.parametrize(
    ("exception", "means"),
    [
        (f"RuntimeError: CUDA error: {ECC}{TORCH_HINT}", "memory is damaged"),
        (
            "torch.AcceleratorError: CUDA error: CUDA-capable device(s) is/are busy or unavailable"
            f"{TORCH_HINT}",
            "somebody else",
        ),
        (
            "tensorflow.python.framework.errors_impl.InternalError: cudaGetDevice() failed."
            " Status: all CUDA-capable devices are busy or unavailable",
            "somebody else",
        ),
        (
            "jaxlib.xla_extension.XlaRuntimeError: INTERNAL: Failed to synchronize stream:"
            f" CUDA_ERROR_ECC_UNCORRECTABLE: {ECC}",
            "memory is damaged",
        ),
        ("RuntimeError: CUDA error: system not yet initialized", "not up yet"),
        (
            "RuntimeError: CUDA error: uncorrectable NVLink error detected during the execution",
            "NVLink",
        ),
    ],
)
def test_an_answer_of_cuda_that_ended_a_script_is_the_gpus(tmp_path, exception, means) -> None:
    found = signatures.of_failure(FAILED, facts_of(tmp_path, traceback(exception)))
    assert found is not None
    assert means in found.means


def test_so_is_one_that_aborted_the_process(tmp_path) -> None:
    aborted = Exit(Outcome.FAILED, 134, "ended by a signal (SIGABRT, aborted)")
    assert signatures.of_failure(aborted, facts_of(tmp_path, FATAL)) is not None


@pytest.mark.parametrize(
    "log",
    [
        [traceback(f"AssertionError: CUDA error: {ECC}")],
        [traceback(f"ValueError: the loss is off: {ECC}")],
        [traceback(f"RuntimeError: '{ECC}' is in the log, which was expected")],
        [traceback("RuntimeError: CUDA error: an illegal memory access was encountered")],
        [traceback("RuntimeError: CUDA error: device-side assert triggered")],
        [traceback("RuntimeError: CUDA error: unspecified launch failure")],
        [traceback("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB")],
        # It is printed, and the script ended with something else.
        [f"RuntimeError: CUDA error: {ECC}", traceback("ValueError: shapes do not match")],
        [f"note: CUDA error: {ECC}"],
        [f"CUDA_ERROR_ECC_UNCORRECTABLE: {ECC}"],
        # It ended with it, and had failed before.
        ["loss: nan", traceback(f"RuntimeError: CUDA error: {ECC}")],
        [
            ':::LMS {"event": "claim", "text": "there are two files", "expected": 2, "found": 1}',
            traceback(f"RuntimeError: CUDA error: {ECC}"),
        ],
        # It had done all it had to do.
        [':::LMS {"event": "done"}', traceback(f"RuntimeError: CUDA error: {ECC}")],
    ],
)
def test_a_product_that_fails_is_not_excused_by_what_it_prints(tmp_path, log) -> None:
    assert signatures.of_failure(FAILED, facts_of(tmp_path, *log)) is None


@pytest.mark.parametrize(
    "outcome",
    [outcome for outcome in Outcome if outcome is not Outcome.FAILED],
)
def test_only_a_failure_has_a_signature(tmp_path, outcome) -> None:
    facts = facts_of(tmp_path, traceback(f"RuntimeError: CUDA error: {ECC}"))
    assert signatures.of_failure(Exit(outcome, 1, ""), facts) is None


def test_a_client_has_no_gpu(tmp_path) -> None:
    facts = facts_of(tmp_path, traceback(f"RuntimeError: CUDA error: {ECC}"))
    client = Exit(Outcome.FAILED, 1, "client: exit code 1")
    assert signatures.of_failure(client, facts) is None


@pytest.mark.parametrize(
    ("reason", "promised"),
    [
        ("error: ACCELERATOR is gpu, and TensorFlow sees no GPU", True),
        ("error: torch sees no GPU", True),
        ("error: jax sees no GPU: its devices are cpu:0", True),
        ("error: libcuda.so.1 sees no GPU for a MEMORY_CEILING of 5", True),
        ("error: the digits are damaged: SHA-256 differs", False),
        ("error: there is a note that TensorFlow sees no GPU" + "x" * 50, False),
        ("exit code 3", False),
    ],
)
def test_a_promise_is_worth_another_attempt_where_it_was_the_gpu(reason, promised) -> None:
    assert signatures.of_promise(Exit(Outcome.ENGINE_ERROR, 3, reason)) is promised
    assert not signatures.of_promise(Exit(Outcome.FAILED, 3, reason))


def test_each_signature_says_where_it_is_from() -> None:
    for signature in signatures.SIGNATURES:
        assert signature.source.startswith("https://")
        assert len(signature.names) == 2
