"""The graph editor on the real TensorFlow 1.15.5, in a process of its own."""

import json
import os
import pathlib
import subprocess

import pytest

from tests.scenarios.phases import interpreter

pytestmark = pytest.mark.tensorflow

HERE = pathlib.Path(__file__).parent
SCENARIOS = HERE.parents[3] / "scenarios"


@pytest.fixture(scope="module")
def cases():
    python = interpreter("tf1-tfkeras")
    run = subprocess.run(
        [python, "-W", "ignore", str(HERE / "graph_cases.py"), str(SCENARIOS)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert run.returncode == 0, run.stderr[-4000:]
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize("mode", range(4))
def test_every_sync_mode_gives_the_same_result(cases, mode):
    run = cases["modes"][mode]
    assert run["edit"]["swap_out"] > 0
    assert run["losses"] == cases["control"]["losses"]
    assert run["evaluated"] == cases["control"]["evaluated"]


@pytest.mark.parametrize("name", ["grouped", "ahead"])
def test_timing_parameters_give_the_same_result(cases, name):
    assert cases[name]["losses"] == cases["control"]["losses"]


def test_consumers_share_a_swap_in_when_grouped(cases):
    assert cases["grouped"]["edit"]["swap_in"] < cases["modes"][3]["edit"]["swap_in"]
    assert cases["grouped"]["edit"]["swap_out"] == cases["modes"][3]["edit"]["swap_out"]


def test_peak_falls_and_the_host_takes_the_rest(cases):
    control, swapped = cases["control"]["trace"], cases["modes"][3]["trace"]
    peak, bound = swapped["accelerator_peak_bytes"], swapped["accelerator_bound_bytes"]
    # How far it can fall depends on the CPU: the workspace of its convolutions is in the bound.
    assert 0 < bound <= peak <= 1.02 * bound < control["accelerator_peak_bytes"]
    assert swapped["host_peak_bytes"] > 0.5 * swapped["swap_out_bytes"]


@pytest.mark.parametrize("mode", range(4))
def test_all_reachable_swap_operations_are_executed(cases, mode):
    run = cases["modes"][mode]
    executed = [run["trace"]["swap_out_executed"], run["trace"]["swap_in_executed"]]
    assert executed == run["reachable"]
    assert min(executed) > 0
    assert run["trace"]["swap_in_bytes"] >= run["trace"]["swap_out_bytes"] > 0


def test_control_swaps_nothing(cases):
    assert cases["control"]["trace"]["swap_out_executed"] == 0
    assert cases["control"]["trace"]["swap_out_bytes"] == 0


def test_announced_counts_agree_with_the_meter(cases):
    edit, trace = cases["modes"][3]["edit"], cases["modes"][3]["trace"]
    assert edit["bytes_out"] == pytest.approx(trace["swap_out_bytes"], rel=0.05)


def test_edit_is_idempotent(cases):
    for run in cases["modes"]:
        assert run["again"]["already_edited"]
        assert run["again"]["operations"] == 0
        assert run["again"]["swap_out_names"] == run["edit"]["swap_out_names"]
        assert run["again"]["bytes_out"] == run["edit"]["bytes_out"] > 0
        assert run["again"]["bytes_in"] == run["edit"]["bytes_in"] > 0
        assert not run["edit"]["already_edited"]


def test_names_are_those_of_tflms(cases):
    names = cases["modes"][3]["edit"]
    assert "lms/swapout_conv2d_Relu_0" in names["swap_out_names"]
    assert all(name.startswith("lms/swapin_") for name in names["swap_in_names"])


def test_only_large_tensors_go_to_the_host(cases):
    assert min(cases["modes"][3]["ranks"]) >= 2
    assert cases["modes"][3]["devices"] == ["/device:CPU:0"]


def test_a_high_threshold_swaps_nothing(cases):
    run = cases["threshold"]
    assert run["edit"]["swap_out"] == 0
    assert run["losses"] == cases["control"]["losses"]


def test_threshold_is_the_greatest_distance_that_is_not_swapped(cases):
    assert cases["chain"] == {"near": 0, "at": 0, "beyond": 1}


def test_corruption_changes_the_result(cases):
    assert cases["corrupt"]["losses"] != cases["control"]["losses"]


@pytest.mark.parametrize("taken", ["true", "false"])
def test_branches_of_cond_stay_dead_or_alive(cases, taken):
    plain, swapped, corrupt = cases["cond"][taken.capitalize()]
    assert swapped["swap_in"] > 0
    assert swapped["values"] == plain["values"]
    assert corrupt["values"] != plain["values"]


def test_body_of_a_while_loop_is_untouched(cases):
    plain, swapped = cases["loop"]
    assert swapped["swap_in"] > 0
    assert swapped["touched"] == []
    assert swapped["values"] == plain["values"]


def test_fetching_a_part_runs_no_update(cases):
    part = cases["part"]
    assert part["before"] == part["after"]
    assert part["trained"] != part["after"]


def test_time_grows_linearly(cases):
    small, large = cases["growth"]
    assert large < 8 * 3 * small
