"""What the environment asks for, without a framework."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from common.phase import Phase
from providers import registry


def runtime(directory: Path, **variables: str) -> Any:
    phase = Phase.from_environment(
        {
            "LMS_PROVIDER": "builtin",
            "ACCELERATOR": "virtual",
            "KERAS": "keras",
            "EXECUTION_MODE": "session",
            "OUTPUT_DIR": str(directory),
            **variables,
        }
    )
    keras = SimpleNamespace(callbacks=SimpleNamespace(Callback=type("Callback", (), {})))
    return SimpleNamespace(phase=phase, keras=keras, tf=None)


@pytest.mark.parametrize("mode", ["session", "function"])
@pytest.mark.parametrize("name", ["builtin", "off"])
def test_created_callback_is_one_of_the_flavors_keras(name: str, mode: str, tmp_path: Path) -> None:
    run = runtime(tmp_path, LMS_PROVIDER=name, EXECUTION_MODE=mode)
    callback = registry.create(run, training=False)
    assert isinstance(callback, run.keras.callbacks.Callback)
    assert callback.is_training is False
    assert registry.create(run).is_training is True


@pytest.mark.parametrize(
    ("fault", "module"),
    [("", ""), ("never_swapped", "dry_run"), ("swaps_lost:5:largest", "broken")],
)
@pytest.mark.parametrize(("backend", "mode"), [("torch", "eager"), ("jax", "function")])
def test_keras_3_has_a_provider_for_each_backend(
    backend: str, mode: str, fault: str, module: str, tmp_path: Path
) -> None:
    more = {"EXECUTION_MODE": mode, "KERAS_BACKEND": backend, "LMS_FAULT": fault}
    found = registry.create(runtime(tmp_path, **more))
    control = registry.create(runtime(tmp_path, LMS_PROVIDER="off", **more))
    modules = [type(entry).__mro__[1].__module__ for entry in (found, control)]
    chosen = module or {"torch": "saved_tensors", "jax": "policy"}[backend]
    assert modules == [f"providers.{backend}.{chosen}", f"providers.off.{backend}"]


def test_parameters_are_those_of_the_environment(tmp_path: Path) -> None:
    run = runtime(tmp_path, LMS_PARAMS='{"swapout_threshold": 40, "sync_mode": 0}')
    parameters = registry.create(run).parameters
    assert (parameters.swapout_threshold, parameters.sync_mode) == (40, 0)


@pytest.mark.parametrize("name", ["builtin", "off", "tflms"])
@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ("{", "not JSON"),
        ("[1]", "JSON object"),
        ('{"swapout_threshold": 0}', "swapout_threshold"),
        ('{"sync_mode": 4}', "sync_mode"),
        ('{"swapping": 1}', "'swapping'"),
    ],
)
def test_bad_parameters_end_the_process_with_one_line(
    name: str,
    parameters: str,
    problem: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        registry.create(runtime(tmp_path, LMS_PROVIDER=name, LMS_PARAMS=parameters))
    assert ended.value.code == 2
    text = capsys.readouterr().err
    assert text.startswith("error: ")
    assert problem in text
    assert text.count("\n") == 1


def test_missing_foreign_package_ends_the_process_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", ["/nonexistent"])
    with pytest.raises(SystemExit) as ended:
        registry.create(runtime(tmp_path, LMS_PROVIDER="tflms", LMS_PATH=str(tmp_path)))
    assert ended.value.code == 2
    text = capsys.readouterr().err
    assert "tensorflow_large_model_support" in text
    assert str(tmp_path) in text
    assert text.count("\n") == 1


def test_provider_of_sessions_alone_is_refused_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runtime(tmp_path, LMS_PROVIDER="tflms", EXECUTION_MODE="function")
    with pytest.raises(SystemExit) as ended:
        registry.create(run)
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "error: provider tflms needs EXECUTION_MODE to be session, not function\n"
    )
