"""Realistic run records for tests: `run()` has one of everything that a report must show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from harness.catalog.catalog import Catalog
from harness.plan import planner
from harness.record.checks import Check, CheckId, KnownDefect, Status
from harness.record.facts import LogFacts
from harness.record.models import (
    Attempt,
    CaseRecord,
    FlavorRecord,
    Outcome,
    PhaseRecord,
    PhaseUse,
    RunRecord,
)
from harness.report.totals import CHECKS

# Text as hostile as a log can be.
HOSTILE = [
    *("\x1b[31m", "\x1b]0;", "\x1b", "\r", "\n", "\x00", "\x08", "\udc80", "\ufffe", "\u2028"),
    *("[[ATTACHMENT|/a]]", "]]>", "|", "`", "<b>", "&", "[red]", "[/]", "😀", "\\", "*"),
]
ANYTHING = st.lists(
    st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=()), max_size=20),
    max_size=8,
).map("".join)

FAMILY = "keras_saveload"
TF1, KERAS22 = "tf1-tfkeras", "tf1-keras22"
SWAPPED = (
    "confirmed: load: peak 46.0 MiB, control 82.7 MiB, saved 36.7 MiB (44.4 %); 12 swap-out and"
    " 13 swap-in executed in a step, 36.7 MiB out and 36.7 MiB in (meter allocations)"
)
NUMBERS = {
    "executed_swap_out": 12,
    "executed_swap_in": 13,
    "moved_out_bytes": 38482739,
    "moved_in_bytes": 38482739,
    "peak_bytes": 48234496,
    "control_peak_bytes": 86717235,
}
MESSAGES = {
    CheckId.PHASES_COMPLETE: "2 phases and 1 control exited 0 after 6.9 s",
    CheckId.LMS_EDITED_GRAPH: "25 operations added: 12 swap-out, 13 swap-in",
    CheckId.EDIT_TOOK_EFFECT: "no edit of an operation that had run",
    CheckId.STATE_RESTORED: "weights and optimizer equal by SHA-256, predictions equal",
    CheckId.SWAPPING_CONFIRMED: SWAPPED,
    CheckId.RESULT_UNCHANGED: "loss 0.2514, control 0.2514; predictions differ by at most 0",
    CheckId.SWAPPING_AS_BEFORE: (
        "load: as in save: 12 swap-out (36.7 MiB), 13 swap-in (36.7 MiB), peak 46.0 MiB in a step"
    ),
    CheckId.RESUME_EQUAL: "weights bit-equal; optimizer bit-equal; predictions bit-equal",
    CheckId.CAUGHT: "caught: edit took effect failed as expected",
}
DEFECT = KnownDefect(
    id="moments-lost",
    means="the optimizer starts anew after a load",
    upstream="https://github.com/keras-team/keras/issues/1",
)
MUTATION = (
    "Operation 'conv2d/Conv2D' was changed by updating input tensor after it was run by a session."
    " This mutation will have no effect, and will trigger an error in the future."
)


def check(name: CheckId, status: Status = Status.PASSED, message: str = "", **values: Any) -> Check:
    """A check with the message that is usual for it."""
    if name is CheckId.SWAPPING_CONFIRMED and status is Status.PASSED:
        values.setdefault("numbers", NUMBERS)
    if status is Status.KNOWN:
        values.setdefault("defect", DEFECT)
    return Check(id=name, status=status, message=message or MESSAGES[name], **values)


def checks(**other: Check) -> list[Check]:
    """The checks of a case, passed unless given otherwise by id."""
    return [other.get(name.value) or check(name) for name in CHECKS]


def phase(key: str, flavor: str = TF1, **values: Any) -> PhaseRecord:
    """A phase that completed in 2.3 s."""
    base: dict[str, Any] = {
        "key": key,
        "flavor": flavor,
        "family": FAMILY,
        "script": f"families/{FAMILY}/mnist_cnn_keras_trainsave.py",
        "role": "train",
        "provider": "builtin",
        "outcome": Outcome.COMPLETED,
        "exit_code": 0,
        "started": "2025-03-01T10:00:05Z",
        "duration_s": 2.3,
        "directory": f"phases/{key}",
    }
    return PhaseRecord(**{**base, **values})


def case(scenario: str, flavor: str = TF1, **values: Any) -> CaseRecord:
    """A case of two phases and a control, all checks passed."""
    base: dict[str, Any] = {
        "flavor": flavor,
        "family": FAMILY,
        "scenario": scenario,
        "description": "train, save, load, go on",
        "phases": uses(flavor, scenario),
        "checks": checks(),
        "reproduce": f"make repro FLAVOR={flavor} SCENARIO={scenario} GPU=none",
    }
    return CaseRecord(**{**base, **values})


def uses(flavor: str, scenario: str) -> list[PhaseUse]:
    """The phases of a case: a save that all cases of a flavor share, a load and its control."""
    return [
        PhaseUse(name="save", key=f"{flavor}.save"),
        PhaseUse(
            name="load", key=f"{flavor}.{scenario}.load", control=f"{flavor}.{scenario}.control"
        ),
    ]


def phases_of(cases: list[CaseRecord], **broken: dict[str, Any]) -> list[PhaseRecord]:
    """The phases that cases use; `broken` has values for the load phases of scenarios."""
    found: dict[str, PhaseRecord] = {}
    for entry in cases:
        for use in entry.phases:
            for key in (use.key, use.control):
                if key is not None and key not in found:
                    values = broken.get(entry.scenario, {}) if key.endswith("load") else {}
                    if key == use.control:
                        values = {"control_of": use.key, "provider": "off"}
                    found[key] = phase(key, entry.flavor, **values)
    return list(found.values())


def record(cases: list[CaseRecord], **values: Any) -> RunRecord:
    """A finished run on the virtual accelerator."""
    base: dict[str, Any] = {
        "id": "20250301-100000-3f2a",
        "state": "finished",
        "started": "2025-03-01T10:00:00.000Z",
        "finished": "2025-03-01T10:01:02.700Z",
        "duration_s": 62.7,
        "engine": "venv",
        "accelerator": "virtual",
        "provider": "builtin",
        "parameters": {"swapout_threshold": 1, "swapin_groupby": 0, "sync_mode": 3},
        "command": "harness run --gpu auto",
        "host": {"hostname": "builder-7", "cores": 2, "kernel": "6.1.0"},
        "flavors": [
            FlavorRecord(
                id=flavor,
                description="TensorFlow 1.15.5",
                provenance={"tensorflow": "1.15.5", "python": "3.7.17", "lock": "sha256:0f1e"},
            )
            for flavor in dict.fromkeys(entry.flavor for entry in cases)
        ],
        "cases": cases,
        "phases": phases_of(cases),
    }
    return RunRecord(**{**base, **values})


def run() -> RunRecord:
    """Two flavors with every kind of verdict, a canary caught and one that was not."""
    not_applied = check(
        CheckId.EDIT_TOOK_EFFECT,
        Status.FAILED,
        "37 operations were changed after a session had run them",
        numbers={"mutations": 37, "harmless": 4},
        lines=[f"load:{40 + index}: {MUTATION}" for index in range(37)],
    )
    not_swapped = check(
        CheckId.SWAPPING_CONFIRMED,
        Status.FAILED,
        "refuted: load: 0 swap-out and 0 swap-in executed in a step (meter allocations)",
        numbers={"peak_bytes": 86717235, "control_peak_bytes": 86717235, "swap_out": 0},
    )
    load_broke = {
        "phases_complete": check(
            CheckId.PHASES_COMPLETE,
            Status.FAILED,
            "load exited with 1",
            lines=["load:7: Traceback"],
        )
    }
    rest = {
        name.value: check(name, Status.ERROR, "not judged: load phase failed: exit code 1")
        for name in CHECKS
        if name is not CheckId.PHASES_COMPLETE
    }
    inconclusive = check(
        CheckId.SWAPPING_CONFIRMED,
        Status.ERROR,
        "inconclusive: load: the control left no allocation records",
    )
    canary = {"family": "canary", "expects": CheckId.EDIT_TOOK_EFFECT}
    lacks = "keras-team Keras has no tf.train.Checkpoint"
    cases = [
        case("trainsave-loadtrain"),
        case("train_save_checkpoint-load_checkpoint_predict"),
        case(
            "weights-session",
            checks=checks(edit_took_effect=not_applied, swapping_confirmed=not_swapped),
        ),
        case("checkpoint-restore", checks=checks(**load_broke, **rest)),
        case("estimator-export", checks=checks(swapping_confirmed=inconclusive)),
        case(
            "frozen-session",
            checks=[check(CheckId.CAUGHT)],
            behind=checks(edit_took_effect=not_applied),
            **canary,
        ),
        case(
            "stale-artifact",
            checks=[check(CheckId.CAUGHT, Status.FAILED, "not caught: all checks passed")],
            behind=checks(),
            **canary,
        ),
        case("trainsave-loadtrain", KERAS22),
        case("tf-checkpoint", KERAS22, checks=[], phases=[], skip=lacks),
        case("tf-checkpoint-epochs", KERAS22, checks=[], phases=[], skip=lacks),
        case("never-reached", KERAS22, checks=[], phases=[]),
    ]
    broken = {
        "outcome": Outcome.FAILED,
        "exit_code": 1,
        "reason": "exit code 1",
    }
    return record(
        cases,
        phases=phases_of(cases, **{"checkpoint-restore": broken}),
        notes=["no Docker daemon answers: the venv engine is used"],
    )


def green() -> RunRecord:
    """A run in which everything passed, one case skipped for a reason."""
    return record(
        [
            case("trainsave-loadtrain"),
            case("tf-checkpoint", checks=[], phases=[], skip="not in this flavor"),
            case(
                "frozen-session",
                family="canary",
                expects=CheckId.EDIT_TOOK_EFFECT,
                checks=[check(CheckId.CAUGHT)],
            ),
        ]
    )


def tried_again(reason: str = "GPU-1 is lost") -> RunRecord:
    """A green run on two GPUs, one of which was lost, with the load tried again on the other."""
    whole = green()
    first = Attempt(
        number=1,
        outcome=Outcome.FAILED,
        reason=reason,
        started="2025-03-01T10:00:01Z",
        duration_s=1.5,
        gpu="GPU-1",
        directory=f"phases/{TF1}.trainsave-loadtrain.load/attempts/1",
    )
    phases = [
        phase.model_copy(
            update={
                "gpu": "GPU-2",
                "attempts": [first] if phase.key.endswith("trainsave-loadtrain.load") else [],
            }
        )
        for phase in whole.phases
    ]
    gpus = [{"index": n, "uuid": f"GPU-{n + 1}", "name": "NVIDIA H200"} for n in range(2)]
    update = {"phases": phases, "gpus": gpus, "gpu": gpus[0], "accelerator": "gpu"}
    return whole.model_copy(update=update)


def logs(run_record: RunRecord, run_directory: Path) -> Path:
    """Makes the phases' directories with logs in them; returns the run directory."""
    for entry in run_record.phases:
        directory = run_directory / entry.directory
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "stdout.log").write_text(f"{entry.key}: epoch 1/1 loss 0.2514\n")
        (directory / "stderr.log").write_text(f"{entry.key}: W tensorflow: {MUTATION}\n")
    return run_directory


