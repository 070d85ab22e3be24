"""The numbers of checks that are compared, and by how much each may differ. Pure.

Only numbers are here that are the same in two runs where nothing has changed: times of whole
phases, differences of values and what is sampled on a bus are not. Of the checks that show one and
the same step, one is taken.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.base.text import MIB
from harness.record.checks import Check, CheckId, finite
from harness.record.comparison import Kind

SHARES: Mapping[Kind, float] = {"swaps": 0.01, "bytes": 0.01, "peak": 0.05, "time": 0.25}
"""By which share of the baseline's a number may differ."""

# Or by so many bytes, for the reasons that check 7 has: which of the operations that are ready runs
# first is chance and moves a peak by single tensors, on the host by more; a GPU's is of allocators.
_PEAK_BYTES, _HOST_PEAK_BYTES, _GPU_PEAK_BYTES = MIB, 8 * MIB, 20 * MIB
# A graph whose peak is above so many times what one operation needs has no fixed order (check 7).
_UNORDERED, _UNORDERED_SHARE = 1.25, 0.35
_LEAST_MS = 1.0  # a clock and a scheduler alone move a time by as much

_KINDS: Mapping[CheckId, Mapping[str, Kind]] = {
    CheckId.LMS_EDITED_GRAPH: {
        "swap_out": "swaps",
        "swap_in": "swaps",
        "bytes_out": "bytes",
        "bytes_in": "bytes",
    },
    CheckId.STATE_RESTORED: {
        "weights_bytes": "bytes",
        "optimizer_bytes": "bytes",
        "predictions_bytes": "bytes",
    },
    CheckId.SWAPPING_CONFIRMED: {
        "executed_swap_out": "swaps",
        "executed_swap_in": "swaps",
        "moved_out_bytes": "bytes",
        "moved_in_bytes": "bytes",
        "peak_bytes": "peak",
        "peak_host_bytes": "peak",
        "control_peak_bytes": "peak",
        "nvml_peak_bytes": "peak",
        "control_nvml_peak_bytes": "peak",
        "host_peak_bytes": "peak",
        "compiled_peak_bytes": "peak",
        "control_compiled_peak_bytes": "peak",
        "compiled_out_bytes": "bytes",
        "compiled_in_bytes": "bytes",
        "step_ms": "time",
    },
}
_BOUND = "lower_bound_bytes"


def kept(check: Check) -> dict[str, float]:
    """The numbers of a check that a comparison needs, by name, sorted."""
    names = _KINDS.get(check.id, {})
    return {
        name: number
        for name, value in sorted(check.numbers.items())
        if (own := own_name(name)) in names or (own == _BOUND and names)
        if (number := finite(value)) is not None
    }


def own_name(name: str) -> str:
    """The name without that of the phase in front of it."""
    return name.rpartition(".")[2]


def kind(check: CheckId, name: str) -> Kind | None:
    """What a number of a check is; None for one that is not compared itself."""
    return _KINDS.get(check, {}).get(own_name(name))


def share(check: CheckId, name: str, numbers: Mapping[str, float]) -> float:
    """The share that a number may differ by.

    Args:
        numbers: the baseline's of the check; a peak's share is larger where its order is not fixed.
    """
    own = own_name(name)
    what = _KINDS[check][own]
    bound = numbers.get(f"{name[: -len(own)]}{_BOUND}")
    if own == "peak_bytes" and bound and numbers[name] > _UNORDERED * bound:
        return _UNORDERED_SHARE
    return SHARES[what]


def beyond(check: CheckId, name: str, before: float, after: float, allowed: float) -> bool:
    """Whether a number is beyond the share that it may differ by, and beyond what is chance."""
    difference = abs(after - before)
    return difference > allowed * abs(before) and difference > _slack(check, name)


def worse(check: CheckId, name: str, before: float, after: float, on_gpu: bool) -> bool:
    """Whether a number beyond its tolerance is one for the worse: a regression.

    Fewer swaps or bytes, and a higher peak on the accelerator. A control's peak and the host's say
    what changed beside it. A step's time is one on a GPU alone: on a CPU it is that of its load.
    """
    what = kind(check, name)
    if what in ("swaps", "bytes"):
        return after < before
    if what == "peak":
        return after > before and own_name(name) in ("peak_bytes", "nvml_peak_bytes")
    return what == "time" and on_gpu and after > before


def _slack(check: CheckId, name: str) -> float:
    own, what = own_name(name), kind(check, name)
    if what == "time":
        return _LEAST_MS
    if what != "peak":
        return 0.0
    if "nvml" in own:
        return _GPU_PEAK_BYTES
    return _HOST_PEAK_BYTES if "host" in own else _PEAK_BYTES
