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


OUTSIDER = """
from providers.interface import Provider

class Mine(Provider):
    name = "mine"
    modes = ("eager",)
    backends = ("torch",)
    effect = "recomputes"

class Stranger:
    name = "stranger"
"""
TORCH = {"EXECUTION_MODE": "eager", "KERAS_BACKEND": "torch"}


def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, **variables: str) -> str:
    """What a phase says that ends at once: one line, exit code 2."""
    with pytest.raises(SystemExit) as ended:
        registry.create(runtime(tmp_path, **{**TORCH, "LMS_PROVIDER": name, **variables}))
    assert ended.value.code == 2
    text = capsys.readouterr().err
    assert text.startswith("error: ")
    assert text.count("\n") == 1
    return text


def test_provider_is_found_by_its_file_wherever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "outsider.py"
    path.write_text(OUTSIDER)
    run = runtime(tmp_path, LMS_PROVIDER=f"{path}:Mine", **TORCH)
    found = registry.create(run)
    assert (found.name, found.effect) == ("mine", "recomputes")
    assert isinstance(found, run.keras.callbacks.Callback)
    assert type(registry.create(run)).__mro__[1] is type(found).__mro__[1]  # its file is run once


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nobody", "LMS_PROVIDER is 'nobody': there is no such provider"),
        ("nobody-else", "LMS_PROVIDER is 'nobody-else': there is no such provider"),
        ("registry", "names no provider class"),
        ("remat-nothing", "names no provider class"),
        ("{}/missing.py:Mine", "which is no file of Python"),
        ("{}:Mine", "which is no file of Python"),
        ("{}/stranger.py:Nobody", "names no provider class"),
        ("{}/stranger.py:Stranger", "names no provider class"),
    ],
)
def test_what_names_no_provider_is_refused_with_one_line(
    name: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stranger.py").write_text(OUTSIDER)
    assert words in refused(tmp_path, capsys, name.format(tmp_path))


@pytest.mark.parametrize("name", ["save_on_cpu", "remat"])
def test_any_provider_can_be_switched_off_while_it_says_that_it_is_on(
    name: str, tmp_path: Path
) -> None:
    run = runtime(tmp_path, LMS_PROVIDER=name, LMS_FAULT="never_swapped", **TORCH)
    found = registry.create(run)
    assert type(found).__mro__[1].__module__ == "providers.off.switched_off"
    assert found.name == name
    with registry.building(run) as scope:  # with no Keras that has one, it would fail
        assert not isinstance(scope, type(found))


def test_other_faults_are_those_of_our_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = refused(tmp_path, capsys, "remat", LMS_FAULT="values_wrong")
    assert "LMS_FAULT is 'values_wrong': only builtin knows others than never_swapped" in text


@pytest.mark.parametrize(
    ("name", "module"),
    [("jax_offload", "OffloadNames"), ("jax_offload-dots", "OffloadDots")],
)
def test_one_file_can_hold_providers_whose_names_begin_with_its_own(
    name: str, module: str, tmp_path: Path
) -> None:
    run = runtime(tmp_path, LMS_PROVIDER=name, EXECUTION_MODE="function", KERAS_BACKEND="jax")
    assert registry.find(run.phase).__name__ == module


def test_provider_of_another_backend_is_refused_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = refused(
        tmp_path, capsys, "jax_offload", EXECUTION_MODE="function", KERAS_BACKEND="tensorflow"
    )
    assert "provider jax_offload needs KERAS_BACKEND to be jax, not tensorflow" in text
