from pathlib import Path
from typing import Any

import pytest

from harness.engine.docker.container import ContainerTarget, _cgroup_directory, read_exit, user
from harness.engine.docker.daemon import Daemon
from harness.record.models import Outcome

ID = "4f" * 32


def daemon(*options: str) -> Daemon:
    found = Daemon()
    found.__dict__.update(info={"SecurityOptions": [f"name={name}" for name in options]})
    return found


@pytest.mark.parametrize(
    ("lines", "path"),
    [
        ([f"0::/system.slice/docker-{ID}.scope"], f"system.slice/docker-{ID}.scope"),
        ([f"0::/docker/{ID}"], f"docker/{ID}"),
        # Version 1, and both at once, where version 2 has no controllers.
        ([f"7:memory:/docker/{ID}", "0::/"], f"memory/docker/{ID}"),
        ([f"7:cpu,memory:/a/{ID}", f"0::/a/{ID}"], f"memory/a/{ID}"),
    ],
)
def test_finds_the_cgroup_of_either_version_and_driver(
    tmp_path: Path, lines: list[str], path: str
) -> None:
    (tmp_path / path).mkdir(parents=True)
    (tmp_path / path / "cgroup.procs").touch()
    assert _cgroup_directory(lines, ID, tmp_path) == tmp_path / path


@pytest.mark.parametrize(
    "lines", [[], ["0::/"], ["0::/user.slice"], [f"0::/docker/{ID}"], ["0::/../../x"]]
)
def test_another_process_s_cgroup_is_not_taken(tmp_path: Path, lines: list[str]) -> None:
    (tmp_path / "cgroup.procs").touch()
    assert _cgroup_directory(lines, ID, tmp_path) is None


@pytest.mark.parametrize("facts", [{}, {"State": {}}, {"State": {"Pid": 0}}, {"State": None}])
def test_a_container_without_a_process_has_no_pids(facts: dict[str, Any]) -> None:
    target = ContainerTarget(ID, lambda: facts)
    assert (target.pids(), target.cgroup(), target.oom_kills()) == (set(), None, 0)


def test_reads_processes_and_kills_of_the_cgroup_and_those_below(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "cgroup.procs").write_text("11\n12\n")
    (tmp_path / "below" / "cgroup.procs").write_text("13\n")
    (tmp_path / "memory.events").write_text("low 0\noom 4\noom_kill 2\noom_group_kill 0\n")
    target = ContainerTarget(ID, dict)
    target._asked, target._directory = True, tmp_path
    assert target.pids() == {11, 12, 13}
    assert target.oom_kills() == 2
    assert target.cgroup() is None
    (tmp_path / "memory.current").touch()
    assert target.cgroup() == tmp_path


@pytest.mark.parametrize(
    ("code", "oom", "outcome"),
    [
        (0, False, Outcome.COMPLETED),
        (0, True, Outcome.COMPLETED),
        (1, False, Outcome.FAILED),
        (1, True, Outcome.OUT_OF_MEMORY),
        (128, False, Outcome.FAILED),
        (134, False, Outcome.FAILED),
        (137, False, Outcome.KILLED),
        (137, True, Outcome.OUT_OF_MEMORY),
        (255, False, Outcome.FAILED),
    ],
)
def test_an_exit_code_alone_does_not_tell_who_killed(
    code: int, oom: bool, outcome: Outcome
) -> None:
    ended = read_exit({"ExitCode": code}, oom, {})
    assert (ended.outcome, ended.code) == (outcome, code)
    assert bool(ended.reason) == (outcome is not Outcome.COMPLETED)


@pytest.mark.parametrize("code", [1, 137, 139, 143])
def test_what_the_daemon_was_asked_to_end_has_not_failed(code: int) -> None:
    ended = read_exit({"ExitCode": code}, False, {}, asked=True)
    assert (ended.outcome, ended.code) == (Outcome.KILLED, code)
    assert "the daemon was asked to end the container" in ended.reason
    assert read_exit({"ExitCode": 0}, False, {}, asked=True).outcome is Outcome.COMPLETED


@pytest.mark.parametrize(
    ("caller", "options", "expected"),
    [
        ((1000, 100), (), (1000, 100)),
        ((0, 0), (), (65532, 65532)),
        ((1000, 100), ("rootless",), (0, 0)),
    ],
)
def test_phases_never_run_as_root_of_the_host(
    monkeypatch: pytest.MonkeyPatch,
    caller: tuple[int, int],
    options: tuple[str, ...],
    expected: tuple[int, int],
) -> None:
    monkeypatch.setattr("os.getuid", lambda: caller[0])
    monkeypatch.setattr("os.getgid", lambda: caller[1])
    assert user(daemon(*options)) == expected


@pytest.mark.parametrize(
    "error",
    [
        "failed to create task for container: failed to create shim task: OCI runtime create"
        " failed: runc create failed: unable to start container process: error during container"
        " init: error running prestart hook #0: exit status 1, stdout: , stderr: Auto-detected mode"
        " as 'legacy'"
        "\nnvidia-container-cli: initialization error: nvml error: driver not loaded: unknown",
        "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=GPU-1c2d",
        'could not select device driver "" with capabilities: [[gpu]]',
    ],
)
def test_a_container_that_did_not_start_is_an_error_and_not_a_failure(error: str) -> None:
    ended = read_exit({"ExitCode": 128, "Error": error}, oom=False, details={})
    assert ended.outcome is Outcome.ENGINE_ERROR
    assert "the container did not start" in ended.reason
    assert "NVIDIA container toolkit" in ended.reason
    assert "\n" not in ended.reason
