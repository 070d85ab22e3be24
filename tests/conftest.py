"""What tests share: where they get containers from, and what may not be skipped."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator

import pytest
from hypothesis import settings

from harness.base.error import UsageError
from harness.engine.docker.daemon import ERRORS, Daemon

# Markers of tests that must run, e.g. "docker,tensorflow": a skip of theirs is a failure.
REQUIRED = {name.strip() for name in os.environ.get("HARNESS_REQUIRE", "").split(",")} - {""}

# A flavor of each mode: sessions, traced functions, eager, compiled.
SHORT_FLAVORS = ("tf1-tfkeras", "tf2-tfkeras", "keras3-torch", "keras3-jax")

# CI asks whether this change broke something: the same examples each time.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

_STAND_IN = "lms-harness-test/python3"


def pytest_configure(config: pytest.Config) -> None:
    """Makes what a shell makes deaf in a job in its background hear again, as tests send them.

    What `nohup` keeps from the tests as a whole is heard by a worker, and by what that starts.
    """
    deaf = [(signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)]
    if hasattr(config, "workerinput"):
        deaf.append((signal.SIGHUP, signal.SIG_DFL))
    for number, handler in deaf:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_report_header(config: pytest.Config) -> str:
    """Says before anything runs how long it takes."""
    if config.option.markexpr == "not slow":
        return (
            "harness: the short tests, about 5 minutes on 2 cores once the flavors' environments"
            " are built (`make matrix` builds them, else the tests do); `make test ALL=1` runs all"
        )
    return "harness: all tests, about 30 minutes on 2 cores once the environments are built"


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps on one worker what would disturb each other, or shares what took long to make.

    Of a test that runs for many flavors, one flavor of each mode is short.
    """
    for item in items:
        callspec = getattr(item, "callspec", None)
        flavor = callspec.params.get("flavor") if callspec is not None else None
        if isinstance(flavor, str) and flavor not in SHORT_FLAVORS:
            item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("docker") is not None:
            item.add_marker(pytest.mark.xdist_group("docker"))  # `clean` removes all of ours
        elif item.get_closest_marker("slurm") is not None:
            item.add_marker(pytest.mark.xdist_group("slurm"))  # one is started for all
        elif item.get_closest_marker("tensorflow") is not None:
            item.add_marker(
                pytest.mark.xdist_group(item.path.relative_to(item.config.rootpath).as_posix())
            )


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, object, None]:
    """Makes a failure of a skip that HARNESS_REQUIRE does not allow."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    required = REQUIRED & {mark.name for mark in item.iter_markers()}
    if report.skipped and required and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"HARNESS_REQUIRE has {', '.join(sorted(required))}, but: {reason}"


@pytest.fixture(scope="session")
def daemon() -> Daemon:
    """A Docker daemon that answers; skips where there is none."""
    found = Daemon()
    try:
        found.check()
    except UsageError as problem:
        pytest.skip(str(problem))
    return found


@pytest.fixture(scope="session")
def base_image(daemon: Daemon) -> str:
    """ID of a Debian image with python3; skips where there is none."""
    name = os.environ.get("HARNESS_TEST_BASE_IMAGE", _STAND_IN)
    try:
        return str(daemon.client().inspect_image(name)["Id"])
    except ERRORS:
        pytest.skip(
            f"no image {name}; tests/containers/make-base-images makes one,"
            " HARNESS_TEST_BASE_IMAGE names another"
        )
