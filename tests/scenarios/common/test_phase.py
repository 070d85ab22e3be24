from __future__ import annotations

from pathlib import Path

import pytest

from common.phase import Phase


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    return {
        "LMS_PROVIDER": "builtin",
        "ACCELERATOR": "virtual",
        "KERAS": "keras",
        "EXECUTION_MODE": "session",
        "OUTPUT_DIR": str(tmp_path),
    }


def test_least_environment_has_maximum_swapping(variables: dict[str, str]) -> None:
    phase = Phase.from_environment(variables)
    assert phase.parameters == (
        '{"swapout_threshold": 1, "swapin_groupby": 0, "swapin_ahead": 1, "sync_mode": 3}'
    )
    assert phase.input_directory is None
    assert (phase.intra_threads, phase.inter_threads) == (0, 0)
    assert not phase.edit_in_place
    assert phase.fault is None


def test_virtual_accelerator_is_the_second_cpu(variables: dict[str, str]) -> None:
    phase = Phase.from_environment(variables)
    assert (phase.accelerator_device, phase.host_device) == ("/device:CPU:1", "/device:CPU:0")
    phase = Phase.from_environment({**variables, "ACCELERATOR": "gpu"})
    assert (phase.accelerator_device, phase.host_device) == ("/device:GPU:0", "/device:CPU:0")


def test_threads_and_switches(variables: dict[str, str]) -> None:
    more = {"TF_NUM_INTRAOP_THREADS": "2", "TF_NUM_INTEROP_THREADS": "1", "LMS_EDIT_IN_PLACE": "1"}
    phase = Phase.from_environment({**variables, **more, "LMS_REFERENCE": "0"})
    assert (phase.intra_threads, phase.inter_threads) == (2, 1)
    assert phase.edit_in_place
    assert not phase.reference
    assert phase.measure


def test_size_of_a_batch_and_measuring(variables: dict[str, str]) -> None:
    assert Phase.from_environment(variables).batch_scale == 1
    phase = Phase.from_environment({**variables, "BATCH_SCALE": "6", "LMS_MEASURE": "0"})
    assert phase.batch_scale == 6
    assert not phase.measure


@pytest.mark.parametrize(
    ("more", "keras3", "backend"),
    [
        ({}, False, "tensorflow"),
        ({"KERAS": "tf.keras", "EXECUTION_MODE": "function"}, False, "tensorflow"),
        ({"EXECUTION_MODE": "function", "KERAS_BACKEND": "jax"}, True, "jax"),
        ({"EXECUTION_MODE": "eager", "KERAS_BACKEND": "torch"}, True, "torch"),
    ],
)
def test_keras_3_runs_in_no_session(
    variables: dict[str, str], more: dict[str, str], keras3: bool, backend: str
) -> None:
    phase = Phase.from_environment({**variables, **more})
    assert (phase.keras3, phase.backend) == (keras3, backend)


def test_output_makes_the_directory_of_the_file(variables: dict[str, str], tmp_path: Path) -> None:
    path = Phase.from_environment(variables).output("checkpoints", "my_checkpoint")
    assert path == str(tmp_path / "checkpoints" / "my_checkpoint")
    assert (tmp_path / "checkpoints").is_dir()


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("LMS_PROVIDER", "", "LMS_PROVIDER is not set"),
        ("ACCELERATOR", "tpu", "ACCELERATOR is 'tpu'"),
        ("KERAS", "", "KERAS is not set; it must be one of tf.keras, keras"),
        ("OUTPUT_DIR", "", "OUTPUT_DIR is not set"),
        ("OUTPUT_DIR", "no/such\ndirectory", "which is no directory"),
        ("INPUT_DIR", "no/such", "INPUT_DIR is 'no/such', which is no directory"),
        ("TF_NUM_INTRAOP_THREADS", "-1", "it must be a whole number"),
        ("LMS_EDIT_IN_PLACE", "yes", "it must be 0 or 1"),
        ("EXECUTION_MODE", "", "EXECUTION_MODE is not set"),
        ("KERAS_BACKEND", "numpy", "it must be one of tensorflow, torch, jax"),
    ],
)
def test_bad_variable_ends_the_process_with_one_line(
    variables: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    problem: str,
) -> None:
    with pytest.raises(SystemExit) as ended:
        Phase.from_environment({**variables, name: value})
    assert ended.value.code == 2
    text = capsys.readouterr().err
    assert text.startswith("error: ")
    assert problem in text
    assert text.count("\n") == 1


def test_missing_input_ends_the_process_with_one_line(
    variables: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    phase = Phase.from_environment(variables)
    with pytest.raises(SystemExit) as ended:
        phase.input("model.h5")
    assert ended.value.code == 2
    assert "INPUT_DIR is not set" in capsys.readouterr().err


def test_a_reference_has_no_input_and_finds_what_it_makes_itself(
    variables: dict[str, str], tmp_path: Path
) -> None:
    assert not Phase.from_environment(variables).reference
    phase = Phase.from_environment({**variables, "LMS_REFERENCE": "1"})
    assert phase.reference
    assert phase.input("results", "frozen.pb") == phase.output("results", "frozen.pb")
    assert phase.input("model.h5") == str(tmp_path / "model.h5")
