"""Runs whose driver was killed at random moments go on to the reports of an undisturbed one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from harness.record import store
from tests.equal_runs import require_equal
from tests.kills.checkout import Checkout
from tests.kills.index import Index
from tests.kills.resumption import Resumption

KILLS = 10
SEED = 14


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_kills_of_a_small_matrix(tmp_path: Path) -> None:
    with Index() as index:
        checkout = Checkout(tmp_path / "work", index)
        runs = Resumption(checkout.command("venv"), checkout.variables(), checkout.reports, print)
        runs.undisturbed()  # makes the environments
        whole, seconds = runs.undisturbed()
        ended = runs.killed(KILLS, seconds, SEED)
    assert ended
    for run in ended:
        require_equal(whole, run)
    assert any(phase.taken_from for run in ended for phase in store.load(run).phases)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_kills_of_a_matrix_with_a_real_framework(tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "harness", "run", "--gpu=none", "--engine=venv", "--jobs=2"),
        *(
            "--flavors=keras3-torch",
            "--families=keras_saveload",
            "--scenarios=trainsave*-loadtrain",
        ),
        f"--reports={tmp_path}",
    ]
    runs = Resumption(command, os.environ, tmp_path, print)
    runs.undisturbed()
    whole, seconds = runs.undisturbed()
    ended = runs.killed(KILLS, seconds, SEED)
    assert ended
    for run in ended:
        require_equal(whole, run, exact=False)
