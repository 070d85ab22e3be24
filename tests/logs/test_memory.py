"""What is exhausted: the memory of a GPU, that of its host, or something that is no memory."""

# Lines stay as they are printed.
# ruff: noqa: E501

from __future__ import annotations

import pytest

from harness.logs import parser
from harness.logs.grammar.vocabulary import of_device
from harness.record.facts import LogFacts, Problem
from tests.logs.siblings import TAIL

AUTOTUNER = "W0914 10:11:12.131415   99 "
EXECUTION = (
    "E1122 00:10:47.231964  290312 pjrt_stream_executor_client.cc:3077] Execution of replica 0"
)
OPERATION = "2022-05-22 23:29:27.574010: W tensorflow/core/framework/op_kernel.cc:1745] OP_REQUIRES"
XLA = "jaxlib.xla_extension.XlaRuntimeError: "
TENSOR = "OOM when allocating tensor with shape[8,256,513,513] and type float on /job:localhost/replica:0"

# As XLA, TensorFlow, torch and CUDA print them.
OF_A_GPU = [
    f"{XLA}RESOURCE_EXHAUSTED: Out of memory while trying to allocate 17179869184 bytes.",
    f"{XLA}RESOURCE_EXHAUSTED: Failed to allocate request for 6.27GiB (6727663616B) on device ordinal 0",
    "RuntimeError: Resource exhausted: Out of memory while trying to allocate 6291456 bytes.",
    f"{EXECUTION} failed: RESOURCE_EXHAUSTED: Out of memory while trying to allocate 6291456 bytes.",
    f"{EXECUTION} failed: RESOURCE_EXHAUSTED: Failed to load in-memory CUBIN (compiled for a different"
    " GPU?).: CUDA_ERROR_OUT_OF_MEMORY: out of memory",
    f"{OPERATION} failed at conv_ops.cc:693 : Resource exhausted: {TENSOR}/task:0/device:GPU:0 by"
    " allocator GPU_0_bfc",
    f"{OPERATION} failed at conv_ops.cc:693 : RESOURCE_EXHAUSTED: failed to allocate memory",
    f"tensorflow.python.framework.errors_impl.ResourceExhaustedError: {TENSOR}/task:0/device:GPU:0 by"
    " allocator GPU_0_bfc [Op:Conv2D]",
    "ResourceExhaustedError: failed to allocate memory [Op:AddV2]",
    f"{XLA}RESOURCE_EXHAUSTED: Failed to allocate memory of 6.27GiB: CUDA_ERROR_OUT_OF_MEMORY: out of memory",
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity",
    "RuntimeError: CUDA error: out of memory",
    # The same word in what is told beside it.
    f"{XLA}RESOURCE_EXHAUSTED: Out of memory while trying to allocate 8 bytes; shared memory limit 9",
]
OF_A_HOST = [
    "MemoryError",
    "numpy.core._exceptions._ArrayMemoryError: Unable to allocate 184. MiB for an array",
    "OSError: [Errno 12] Cannot allocate memory",
    f"{OPERATION} failed at cast_op.cc:109 : Resource exhausted: {TENSOR}/device:CPU:0 by allocator cpu",
    f"{OPERATION} failed at x.cc:9 : Resource exhausted: {TENSOR}/device:GPU:0 by allocator gpu_host_bfc",
    "terminate called after throwing an instance of 'std::bad_alloc'",
    "Memory cgroup out of memory: Killed process 3 (python)",
    f"{XLA}RESOURCE_EXHAUSTED: Failed to allocate memory on host: CUDA_ERROR_OUT_OF_MEMORY",
]
NO_MEMORY = [
    "RESOURCE_EXHAUSTED: Shared memory size limit exceeded: requested 131072, available: 101376,"
    " context: [Fusion: f32[32,128,32,128]]",
    "RESOURCE_EXHAUSTED: Shared memory size limit exceeded.",
    "RESOURCE_EXHAUSTED: Tensor memory size limit exceeded: requested 1024, available 512",
    "RESOURCE_EXHAUSTED: Received message larger than max (52383837 vs. 4194304)",
    "RESOURCE_EXHAUSTED: Sent message larger than max (544715979 vs. 536870912)",
    "RESOURCE_EXHAUSTED: /data/part-39607.snappy.parquet; Too many open files",
    "Resource exhausted: /st1/records/73.tfrecords; Too many open files",
    "Resource exhausted: /tmp/tflearn_logs/IOM5G7/events.out.tfevents.1478962669",
    "RESOURCE_EXHAUSTED: ./model/model-49.tempstate; No space left on device",
    "RESOURCE_EXHAUSTED: Quota exceeded for quota metric 'Queries'",
]


