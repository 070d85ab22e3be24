"""The meter of sessions on records made by hand."""

from types import SimpleNamespace as Record

import pytest

from meters.run_metadata import measure

JOB = "/job:localhost/replica:0/task:0"


def node(name, changes=(), outputs=(), kind="Op", inputs="", start=0, end=1, workspace=0):
    return Record(
        node_name=name,
        timeline_label=f"[cpu 1B 1B] {name} = {kind}({inputs})",
        memory=[
            Record(
                allocation_records=[
                    Record(alloc_micros=micros, alloc_bytes=size) for micros, size in changes
                ]
            )
        ],
        output=[
            Record(
                slot=slot,
                tensor_description=Record(
                    allocation_description=Record(ptr=address, requested_bytes=size)
                ),
            )
            for slot, (address, size) in enumerate(outputs)
        ],
        memory_stats=Record(temp_memory_size=workspace),
        all_start_micros=start,
        all_end_rel_micros=end,
    )


def metadata(**devices):
    return Record(
        step_stats=Record(
            dev_stats=[
                Record(device=f"{JOB}/device:CPU:{name[1:]}", node_stats=nodes)
                for name, nodes in devices.items()
            ]
        )
    )


def measured(**devices):
    return measure(metadata(**devices), "/device:CPU:1", "/cpu:0")


def test_peak_is_of_overlapping_allocations():
    result = measured(
        d1=[node("a", [(1, 100), (5, -100)]), node("b", [(3, 50), (9, -50)])],
        d0=[node("c", [(6, 7), (8, -7)])],
    )
    assert result.accelerator_peak_bytes == 150
    assert result.accelerator_retained_bytes == 0
    assert result.host_peak_bytes == 7


def test_what_is_never_released_is_retained():
    result = measured(d1=[node("a", [(1, 100), (2, 40), (5, -100)])])
    assert result.accelerator_peak_bytes == 100
    assert result.accelerator_retained_bytes == 40


def test_a_release_comes_before_an_allocation_of_the_same_microsecond():
    result = measured(d1=[node("a", [(1, 100), (5, -100)]), node("b", [(5, 100), (6, -100)])])
    assert result.accelerator_peak_bytes == 100


@pytest.mark.parametrize("released", [4, 3], ids=["at once", "the clock went back"])
def test_bytes_are_never_released_before_they_are_allocated(released):
    result = measured(
        d1=[node("a", [(1, 100), (6, -100)])],
        d0=[node("b", [(2, 100), (6, -100)]), node("c", [(4, 1024), (released, -1024)])],
    )
    assert (result.series.host.at, result.series.host.bytes) == ([0, 2, 6], [0, 100, 0])
    assert result.host_peak_bytes == 100
    alone = measured(d1=[node("c", [(4, 1024), (released, -1024)])])
    assert (alone.accelerator_peak_bytes, alone.accelerator_retained_bytes) == (0, 0)


def test_swaps_are_counted_without_their_sends_and_receives():
    result = measured(
        d1=[
            node("lms/swapin_a_0", outputs=[(2, 30)]),
            node("lms/swapin_a_0/_3", outputs=[(2, 30)]),
        ],
        d0=[
            node("lms/swapout_a_0", outputs=[(1, 10)]),
            node("lms/swapout_a_0_1", outputs=[(3, 5)]),
        ],
    )
    assert (result.swap_out_executed, result.swap_out_bytes) == (2, 15)
    assert (result.swap_in_executed, result.swap_in_bytes) == (1, 30)


def test_bound_counts_a_buffer_once_and_a_variable_not_at_all():
    result = measured(
        d1=[
            node("v", outputs=[(1, 1000)], kind="ReadVariableOp"),
            node("x", outputs=[(2, 10)]),
            node("y", outputs=[(9, 1), (3, 20)]),
            node("in_place", outputs=[(3, 20)], inputs="v, x, y:1, ^x"),
            node("z", outputs=[(4, 5)], inputs="x"),
        ]
    )
    assert result.accelerator_bound_bytes == 30


def test_the_workspace_of_a_kernel_is_in_the_bound():
    result = measured(
        d1=[
            node("a", outputs=[(1, 100)]),
            node("b", outputs=[(2, 10)], inputs="a", workspace=500),
        ]
    )
    assert result.accelerator_bound_bytes == 610


def test_wall_time_spans_both_devices():
    result = measured(d1=[node("a", start=1000, end=500)], d0=[node("b", start=2000, end=1500)])
    assert result.wall_ms == 2.5


def test_nothing_recorded_is_none_and_not_zero():
    assert set(measured()) == {None}
    result = measured(d1=[node("lms/swapin_a_0")])
    assert result.accelerator_peak_bytes is None
    assert result.swap_in_executed == 1
    assert result.swap_in_bytes is None


def test_the_step_over_time_begins_with_its_first_operation():
    result = measured(
        d1=[
            node("a", [(1001, 100), (1005, -100)], start=1000, end=1),
            node("b", [(1003, 50), (1009, -50)], start=1002, end=9),
            node("lms/swapin_a_0", start=1006),
        ],
        d0=[
            node("lms/swapout_conv_Relu_0", [(1002, 7), (1008, -7)], [(1, 7)], start=1002),
            node("lms/swapout_b_0", outputs=[(2, 90)], start=1004),
            node("lms/swapout_b_0/_3", start=1005),
        ],
    )
    series = result.series
    assert (series.unit, series.end) == ("microseconds", 11)
    assert series.accelerator.at == [0, 1, 3, 5, 9]
    assert series.accelerator.bytes == [0, 100, 150, 50, 0]
    assert (series.host.at, series.host.bytes) == ([0, 2, 8], [0, 7, 0])
    assert (series.swap_out, series.swap_in) == ([2, 4], [6])
    assert series.largest == [("conv_Relu_0", 7), ("b_0", 90)]
    assert series.began is None
    assert result.began(3.5).series.began == 3.5
    assert (series.accelerator.peak, series.host.peak) == (
        result.accelerator_peak_bytes,
        result.host_peak_bytes,
    )


def test_without_allocations_there_is_no_curve():
    result = measured(d1=[node("lms/swapin_a_0", start=5)])
    assert result.series.accelerator is None
    assert result.series.swap_in == [0]
    assert measured().began(1.0).series is None