def completed_phase(name: str, log: LogFacts, **fields: Any) -> PhaseRecord:
    """A phase of keras_saveload on tf1-tfkeras that trained and ended well, with this log."""
    base: dict[str, Any] = {
        "key": name,
        "flavor": "tf1-tfkeras",
        "family": "keras_saveload",
        "script": f"{name}.py",
        "role": "train",
        "provider": "builtin",
        "outcome": Outcome.COMPLETED,
        "exit_code": 0,
        "directory": f"phases/{name}",
        "facts": log,
    }
    return PhaseRecord(**{**base, **fields})


def what_failed(reports: Path) -> str:
    """Of the latest run, a line for each phase that did not complete and check that did not pass.

    A run prints more than a failed test shows.
    """
    record = RunRecord.model_validate_json((reports / "latest" / "record.json").read_bytes())
    phases = [
        f"{entry.key}: {entry.outcome.value}: {entry.reason} {entry.details}"
        for entry in record.phases
        if entry.outcome is not Outcome.COMPLETED
    ]
    checks = [
        f"{entry.id}: {check.id.value}: {check.status.value}: {check.message}"
        for entry in record.cases
        for check in entry.checks
        if check.status not in (Status.PASSED, Status.KNOWN, Status.SKIPPED)
    ]
    return "\n".join([f"the run is {record.state}", *phases, *checks])


def assert_everything_passed(record: RunRecord, selected: Catalog) -> None:
    """Every case of the catalog passed, its swapping confirmed; known defects aside."""
    planned = planner.make(selected)
    wanted = {case.id: case.scenario for case in planned.cases if case.skip is None}
    judged = {case.id: case for case in record.cases if case.skip is None}
    assert set(judged) == set(wanted)
    for name, case in judged.items():
        assert case.status in (Status.PASSED, Status.KNOWN), name
        scenario = wanted[name]
        swaps = any(scenario.judged(phase) and phase.role != "convert" for phase in scenario.phase)
        if swaps and scenario.control and scenario.expects is None:
            swapping = next(
                check for check in case.checks if check.id is CheckId.SWAPPING_CONFIRMED
            )
            known = swapping.status is Status.KNOWN
            assert known or swapping.message.startswith("confirmed: "), name
