"""What the checks need of any workload, in one order, and nothing where nothing is measured."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from common import digest, marker
from common.steps import Steps
from workload.workload import Workload


class Recorded(Workload):
    """Without a framework: what is marked is written down."""

    batch_size = 4

    def weights(self, model: Any) -> Any:
        return digest.Tensors([model], ["kernel"])

    def optimizer_state(self, model: Any) -> Any:
        return digest.Tensors(self.state, ["momentum"] * len(self.state))

    def predictions(self, model: Any) -> Any:
        return f"predictions of {model}"

    def trace(self, model: Any, role: str) -> None:
        marker.emit("trace", role=role)


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(digest, "arrays", lambda *values: calls.append(values))
    monkeypatch.setattr(digest, "predictions", lambda *values: calls.append(values))
    monkeypatch.setattr(marker, "emit", lambda event, **fields: calls.append((event, fields)))
    return calls


def workload(
    measure: bool = True, state: tuple[str, ...] = ("slot",), batch_scale: int = 1
) -> Recorded:
    phase = SimpleNamespace(measure=measure, batch_scale=batch_scale)
    made = Recorded(SimpleNamespace(phase=phase, tf=None, keras=None, steps=Steps()))
    made.state = state
    return made


def test_digest_and_finish_mark_in_one_order(marked: list[tuple[Any, ...]]) -> None:
    work = workload()
    work.digest("model", "saved", optimizer=True)
    work.finish("model", "predict")
    assert marked == [
        ("weights", "saved", ["model"], ["kernel"]),
        ("optimizer", "saved", ("slot",), ["momentum"]),
        ("predictions of model", "saved"),
        ("predictions of model", "final"),
        ("trace", {"role": "predict"}),
    ]
    assert work.runtime.steps.of("predict") == 2


@pytest.mark.parametrize(("optimizer", "state"), [(False, ("slot",)), (True, ())])
def test_optimizer_is_marked_where_there_is_one_to_compare(
    optimizer: bool, state: tuple[str, ...], marked: list[tuple[Any, ...]]
) -> None:
    workload(state=state).digest_state("model", "restored", optimizer)
    assert marked == [("weights", "restored", ["model"], ["kernel"])]


def test_training_marks_its_state_before_its_last_predictions(
    marked: list[tuple[Any, ...]],
) -> None:
    workload().finish("model")
    assert marked == [
        ("weights", "final", ["model"], ["kernel"]),
        ("optimizer", "final", ("slot",), ["momentum"]),
        ("predictions of model", "final"),
        ("trace", {"role": "train"}),
    ]


def test_nothing_is_marked_where_nothing_is_measured(marked: list[tuple[Any, ...]]) -> None:
    work = workload(measure=False)
    work.digest("model", "saved", optimizer=True)
    work.digest_state("model", "saved")
    work.finish("model")
    assert not marked
    assert work.runtime.steps.of("predict") == 0


@pytest.mark.parametrize(
    ("batch_scale", "batch_size", "given", "used"),
    [(1, 4, 6, 6), (1, 4, 2, 2), (3, 12, 6, 72), (3, 12, 10, 72), (3, 12, 50, 96)],
)
def test_larger_batches_are_whole_and_six_at_least(
    batch_scale: int, batch_size: int, given: int, used: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    numpy = SimpleNamespace(concatenate=lambda lists: [one for each in lists for one in each])
    monkeypatch.setitem(sys.modules, "numpy", numpy)
    work = workload(batch_scale=batch_scale)
    assert work.batch_size == batch_size
    assert work.examples(list(range(given))) == [number % given for number in range(used)]
