"""What providers of a step, and libraries that offload, print; and what `judge` makes of it."""

from __future__ import annotations

import pytest

from harness.checks.log_alone import judge_log
from harness.logs.parser import parse
from harness.record.checks import CheckId, Status

PROGRESS = "Epoch 1/2\n12/12 - 3s - loss: 0.6931 - accuracy: 0.5000\nTest accuracy: 0.5\n"
MOVED = (
    "INFO [LMS][0] Swapping 16 tensors out (0.0265 GiB) and 15 tensors in (0.0264 GiB) in a step\n"
)
# As the sources of trl 1.16, torchtune 0.6 and transformers' logging print them.
NO_HEAD = (
    "During activation offloading, no output head was detected. If your model has an output head,"
    " it will be offloaded. This usually greatly slows training, given the large vocabulary size."
)
RAM = "of virtual memory used"
PAGED = (
    "/opt/venv/lib/python3.11/site-packages/bitsandbytes/optim/optimizer.py:387: UserWarning: Paged"
    " optimizers are not supported on CPU. Falling back to non-paged optimizer behavior."
)
HINT = (
    "INFO:torchtune.utils._logging:Hint: enable_activation_checkpointing is True, but"
    " enable_activation_offloading isn't. Enabling activation offloading should reduce memory"
    " further."
)
NO_BOOL = (
    "2024-03-04 10:11:12.123456: E tensorflow/core/common_runtime/gpu/gpu_device.cc:1143] Unable to"
    " read TF_FORCE_UNIFIED_MEMORY: Failed to parse the env-var ${TF_FORCE_UNIFIED_MEMORY} into"
    " bool: yes. Use the default value: 0"
)
UNIFIED = (
    "2021-08-25 10:37:08.130404: E tensorflow/stream_executor/cuda/cuda_driver.cc:794] failed to"
    " alloc 4294967296 bytes unified memory; result: CUDA_ERROR_OUT_OF_MEMORY: out of memory"
)


def judged(*lines: str) -> tuple[Status, str]:
    checks = judge_log(parse("\n".join((*lines, PROGRESS)).encode()))
    (check,) = (entry for entry in checks if entry.id is CheckId.LMS_EDITED_GRAPH)
    return check.status, check.message


def test_what_a_provider_moves_in_a_step_is_a_report_of_it() -> None:
    (edit,) = parse(MOVED.encode()).edits
    assert (edit.source, edit.operations, edit.swap_out, edit.swap_in) == ("native", 31, 16, 15)
    assert (edit.bytes_out, edit.bytes_in) == (round(0.0265 * 2**30), round(0.0264 * 2**30))
    assert judged(MOVED)[0] is Status.PASSED
    unsized = "[LMS][0] Swapping 3 tensors out and 3 tensors in in a step"
    (edit,) = parse(unsized.encode()).edits
    assert (edit.swap_out, edit.bytes_out, edit.bytes_in) == (3, None, None)


def test_what_a_provider_computes_again_is_one_too() -> None:
    (edit,) = parse(b"INFO [LMS][0] Computing 8 layers again in a step\n").edits
    assert (edit.recomputed, edit.swap_out, edit.bytes_out) == (8, 0, None)
    status, message = judged("INFO [LMS][0] Computing 8 layers again in a step")
    assert (status, message) == (Status.PASSED, "log: 8 layers computed again in a step")


@pytest.mark.parametrize(
    "line",
    [
        "INFO [LMS][0] Swapping 0 tensors out and 0 tensors in in a step",
        "INFO [LMS][0] Swapping 4 tensors out and 0 tensors in in a step",
    ],
)
def test_one_that_moves_nothing_is_a_failure(line: str) -> None:
    assert judged(line)[0] is Status.FAILED


@pytest.mark.parametrize(
    ("line", "library"),
    [
        (NO_HEAD, "trl or torchtune"),
        (f"WARNING:trl:curr_pct=71.2% > self.virtual_memory_safe_pct=60% {RAM}", "trl or torch"),
        (
            "x.py:115: UserWarning: ***** WARNING: curr_pct=60.1% > self.virtual_memory_safe_pct=60"
            f"% {RAM}",
            "trl or torchtune",
        ),
        ("enable_activation_offloading: true", "trl or torchtune"),
        ("TF_FORCE_UNIFIED_MEMORY=1", "managed memory"),
        ("environ({'TF_FORCE_UNIFIED_MEMORY': '1'})", "managed memory"),
        ("XLA_PYTHON_CLIENT_MEM_FRACTION=4.0", "managed memory"),
        ("os.environ['XLA_CLIENT_MEM_FRACTION'] = '1.5'", "managed memory"),
        (UNIFIED, "managed memory"),
    ],
)
def test_the_words_of_a_library_without_a_count_are_no_pass(line: str, library: str) -> None:
    status, message = judged("a first line", line)
    assert status is Status.ERROR
    assert message.startswith("log: line 2 names ")
    assert library in message
    # With a count beside them the words take nothing away.
    assert judged(line, MOVED)[0] is Status.PASSED


@pytest.mark.parametrize("line", [PAGED, HINT, NO_BOOL])
def test_a_library_that_says_it_is_off_is_a_failure(line: str) -> None:
    status, message = judged("a first line", line)
    assert status is Status.FAILED
    assert message.startswith("log: LMS is off, line 2")
    assert judged(line, MOVED)[0] is Status.FAILED


@pytest.mark.parametrize(
    "line",
    [
        "XLA_PYTHON_CLIENT_MEM_FRACTION=0.9",
        "XLA_PYTHON_CLIENT_MEM_FRACTION=1.0",
        "TF_FORCE_UNIFIED_MEMORY=0",
        "enable_activation_offloading: false",
        "12% of virtual memory used",
    ],
)
def test_a_setting_that_asks_for_nothing_names_no_library(line: str) -> None:
    assert judged(line) == (
        Status.ERROR,
        "log: no line is of LMS; --no-lms says that it was not to be on",
    )


def test_what_cuda_could_not_manage_is_a_back_off_and_no_problem() -> None:
    assert parse(f"{UNIFIED}\n{PROGRESS}".encode()).problems == []
