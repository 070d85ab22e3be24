"""The batch scale of a run on a GPU: how large a batch has to be for NVML to see it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from harness.base.text import MIB

VARIABLE = "BATCH_SCALE"
# Of the memory; the other half is for weights, and for what cuDNN takes for its algorithms.
_PART = 2


@dataclass(frozen=True)
class Goal:
    """What a control's step is to hold on a GPU.

    Attributes:
        activations_mib: MiB that its activations come to at least; 0 for batches as they are.
        memory_bytes: the GPU's memory in all, or None where it is not told: then nothing limits.
    """

    activations_mib: int
    memory_bytes: int | None

    def scale(self, activations_mib: float) -> int:
        """The least factor on the batch size that reaches the goal, or the largest that fits.

        Args:
            activations_mib: MiB that a control's step holds at factor 1; 0 where it is not known,
                and then the factor is 1.
        """
        if not activations_mib:
            return 1
        wanted = -(-self.activations_mib // activations_mib)
        if self.memory_bytes is not None:
            wanted = min(wanted, self.memory_bytes / MIB / _PART // activations_mib)
        return max(1, int(wanted))
