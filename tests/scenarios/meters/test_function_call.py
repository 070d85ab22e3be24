"""The allocation meter of function mode, on events made by hand."""

from __future__ import annotations

from types import SimpleNamespace as Record
from typing import Any

import pytest

from meters.function_call import measure
from meters.measurement import Measurement, Points
from meters.profiler import Event

MAIN, WORKER = ("host", 1), ("host", 2)
STEP = 77


def node(name: str, *inputs: str, device: str = "CPU:1", calls: str = "") -> Any:
    attributes = {"f": Record(func=Record(name=calls))} if calls else {}
    return Record(name=name, device=f"/device:{device}", input=list(inputs), attr=attributes)


def function(name: str, *nodes: Any) -> Any:
    return Record(signature=Record(name=name), node_def=list(nodes))


FUNCTIONS = {
    "step": function(
        "step",
        node("a", "x"),
        node("lms/swapout_a_0", "a:output:0", device="CPU:0"),
        node("lms/swapin_a_0", "lms/swapout_a_0:output:0"),
        node("b", "lms/swapin_a_0:output:0", "a:output:0", "^a"),
        node("call", "b:z:0", calls="inner"),
    ),
    "inner": function("inner", node("c"), node("lms/swapin_hidden", calls="inner")),
    "handing_on": function(
        "handing_on",
        node("a"),
        node("lms/swapin_a_0"),
        node("b", "a:output:0", "lms/swapin_a_0:output:0"),
        node("call/c", "b:z:0"),
    ),
    # As Keras 3 has it: the step is in a branch of a conditional in the function of the iterator.
    "iterator": function("iterator", node("outer", calls="branches", device="")),
    "branches": function("branches", node("cond", calls="branch", device="")),
    "branch": function("branch", node("cond/call", calls="step", device="CPU:0")),
}


def called(name: str = "step", start: int = 0, end: int = 100, step: int = STEP) -> list[Event]:
    return [
        Event("EagerExecute", start, end, MAIN, {"eager_op": name}),
        Event("FunctionRun", start + 1, start + 2, MAIN, {"id": step}),
    ]


def allocated(time: int, operation: str, size: int, address: int, **stats: Any) -> Event:
    stats = {"tf_op": operation, "id": STEP, "region_type": "output", **stats}
    return Event(
        "MemoryAllocation", time, time, WORKER, {"requested_bytes": size, "addr": address, **stats}
    )


def released(time: int, address: int, **stats: Any) -> Event:
    return Event("MemoryDeallocation", time, time, WORKER, {"addr": address, **stats})


def executed(time: int, name: str) -> Event:
    return Event(name, time, time + 1, WORKER, {})


def measured(
    *events: Event, host: str = "CPU:0", accelerator: str = "CPU:1", name: str = "step"
) -> Measurement:
    ordered = sorted(events, key=lambda event: event.start)
    return measure(ordered, {name}, FUNCTIONS.__getitem__, accelerator, host)


def test_peak_is_of_each_device_and_of_what_the_step_gives_back() -> None:
    result = measured(
        *called(),
        allocated(5, "a", 100, 1),
        allocated(10, "lms/swapout_a_0", 100, 2),
        released(15, 1),
        allocated(20, "lms/swapin_a_0", 100, 1),
        allocated(25, "b", 50, 3),
        released(30, 1),
        released(35, 2),
        allocated(40, "call/c", 7, 4),  # inlined: where the call is
        released(41, 4),
        released(45, 3),
        allocated(50, "b", 1000, 5, region_type="persist"),  # never released
    )
    assert result.accelerator_peak_bytes == 150
    assert result.host_peak_bytes == 100
    assert result.accelerator_retained_bytes == 1000
    assert result.accelerator_bound_bytes == 150  # b and the swap-in; a is gone


def test_the_bound_holds_a_workspace_and_a_buffer_that_was_handed_on() -> None:
    result = measured(
        *called("handing_on"),
        allocated(5, "a", 100, 1),
        released(15, 1),
        allocated(20, "lms/swapin_a_0", 70, 2),  # b works in it, and has no buffer of its own
        allocated(30, "call/c", 7, 3),
        allocated(31, "call/c", 500, 4, region_type="temp"),
        allocated(32, "call/c", 20, 5, region_type="temp"),
        released(33, 5),
        released(34, 4),
        released(40, 2),
        released(41, 3),
        name="handing_on",
    )
    assert result.accelerator_bound_bytes == 597  # c, both of its workspaces, and what b hands on


