"""What a provider does wrong on purpose, so that a harness can be seen to notice."""

import typing

LOST = "swaps_lost"
NEVER = "never_swapped"
ORDERS = ("evenly", "largest", "smallest")
# Each but `LOST` is written as it is here; that is `swaps_lost:<percent>:<order>`.
KINDS = (
    LOST,
    "first_step_only",
    NEVER,
    "device_copy_kept",
    "swapped_in_early",
    "values_wrong",
    "element_wrong",
    "tensor_wrong",
    "report_doubled",
    "report_halved",
)
_SHARES = {"report_doubled": 2.0, "report_halved": 0.5}


class Fault(typing.NamedTuple):
    """One fault of a provider, in whatever step it trains.

    kind:
        swaps_lost: a part of the tensors is not swapped, and that is not said.
        first_step_only: the first step of a training swaps, those after it do not.
        never_swapped: what would be swapped is announced, and nothing is.
        device_copy_kept: what is swapped out stays on the accelerator too, until it is back.
        swapped_in_early: what is swapped out comes back at once.
        values_wrong: what comes back is not what was swapped out.
        element_wrong: in one step one number of one tensor is another when it comes back.
        tensor_wrong: in place of one tensor another of its shape comes back.
        report_doubled, report_halved: twice, or half, of what is swapped is announced.
    percent, order: of `swaps_lost`: how many of the tensors, at least one; and which: evenly among
        all, the largest, or the smallest.
    """

    kind: str
    percent: int = 0
    order: str = ""

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """A fault as LMS_FAULT has it; raises ValueError with one line where it is none."""
        kind, *details = text.split(":")
        if kind not in KINDS:
            raise ValueError(f"LMS_FAULT is {text!r}; it must be one of {', '.join(KINDS)}")
        if kind != LOST:
            if details:
                raise ValueError(f"LMS_FAULT is {text!r}; {kind} takes nothing after it")
            return cls(kind)
        percent, order = details if len(details) == 2 else ("", "")
        if not (percent.isdigit() and 1 <= int(percent) <= 100 and order in ORDERS):
            raise ValueError(
                f"LMS_FAULT is {text!r}; it must be {LOST}:<1 to 100>:<{'|'.join(ORDERS)}>"
            )
        return cls(kind, int(percent), order)

    def lost(self, sizes: typing.Sequence[int]) -> typing.FrozenSet[int]:
        """Which of the tensors of these sizes are not swapped, by their positions."""
        if self.kind != LOST or not sizes:
            return frozenset()
        count = max(1, round(len(sizes) * self.percent / 100))
        if self.order == "evenly":
            return frozenset((2 * i + 1) * len(sizes) // (2 * count) for i in range(count))
        order = sorted(range(len(sizes)), key=sizes.__getitem__, reverse=self.order == "largest")
        return frozenset(order[:count])

    @property
    def reported(self) -> float:
        """The part of what is swapped that is announced."""
        return _SHARES.get(self.kind, 1.0)


class WrongElement:
    """Changes one number of one tensor in one step: of a tensor that comes back once a step."""

    # Not in the first step, which may only be there to try out kernels.
    _step = 1

    def __init__(self) -> None:
        self._calls = 0

    def __call__(self, array: typing.Any) -> typing.Any:
        """An array, numpy, or in that step a copy in which one number has the other sign."""
        self._calls += 1
        if self._calls - 1 != self._step:
            return array
        wrong = array.copy()
        # The greatest, as it may be what others are compared with; none is as likely to be of use.
        where = abs(array).argmax()
        wrong.flat[where] = -array.flat[where] or 1.0
        return wrong