def parse(text: str) -> LogFacts:
    return parser.parse([text.encode()])


def memory(facts: LogFacts) -> list[Problem]:
    return [problem for problem in facts.problems if problem.kind == "out_of_memory"]


@pytest.mark.parametrize("line", OF_A_GPU)
def test_the_memory_of_a_gpu(line: str) -> None:
    (problem,) = memory(parse(f"{line}\n"))
    assert of_device(problem)


@pytest.mark.parametrize("line", OF_A_HOST)
def test_the_memory_of_a_host(line: str) -> None:
    (problem,) = memory(parse(f"{line}\n"))
    assert not of_device(problem)


@pytest.mark.parametrize("words", NO_MEMORY)
@pytest.mark.parametrize("front", [f"{EXECUTION} failed: ", f"{OPERATION} failed at x.cc:9 : "])
def test_what_is_no_memory_in_a_line_of_the_runtime(front: str, words: str) -> None:
    assert parse(f"{front}{words}\n{TAIL}").problems == []
    assert memory(parse(f"{front}{words}\n")) == []


@pytest.mark.parametrize("words", NO_MEMORY)
def test_what_is_no_memory_and_ends_the_program_is_an_exception(words: str) -> None:
    traceback = (
        'Traceback (most recent call last):\n  File "train.py", line 44, in <module>\n    main()\n'
    )
    for text in (f"{XLA}{words}\n", f"{traceback}{XLA}{words}\n"):
        assert [problem.kind for problem in parse(text).problems] == ["traceback"]
    named = words.replace("RESOURCE_EXHAUSTED: ", "").replace("Resource exhausted: ", "")
    error = f"tensorflow.python.framework.errors_impl.ResourceExhaustedError: {named}\n"
    assert [problem.kind for problem in parse(traceback + error).problems] == ["traceback"]


@pytest.mark.parametrize(
    "line",
    [
        "gemm_fusion_autotuner.cc:990] Compiling 12 configs failed: RESOURCE_EXHAUSTED: Shared memory"
        " size limit exceeded: requested 131072, available: 101376",
        "autotuner.cc:411] Compilation of a config failed: RESOURCE_EXHAUSTED: Shared memory size limit"
        " exceeded.",
        "triton_xla.cc:12] Falling back to smaller tiles: RESOURCE_EXHAUSTED: Shared memory size limit",
    ],
)
def test_a_kernel_that_is_dropped_is_no_problem_whatever_follows(line: str) -> None:
    for front in (AUTOTUNER, AUTOTUNER.replace("W", "E", 1)):
        assert parse(f"{front}{line}\n").problems == []


def test_a_kernel_that_is_dropped_hides_no_memory_that_ran_out() -> None:
    log = f"{EXECUTION} failed: {NO_MEMORY[0]}\n{OF_A_GPU[0]}\n"
    (problem,) = memory(parse(log))
    assert problem.line == 2
    assert of_device(problem)


def test_another_problem_is_none_of_a_gpu_s_memory() -> None:
    assert not of_device(Problem(kind="traceback", line=1, text=OF_A_GPU[0]))
