"""What one step of a model did, whatever meter saw it."""

import typing

Count = typing.Optional[int]


class Measurement(typing.NamedTuple):
    """What one step did with memory. A value is None where the framework recorded nothing.

    accelerator_peak_bytes, host_peak_bytes: greatest number of bytes of the step that were alive
        there at one time. Neither memory from before the step, such as variables, is in it, nor
        what the step retained.
    accelerator_retained_bytes: allocated by the step and not released when it ended: values that
        were fetched, and buffers that took the place of a variable's former one.
    accelerator_resident_bytes: what was there before the step, such as variables; None where the
        meter does not look for it.
    accelerator_bound_bytes: size of all inputs and outputs of the operation for which that is
        greatest, with its kernel's workspace where the framework records it: a lower bound of the
        peak of any schedule.
    swap_out_executed, swap_in_executed: swap operations, or copies, that were executed.
    swap_out_bytes, swap_in_bytes: what they moved.
    graph_swap_out, graph_swap_in: swap operations in the graph, or moves in the compiled program,
        of the function that was executed.
    wall_ms: from the start of the first operation to the end of the last.
    """

    accelerator_peak_bytes: Count
    host_peak_bytes: Count
    accelerator_bound_bytes: Count
    swap_out_executed: Count
    swap_in_executed: Count
    swap_out_bytes: Count
    swap_in_bytes: Count
    accelerator_retained_bytes: Count = None
    accelerator_resident_bytes: Count = None
    graph_swap_out: Count = None
    graph_swap_in: Count = None
    wall_ms: typing.Optional[float] = None


class Copies(typing.NamedTuple):
    """Copies between the accelerator's memory and the host's; None where nothing was recorded.

    out, back: how many to the host and back. out_bytes, back_bytes: what they moved.
    """

    out: Count = None
    back: Count = None
    out_bytes: Count = None
    back_bytes: Count = None
