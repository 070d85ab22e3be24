from __future__ import annotations

from dataclasses import replace

import pytest

from harness.base.error import UsageError
from harness.engine.venv.engine import VenvEngine
from harness.measure.gpu import Gpu
from harness.run import machine
from harness.run.gpu_choice import Choice
from tests.engine.docker.test_image import gpu_flavor

UUID = "GPU-00000000-1111-2222-3333-444444444444"


class FakeDocker:
    """Plays daemons: `refuses` maps what preflight is asked for to what it raises."""

    name = "docker"

    def __init__(self, refuses: dict[str | None, str]) -> None:
        self._refuses = refuses

    def check_settings(self) -> None:
        pass

    def preflight(self, gpu: str | None) -> None:
        if gpu in self._refuses:
            raise UsageError(self._refuses[gpu])


def gpu() -> Gpu:
    values = dict.fromkeys(Gpu.__dataclass_fields__)
    return Gpu(**{**values, "index": 0, "uuid": UUID, "name": "Test GPU"})


def with_docker(monkeypatch, refuses):
    monkeypatch.setattr(
        machine, "DockerEngine", lambda capability, directories, cache: FakeDocker(refuses)
    )


def test_no_daemon_falls_back_to_venv_and_says_so(monkeypatch, tmp_path):
    with_docker(monkeypatch, {None: "no daemon at unix:///x"})
    engine, missing = machine.choose_engine("auto", (), tmp_path)
    assert isinstance(engine, VenvEngine)
    assert missing == "no daemon at unix:///x"
    chosen = machine.choose("none", "auto", tmp_path)
    assert any("venv engine" in note and "no daemon" in note for note in chosen.notes)
    assert any("virtual accelerator" in note for note in chosen.notes)


def test_docker_asked_for_by_name_does_not_fall_back(monkeypatch, tmp_path):
    with_docker(monkeypatch, {None: "no daemon"})
    with pytest.raises(UsageError, match="no daemon"):
        machine.choose_engine("docker", (), tmp_path)


def test_a_gpu_that_the_daemon_cannot_hand_out_is_no_reason_to_fall_back(monkeypatch, tmp_path):
    with_docker(monkeypatch, {UUID: "install the NVIDIA Container Toolkit"})
    with pytest.raises(UsageError, match="Container Toolkit"):
        machine.choose_engine("auto", [gpu()], tmp_path)
    assert machine.choose_engine("auto", (), tmp_path)[0].name == "docker"


def test_what_was_skipped_is_a_note_of_the_run(monkeypatch, tmp_path):
    choice = Choice((gpu(),), skipped=("skipped: GPU 0 is split by MIG",))
    monkeypatch.setattr(machine, "choose_gpus", lambda selector: choice)
    chosen = machine.choose("auto", "venv", tmp_path)
    assert chosen.gpus == (gpu(),)
    assert chosen.notes == ("skipped: GPU 0 is split by MIG",)


def test_gpus_that_need_two_images_of_one_flavor_are_run_apart(tmp_path):
    flavor = gpu_flavor(tmp_path)
    old, recent = (
        replace(gpu(), index=index, compute_capability=capability)
        for index, capability in enumerate([(7, 5), (8, 0)])
    )
    machine.require_one_image([flavor], [recent, replace(recent, compute_capability=(9, 0))])
    machine.require_one_image([flavor], [old])
    words = r"no image that runs on all of these GPUs \(compute capability of 0: 7.5, 1: 8.0\)"
    with pytest.raises(UsageError, match=words):
        machine.require_one_image([flavor], [old, recent])
    with pytest.raises(UsageError, match="no image that runs on all"):
        machine.require_one_image([flavor], [old, replace(old, compute_capability=(7, 7))])
