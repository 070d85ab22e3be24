"""What CUDA says when a GPU is at fault, and nothing that runs on it. Pure.

A log says whatever a script prints, and a product that fails is not excused by a word in it. So a
signature counts only as the exception, or the fatal message, that a script ended with on a GPU, as
frameworks raise what CUDA answers; whatever else the log holds against the script speaks against
it. What counts is worth another attempt and no other verdict: a script that ends with it twice has
failed. That a GPU is lost, or busy, is asked of NVML on the host, and not looked for here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from harness.engine.protocol import Exit
from harness.record.facts import LogFacts, Problem
from harness.record.models import Outcome


@dataclass(frozen=True)
class Signature:
    """An answer of CUDA that is about the GPU.

    Attributes:
        means: what is wrong, in words.
        text: CUDA's own message, as `cudaGetErrorString` has it, as a pattern.
        names: of the error in the driver's and in the runtime's interface.
        source: where it is documented or was seen to be gone in the next run.
    """

    means: str
    text: str
    names: tuple[str, ...]
    source: str


_ERRORS = "https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES.html"

SIGNATURES: Sequence[Signature] = (
    Signature(
        "the GPU's memory is damaged",
        r"uncorrectable ECC error encountered",
        ("CUDA_ERROR_ECC_UNCORRECTABLE", "cudaErrorECCUncorrectable"),
        f"{_ERRORS}, 214; https://github.com/vllm-project/vllm/issues/5222",
    ),
    Signature(
        "somebody else has the GPU, or it is not given back yet",
        r"(?:all CUDA-capable devices are|CUDA-capable device\(s\) is/are) busy or unavailable",
        ("CUDA_ERROR_DEVICE_UNAVAILABLE", "cudaErrorDevicesUnavailable"),
        f"{_ERRORS}, 46; https://github.com/pytorch/pytorch/issues/100691",
    ),
    Signature(
        "an NVLink of the GPU is damaged",
        r"uncorrectable NVLink error detected during the execution",
        ("CUDA_ERROR_NVLINK_UNCORRECTABLE", "cudaErrorNvlinkUncorrectable"),
        f"{_ERRORS}, 220",
    ),
    Signature(
        "the driver's services are not up yet",
        r"system not yet initialized",
        ("CUDA_ERROR_SYSTEM_NOT_READY", "cudaErrorSystemNotReady"),
        f"{_ERRORS}, 802",
    ),
)
# How a script of ours says that the GPU which it was promised is not there (docs/contract.md).
_NO_GPU = re.compile(r"error: (?:ACCELERATOR is gpu, and )?[\w. ]{1,40} sees no GPU\b")
# Exceptions, and fatal messages of TensorFlow and XLA, that pass on what CUDA answers.
_RAISED = (
    r"(?:[\w.]+\.)?(?:Runtime|Accelerator|Internal|Unavailable|Unknown|XlaRuntime|JaxRuntime)Error"
)
_FATAL = r"(?:\S{1,60} \S{1,60} )?F (?:external/\S{1,60}/)?(?:tensorflow|xla)/\S{1,200}:\d+\]"
# What a log holds of these was the script's own doing, whatever it ended with.
_OWN = ("nan_loss", "not_restored", "lms_off", "lms_already_edited", "out_of_memory")


def of_promise(ended: Exit) -> bool:
    """Whether a script ended because the GPU was not there that it was promised."""
    return ended.outcome is Outcome.ENGINE_ERROR and _NO_GPU.match(ended.reason) is not None


def of_failure(ended: Exit, facts: LogFacts) -> Signature | None:
    """The signature that a phase on a GPU ended with; None where it failed for itself.

    Args:
        facts: what its log says.
    """
    if ended.outcome is not Outcome.FAILED or ended.reason.startswith("client: ") or facts.done:
        return None
    own = [problem for problem in facts.problems if problem.kind in _OWN]
    if own or not all(claim.holds for claim in facts.claims):
        return None
    tracebacks = [problem for problem in facts.problems if problem.kind == "traceback"]
    errors = [problem for problem in facts.problems if problem.kind == "cuda_error"]
    # Where nobody has raised anything, the process was ended by its own fatal message.
    ends = tracebacks or [error for error in errors if re.match(_FATAL, error.text)]
    found = [_of_line(problem) for problem in ends]
    return found[0] if found and all(found) else None


def _of_line(problem: Problem) -> Signature | None:
    """The signature that stands at a message's end, or right behind a colon in it."""
    for signature in SIGNATURES:
        answer = "|".join((signature.text, *signature.names))
        if re.match(rf"(?:{_RAISED}:|{_FATAL}) (?:.{{1,600}}: )?(?:{answer})\b", problem.text):
            return signature
    return None