def test_names_of_inlined_calls_are_resolved() -> None:
    prefix = "outer/cond/then/_28/cond/call/"
    result = measured(
        *called("iterator"),
        allocated(5, prefix + "a", 100, 1),
        allocated(6, prefix + "lms/swapout_a_0", 100, 2),
        executed(7, prefix + "lms/swapout_a_0:Roll"),
        executed(8, "outer/cond/else/_27/cond/call/lms/swapout_a_0/_7:_Send"),
        allocated(9, prefix + "b", 40, 3),
        allocated(10, prefix + "made/by/grappler", 3, 4),
        *(released(20, address) for address in (1, 2, 3, 4)),
        name="iterator",
    )
    assert (result.swap_out_executed, result.swap_out_bytes) == (1, 100)
    assert result.accelerator_peak_bytes == 140
    assert result.host_peak_bytes == 103  # where its call is
    assert result.accelerator_bound_bytes == 140  # a and b
    assert result.graph_swap_in == 2


def test_other_steps_and_times_do_not_count() -> None:
    result = measured(
        *called(),
        allocated(5, "map/a", 9, 1, id=STEP + 1),
        allocated(101, "a", 9, 2),
        allocated(6, "Grappler/made", 4, 3),  # for no operation of the graph: the accelerator's
        released(7, 3),
        released(8, 99),
    )
    assert result.accelerator_peak_bytes == 4
    assert result.host_peak_bytes is None


def test_swaps_are_counted_without_their_copies_between_devices() -> None:
    result = measured(
        *called(),
        executed(9, "lms/swapout_a_0:Roll"),
        executed(11, "lms/swapout_a_0/_2:_Recv"),
        allocated(10, "lms/swapout_a_0", 100, 2),
        executed(21, "lms/swapin_other:Roll"),
        executed(201, "lms/swapin_a_0:Roll"),  # after the call
    )
    assert (result.swap_out_executed, result.swap_out_bytes) == (1, 100)
    assert (result.swap_in_executed, result.swap_in_bytes) == (1, None)
    assert (result.graph_swap_out, result.graph_swap_in) == (1, 2)


def test_last_call_is_measured() -> None:
    result = measured(
        *called(step=1),
        allocated(5, "a", 100, 1, id=1),
        released(6, 1),
        *called(start=200, end=300),
        allocated(205, "a", 30, 1),
        released(206, 1),
    )
    assert result.accelerator_peak_bytes == 30
    with pytest.raises(LookupError, match="was not called"):
        measured(*called(name="another"))


def test_on_a_gpu_the_allocator_tells_the_device() -> None:
    result = measured(
        *called(),
        allocated(5, "lms/swapout_a_0", 8, 1, allocator_name="GPU_0_bfc"),
        allocated(6, "a", 16, 1, allocator_name="cpu"),
        released(7, 1, allocator_name="GPU_0_bfc"),
        released(8, 1, allocator_name="cpu"),
        accelerator="GPU:0",
    )
    assert result.accelerator_peak_bytes == 8
    assert result.host_peak_bytes == 16


def test_the_call_over_time() -> None:
    us = 10**6  # picoseconds
    result = measured(
        *called(start=1000 * us, end=1100 * us),
        allocated(1005 * us, "a", 100, 1),
        executed(1009 * us, "lms/swapout_a_0:Roll"),
        allocated(1010 * us, "lms/swapout_a_0", 100, 2),
        released(1015 * us, 1),
        executed(1019 * us, "lms/swapin_a_0:Roll"),
        allocated(1020 * us, "lms/swapin_a_0", 100, 1),
        allocated(1025 * us, "b", 50, 3),
        released(1030 * us, 1),
        released(1035 * us, 2),
        released(1045 * us, 3),
        allocated(1050 * us, "b", 1000, 5, region_type="persist"),  # never released
    )
    series = result.series
    assert series is not None
    assert (series.unit, series.end) == ("microseconds", 100)
    assert series.accelerator == Points([0, 5, 15, 20, 25, 30, 45], [0, 100, 0, 100, 150, 50, 0])
    assert series.host == Points([0, 10, 35], [0, 100, 0])
    assert (series.swap_out, series.swap_in) == ([9], [19])
    assert series.largest == [("a_0", 100)]
    assert series.accelerator.peak == result.accelerator_peak_bytes == 150
