from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError

from harness.base.error import UsageError
from harness.engine.docker import bases
from harness.engine.docker.daemon import Daemon

BASE = "python:3.11-slim-bookworm"
DIGEST = "sha256:" + "1" * 64
OTHER = "sha256:" + "2" * 64


@pytest.fixture
def docker(tmp_path: Path) -> Path:
    """The folder `docker` of a checkout."""
    return tmp_path


class Registry(Daemon):
    """A daemon whose registry answers this."""

    def __init__(self, answers: dict[str, str]) -> None:
        super().__init__()
        self.__dict__.update(version={"ApiVersion": "1.41"}, info={}, address="unix:///x")
        self._answers = answers

    def client(self) -> Any:
        return self

    def inspect_distribution(self, reference: str) -> dict[str, Any]:
        if reference not in self._answers:
            raise APIError("500", explanation="dial tcp: no such host")
        return {"Descriptor": {"digest": self._answers[reference]}}


def test_digests_are_recorded_and_a_change_is_said(docker: Path) -> None:
    assert bases.recorded(docker) == {}
    list(bases.refresh(docker, [BASE], Registry({BASE: DIGEST})))
    assert bases.recorded(docker) == {BASE: DIGEST}
    lines = list(bases.refresh(docker, [BASE], Registry({BASE: OTHER})))
    assert lines[-1] == f"{BASE}: {OTHER}, was {DIGEST}"
    assert bases.recorded(docker) == {BASE: OTHER}


def test_without_a_registry_the_digests_stay(docker: Path) -> None:
    list(bases.refresh(docker, [BASE], Registry({BASE: DIGEST})))
    lines = list(bases.refresh(docker, [BASE], Registry({})))
    assert "no such host" in lines[-1]
    assert bases.recorded(docker) == {BASE: DIGEST}


def test_without_a_daemon_the_digests_stay(docker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    lines = list(bases.refresh(docker, [BASE], Daemon()))
    assert lines[-1].startswith("bases.toml: kept as it is")


@pytest.mark.parametrize("content", ["[bases", '[bases]\nx = "latest"\n', "bases = 3\n"])
def test_a_broken_file_of_digests_is_one_line(docker: Path, content: str) -> None:
    (docker / "bases.toml").write_text(content)
    with pytest.raises(UsageError) as caught:
        bases.recorded(docker)
    assert "make lock" in str(caught.value)
    assert "\n" not in str(caught.value)
