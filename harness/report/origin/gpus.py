"""The GPUs of a run in reports: one, or several that each have facts of their own. Pure."""

from __future__ import annotations

from collections import Counter

from harness.base.text import flat, plural
from harness.record.models import RunRecord


def words(record: RunRecord) -> str:
    """Where phases ran, in words: `on NVIDIA H100`, or `on 2 GPUs (2 x NVIDIA H100)`."""
    if record.gpus:
        names = Counter(flat(gpu.get("name") or "a GPU") for gpu in record.gpus)
        each = ", ".join(f"{count} x {name}" for name, count in names.items())
        return f"on {plural(len(record.gpus), 'GPU')} ({each})"
    if record.gpu:
        return f"on {flat(record.gpu.get('name') or 'a GPU')}"
    if record.accelerator == "virtual":
        return "on a virtual accelerator (no GPU)"
    return f"accelerator {record.accelerator}"


def facts(record: RunRecord, before: str = "GPU", between: str = " ") -> dict[str, object]:
    """The facts of the GPU, or of each of several by its index, e.g. `GPU 1 name`."""
    if not record.gpus:
        return {f"{before}{between}{name}": value for name, value in (record.gpu or {}).items()}
    return {
        f"{before}{between}{flat(gpu.get('index'))}{between}{name}": value
        for gpu in record.gpus
        for name, value in gpu.items()
        if name != "index"
    }
