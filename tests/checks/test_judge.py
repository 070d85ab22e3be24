from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import pytest

from harness.catalog.scenarios import Scenario
from harness.checks.evidence import Reference
from harness.checks.judge import Evidence, caught, judge
from harness.record.checks import Check, CheckId, Status
from harness.record.facts import Claim, Digest, Edit, LogFacts, Metric, Mutation, Problem, Trace
from harness.record.models import Outcome, PhaseRecord
from tests.records import completed_phase

MIB = 2**20
ORDER = (
    CheckId.PHASES_COMPLETE,
    CheckId.LMS_EDITED_GRAPH,
    CheckId.EDIT_TOOK_EFFECT,
    CheckId.STATE_RESTORED,
    CheckId.SWAPPING_CONFIRMED,
    CheckId.RESULT_UNCHANGED,
)
SAMPLES = {
    "n": 200,
    "interval_s": 0.05,
    "duration_s": 10.0,
    "max_gap_s": 0.06,
    "memory_version": 2,
    "gpu_used_baseline": 400 * MIB,
    "gpu_used_peak": 1_000 * MIB,
    "process_peak": 600 * MIB,
    "foreign_pids": [],
    "pcie_tx_bytes": 800 * MIB,
    "pcie_source": "counters",
    "error": None,
}
CONTROL_SAMPLES = {
    **SAMPLES,
    "gpu_used_peak": 2_000 * MIB,
    "process_peak": 1_600 * MIB,
    "pcie_tx_bytes": 100 * MIB,
}


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def digest(of: str, stage: str, content: str = "same", **fields: Any) -> Digest:
    base: dict[str, Any] = {"of": of, "stage": stage, "sha256": sha(content), "line": 5}
    return Digest(**{**base, **fields})


def edit(**fields: Any) -> Edit:
    base: dict[str, Any] = {
        "source": "marker",
        "operations": 25,
        "swap_out": 12,
        "swap_in": 13,
        "bytes_out": 30 * MIB,
        "line": 3,
        "text": "Added 25 operations",
    }
    return Edit(**{**base, **fields})


def trace(**fields: Any) -> Trace:
    base: dict[str, Any] = {
        "function": "train",
        "meter": "allocations",
        "swap_out": 12,
        "swap_in": 13,
        "bytes_out": 30 * MIB,
        "bytes_in": 31 * MIB,
        "peak_accelerator": 46 * MIB,
        "peak_host": 40 * MIB,
        "line": 7,
    }
    return Trace(**{**base, **fields})


def control_trace(**fields: Any) -> Trace:
    unswapped: dict[str, Any] = {
        "swap_out": 0,
        "swap_in": 0,
        "bytes_out": 0,
        "bytes_in": 0,
        "peak_accelerator": 82 * MIB,
    }
    return trace(**{**unswapped, **fields})


def metric(value: float | None, name: str = "loss", **fields: Any) -> Metric:
    return Metric(**{"name": name, "value": value, "split": "test", "line": 8, **fields})


def facts(**fields: Any) -> LogFacts:
    return LogFacts(**{"markers": 5, "done": True, "bytes": 100, "lines": 10, **fields})


SAVE = facts(
    edits=[edit()],
    digests=[digest(of, "saved") for of in ("weights", "optimizer", "predictions")],
)
LOAD = facts(
    edits=[edit()],
    digests=[
        *(digest(of, "restored") for of in ("weights", "optimizer", "predictions")),
        digest("predictions", "final"),
    ],
    traces=[trace()],
    metrics=[metric(0.25)],
)
CONTROL = facts(
    traces=[control_trace()], metrics=[metric(0.25)], digests=[digest("predictions", "final")]
)


def with_(base: LogFacts, **fields: Any) -> LogFacts:
    return base.model_copy(update=fields)


def phase(name: str = "load", log: LogFacts = LOAD, **fields: Any) -> PhaseRecord:
    return completed_phase(name, log, **{"key": f"tf1-{name}", "duration_s": 2.0, **fields})


def scenario(role: str = "train", **fields: Any) -> Scenario:
    base: dict[str, Any] = {
        "id": "trainsave-loadtrain",
        "family": "keras_saveload",
        "description": "train, save, load, train",
        "restores": ("weights", "optimizer", "predictions"),
        "phase": (
            {"id": "save", "script": "save.py", "role": "train"},
            {"id": "load", "script": "load.py", "role": role},
        ),
    }
    return Scenario(**{**base, **fields})


def evidence(
    load: PhaseRecord | None = None,
    save: PhaseRecord | None = None,
    control: PhaseRecord | None = None,
    plan: Scenario | None = None,
    **fields: Any,
) -> Evidence:
    plan = plan or scenario()
    records = (save or phase("save", SAVE), load or phase())
    base: dict[str, Any] = {
        "scenario": plan,
        "phases": tuple(zip(plan.phase, records, strict=True)),
        "controls": {"load": control or phase("load-control", CONTROL)},
        "references": {"load": Reference("save", phase("save", LOAD), declared=True)},
        "provider": "builtin",
        "accelerator": "virtual",
    }
    return Evidence(**{**base, **fields})


def statuses(checks: Sequence[Check]) -> str:
    """One letter a check: p, f, e, s; the last two have modules of their own."""
    last = (CheckId.SWAPPING_AS_BEFORE, CheckId.RESUME_EQUAL)
    assert tuple(check.id for check in checks) == (*ORDER, *last)
    for check in checks:
        assert "\n" not in check.message
    return "".join(check.status.value[0] for check in checks[: len(ORDER)])


def verdict(check_id: CheckId, case: Evidence) -> Check:
    return judge(case)[ORDER.index(check_id)]


def test_all_passed() -> None:
    checks = judge(evidence())
    assert statuses(checks) == "pppppp"
    messages = [check.message for check in checks]
    assert messages[0] == "2 phases completed in 4.0 s"
    assert messages[1] == "load: 25 operations added, 12 swap-out (30.0 MiB), 13 swap-in"
    assert messages[3] == "weights bit-equal; optimizer bit-equal; predictions bit-equal"
    assert messages[4] == (
        "confirmed: load: peak 46.0 MiB, control 82.0 MiB, saved 36.0 MiB (43.9 %);"
        " 12 swap-out and 13 swap-in executed in a step (12 and 13 added),"
        " 30.0 MiB out and 31.0 MiB in (meter allocations)"
    )
    assert checks[4].numbers["saved_bytes"] == 36 * MIB
    assert checks[4].lines[0].startswith("load:7: trace of a train step")


class TestComplete:
    @pytest.mark.parametrize(
        ("fields", "expected", "words"),
        [
            ({"outcome": Outcome.FAILED, "exit_code": 3}, "f", "load phase failed: exit code 3"),
            ({"outcome": Outcome.TIMED_OUT, "exit_code": None}, "f", "timed out after 2 s"),
            ({"outcome": Outcome.OUT_OF_MEMORY, "exit_code": 137}, "e", "too little memory"),
            ({"outcome": Outcome.KILLED, "exit_code": 137}, "e", "something else than itself"),
            ({"outcome": Outcome.FAILED, "exit_code": 139}, "f", "exit code 139"),
            ({"outcome": Outcome.ENGINE_ERROR, "reason": "no daemon"}, "e", "no daemon"),
            ({"outcome": Outcome.INTERRUPTED}, "e", "interrupted"),
            ({"outcome": Outcome.NOT_RUN, "reason": "stopped"}, "e", "was not run: stopped"),
            ({"log": with_(LOAD, done=False)}, "f", "stopped half way"),
        ],
    )
    def test_outcome(self, fields: dict[str, Any], expected: str, words: str) -> None:
        checks = judge(evidence(phase(**fields)))
        assert statuses(checks)[0] == expected
        assert words in checks[0].message
        assert set(statuses(checks)[1:]) == {"e"}
        later = checks[1 : len(ORDER) + 1]
        assert all(check.message.startswith("not judged: load phase") for check in later)

    @pytest.mark.parametrize("role", ["train", "predict"])
    @pytest.mark.parametrize("broken", ["save", "load", "control"])
    @pytest.mark.parametrize("outcome", [Outcome.KILLED, Outcome.OUT_OF_MEMORY])
    def test_a_log_that_breaks_off_fails_nothing(
        self, outcome: Outcome, broken: str, role: str
    ) -> None:
        """Wherever somebody ended the phase: what it had not said by then proves nothing."""
        whole = {"save": SAVE, "load": LOAD, "control": CONTROL}[broken]
        said = [
            (name, entry)
            for name in ("edits", "digests", "metrics", "traces")
            for entry in getattr(whole, name)
        ]
        for count in range(len(said) + 1):
            kept: dict[str, Any] = {"edits": [], "digests": [], "metrics": [], "traces": []}
            for name, entry in said[:count]:
                kept[name].append(entry)
            cut = with_(whole, **kept, done=False, markers=count)
            ended = phase(broken, cut, outcome=outcome, exit_code=137)
            checks = judge(evidence(**{broken: ended}, plan=scenario(role)))
            assert all(check.status is not Status.FAILED for check in checks), checks
            assert "e" in statuses(checks)

    @pytest.mark.parametrize("kind", ["traceback", "nan_loss", "out_of_memory", "cuda_error"])
    def test_problem_with_exit_code_0(self, kind: str) -> None:
        problem = Problem(kind=kind, line=9, text="it broke")
        checks = judge(evidence(phase(log=with_(LOAD, problems=[problem]))))
        assert statuses(checks) == "feeeee"
        assert "line 9: it broke" in checks[0].message
        assert checks[0].lines == ["load:9: it broke"]

    @pytest.mark.parametrize("kind", ["crash", "stopped"])
    def test_the_end_of_some_process_with_exit_code_0(self, kind: str) -> None:
        """That of the phase's own is final; one that it has started may have been replaced."""
        problem = Problem(kind=kind, line=9, text="worker 3 exited with code 1")
        ended = evidence(phase(log=with_(LOAD, problems=[problem])))
        assert statuses(judge(ended)) == "pppppp"
        final = problem.model_copy(update={"final": True})
        assert statuses(judge(evidence(phase(log=with_(LOAD, problems=[final]))))) == "feeeee"

    def test_earlier_phase(self) -> None:
        problem = Problem(kind="traceback", line=9, text="ValueError: no")
        save = phase("save", with_(SAVE, problems=[problem]), outcome=Outcome.FAILED, exit_code=1)
        load = phase(log=LogFacts(), outcome=Outcome.NOT_RUN, exit_code=None, reason="save failed")
        checks = judge(evidence(load, save))
        assert statuses(checks) == "feeeee"
        assert checks[0].message == (
            "save phase failed: exit code 1; exception at line 9: ValueError: no"
        )
        assert checks[4].message == f"not judged: {checks[0].message}"

    def test_log_proves_a_failure_of_a_phase_that_crashed(self) -> None:
        mutation = Mutation(
            form="setting attribute", operation="x", harmless=False, line=4, text="Operation"
        )
        load = phase(log=with_(LOAD, mutations=[mutation]), outcome=Outcome.FAILED, exit_code=1)
        assert statuses(judge(evidence(load))) == "fefeee"

    def test_malformed_marker(self) -> None:
        problem = Problem(kind="malformed_marker", line=9, text="not a JSON object: {")
        checks = judge(evidence(phase(log=with_(LOAD, problems=[problem]))))
        assert statuses(checks) == "eppppp"
        assert "1 marker line cannot be read, first at line 9" in checks[0].message

    def test_no_gpu_matters_only_where_one_was_asked_for(self) -> None:
        problem = Problem(kind="cuda_error", line=1, text="failed call to cuInit: CUDA_ERROR_NO_D")
        load = phase(log=with_(LOAD, problems=[problem]), samples=SAMPLES)
        assert statuses(judge(evidence(load)))[0] == "p"
        assert statuses(judge(evidence(load, accelerator="gpu")))[0] == "f"

    def test_script_without_markers(self) -> None:
        bare = LogFacts(lines=3, bytes=50)
        native = with_(bare, edits=[edit(source="native")])
        checks = judge(
            evidence(phase(log=native), phase("save", bare), phase("load-control", bare))
        )
        assert statuses(checks) == "pppses"
        assert checks[3].message.startswith("no marker lines from save and load")


class TestEdited:
    def test_no_edit(self) -> None:
        checks = judge(evidence(phase(log=with_(LOAD, edits=[]))))
        assert statuses(checks)[1:3] == "fe"
        assert checks[2].message == "load: no edit to judge"

    @pytest.mark.parametrize("fields", [{"swap_out": 0}, {"swap_in": 0}])
    def test_one_direction(self, fields: dict[str, int]) -> None:
        assert statuses(judge(evidence(phase(log=with_(LOAD, edits=[edit(**fields)])))))[1] == "f"

    def test_off(self) -> None:
        problem = Problem(kind="lms_off", line=4, text="LMS is not necessary. Turned LMS off.")
        found = verdict(
            CheckId.LMS_EDITED_GRAPH, evidence(phase(log=with_(LOAD, problems=[problem])))
        )
        assert found.status is Status.FAILED
        assert "line 4: LMS is not necessary" in found.message

    def test_marker_and_native_line_are_one_edit(self) -> None:
        log = with_(LOAD, edits=[edit(), edit(source="native"), edit(swap_out=3, swap_in=3)])
        found = verdict(CheckId.LMS_EDITED_GRAPH, evidence(phase(log=log)))
        assert found.numbers["edits"] == 2
        assert "the largest of 2 edits" in found.message

    def test_plan_without_lms(self) -> None:
        assert statuses(judge(evidence(provider="off"))) == "psspss"

    def test_convert(self) -> None:
        assert statuses(judge(evidence(plan=scenario(role="convert")))) == "psspss"

    def test_two_judged_phases(self) -> None:
        plan = scenario(
            phase=(
                {"id": "save", "script": "save.py", "role": "train", "judged": True},
                {"id": "load", "script": "load.py", "role": "train"},
            )
        )
        checks = judge(
            evidence(
                save=phase("save", with_(SAVE, edits=[])),
                plan=plan.model_copy(
                    update={
                        "phase": (
                            plan.phase[0],
                            plan.phase[1].model_copy(update={"judged": True}),
                        )
                    }
                ),
            )
        )
        assert statuses(checks) == "pfepee"
        assert checks[1].message.startswith("save: no line says")
        assert checks[1].numbers["load.swap_out"] == 12
        assert checks[4].message.startswith("inconclusive: save: there is no control; confirmed:")


class TestEffective:
    def mutation(self, harmless: bool) -> Mutation:
        return Mutation(
            form="updating input tensor",
            operation="loss/Reshape",
            operation_type="Reshape",
            harmless=harmless,
            line=6,
            text="Operation ...",
        )

    def test_harmful(self) -> None:
        log = with_(LOAD, mutations=[self.mutation(True), self.mutation(False)])
        found = verdict(CheckId.EDIT_TOOK_EFFECT, evidence(phase(log=log)))
        assert found.status is Status.FAILED
        assert "line 6: updating input tensor of loss/Reshape (Reshape)" in found.message
        assert found.lines[0] == "load:6: Operation ..."

    def test_harmless(self) -> None:
        log = with_(LOAD, mutations=[self.mutation(True)])
        found = verdict(CheckId.EDIT_TOOK_EFFECT, evidence(phase(log=log)))
        assert found.status is Status.PASSED
        assert "1 harmless mutation, first of loss/Reshape" in found.message

    @pytest.mark.parametrize(
        ("traces", "status", "words"),
        [
            ([trace(graph_swap_out=12, graph_swap_in=13)], Status.PASSED, "12 swap-out and 13"),
            # Nothing was said when the function stayed as it was: only its graph shows it.
            ([trace(graph_swap_out=0, graph_swap_in=0)], Status.FAILED, "traced before LMS came"),
            ([trace()], Status.ERROR, "does not show the graph of the train function"),
            (
                [trace(function="predict", graph_swap_out=1, graph_swap_in=1)],
                Status.ERROR,
                "no trace shows the train function",
            ),
        ],
    )
    def test_function_that_was_executed(
        self, traces: list[Trace], status: Status, words: str
    ) -> None:
        log = with_(LOAD, traces=traces)
        found = verdict(CheckId.EDIT_TOOK_EFFECT, evidence(phase(log=log), mode="function"))
        assert found.status is status
        assert words in found.message

    @pytest.mark.parametrize(
        ("swap_out", "status"), [(12, Status.PASSED), (0, Status.FAILED), (None, Status.ERROR)]
    )
    def test_eager_has_no_graph_so_executed_swaps_count(
        self, swap_out: int | None, status: Status
    ) -> None:
        log = with_(LOAD, traces=[trace(swap_out=swap_out)])
        found = verdict(CheckId.EDIT_TOOK_EFFECT, evidence(phase(log=log), mode="eager"))
        assert found.status is status

    def test_nothing_to_swap_is_what_the_catalog_says_not_the_log(self) -> None:
        log = with_(LOAD, edits=[], traces=[], notes=["nothing to swap"])
        case = evidence(
            phase(log=log), plan=scenario("predict"), unswapped={"predict": "keeps nothing"}
        )
        assert statuses(judge(case)) == "psspsp"
        assert verdict(CheckId.SWAPPING_CONFIRMED, case).message == "keeps nothing"
        unsaid = evidence(phase(log=log), plan=scenario("predict"), mode="eager")
        assert statuses(judge(unsaid)) == "pfepep"

    def test_function_that_was_never_edited_fails_without_an_edit(self) -> None:
        log = with_(LOAD, edits=[], traces=[trace(graph_swap_out=0, graph_swap_in=0)])
        found = verdict(CheckId.EDIT_TOOK_EFFECT, evidence(phase(log=log), mode="function"))
        assert found.status is Status.FAILED

    def test_only_judged_phases(self) -> None:
        save = phase("save", with_(SAVE, mutations=[self.mutation(False)]))
        assert statuses(judge(evidence(save=save))) == "pppppp"


class TestRestored:
    def judged(self, load: LogFacts, save: LogFacts = SAVE, **fields: Any) -> Check:
        return verdict(
            CheckId.STATE_RESTORED, evidence(phase(log=load), phase("save", save), **fields)
        )

    @pytest.mark.parametrize("of", ["weights", "optimizer"])
    def test_differs(self, of: str) -> None:
        others = [entry for entry in LOAD.digests if entry.of != of]
        wrong = digest(of, "restored", "other", tensors=8, bytes=5 * MIB)
        found = self.judged(with_(LOAD, digests=[*others, wrong]))
        assert found.status is Status.FAILED
        assert found.message.startswith(f"{of} differ: {sha('same')[:8]} saved, ")
        assert "(8 tensors, 5.0 MiB) restored" in found.message

    def test_last_saved_digest_counts(self) -> None:
        save = with_(SAVE, digests=[digest("weights", "saved", "early"), *SAVE.digests])
        assert self.judged(LOAD, save).status is Status.PASSED

    def test_missing(self) -> None:
        assert self.judged(with_(LOAD, digests=[])).status is Status.ERROR
        assert self.judged(LOAD, with_(SAVE, digests=[])).status is Status.ERROR

    def test_no_markers(self) -> None:
        assert self.judged(LOAD, LogFacts()).status is Status.SKIPPED

    def test_nothing_restored(self) -> None:
        assert self.judged(LOAD, plan=scenario(restores=())).status is Status.SKIPPED

    @pytest.mark.parametrize(
        ("accelerator", "values", "status"),
        [
            ("virtual", [0.5, 0.25 + 5e-7], Status.PASSED),
            ("virtual", [0.5, 0.25 + 5e-6], Status.FAILED),
            ("gpu", [0.5, 0.25 + 3e-5], Status.PASSED),
            ("gpu", [0.5, 0.25 + 1e-4], Status.FAILED),
            ("gpu", [0.5], Status.FAILED),
            ("gpu", None, Status.ERROR),
        ],
    )
    def test_predictions(
        self, accelerator: str, values: list[float] | None, status: Status
    ) -> None:
        plan = scenario(restores=("predictions",))
        save = with_(SAVE, digests=[digest("predictions", "saved", "a", values=[0.5, 0.25])])
        load = with_(LOAD, digests=[digest("predictions", "restored", "b", values=values)])
        found = self.judged(load, save, plan=plan, accelerator=accelerator)
        assert found.status is status
        if status is Status.PASSED:
            assert "equal within" in found.message
            assert "largest difference" in found.message

    @pytest.mark.parametrize(("value", "status"), [(0.5, Status.PASSED), (0.6, Status.FAILED)])
    def test_checkpoints_of_epochs(self, value: float, status: Status) -> None:
        save = with_(SAVE, metrics=[metric(0.9, epoch=0), metric(0.5, epoch=1)])
        load = with_(LOAD, metrics=[metric(0.9, epoch=0), metric(value, epoch=1)])
        found = self.judged(load, save, plan=scenario(role="predict"))
        assert found.status is status

    @pytest.mark.parametrize(
        ("restored", "status", "words"),
        [
            ([0.9, 0.5], Status.PASSED, "2 epoch metrics exactly equal"),
            ([0.9, 0.5000000001], Status.FAILED, "0.5 saved, 0.5000000001 restored"),
            ([0.9], Status.FAILED, "saved and not restored, first loss of epoch 1"),
            ([], Status.ERROR, "reports no test metric"),
        ],
    )
    def test_epochs_that_have_to_be_exactly_equal(
        self, restored: list[float], status: Status, words: str
    ) -> None:
        save = with_(SAVE, metrics=[metric(0.9, epoch=0), metric(0.5, epoch=1)])
        load = with_(
            LOAD, metrics=[metric(value, epoch=epoch) for epoch, value in enumerate(restored)]
        )
        case = evidence(
            phase(log=load), phase("save", save), plan=scenario("predict", restores=("epochs",))
        )
        found = verdict(CheckId.STATE_RESTORED, case)
        assert found.status is status
        assert words in found.message
        if status is Status.PASSED:
            assert found.lines[1] == "load: epoch 1: loss 0.5 saved, 0.5 restored"

    @pytest.mark.parametrize(
        ("expected", "found", "status"),
        [
            (10, 10, Status.PASSED),
            (10, 10.0, Status.PASSED),
            ("[[False]]", "[[False]]", Status.PASSED),
            (10, 9, Status.FAILED),
            (0, None, Status.FAILED),
            (1, True, Status.FAILED),
            (False, 0, Status.FAILED),
        ],
    )
    def test_claims_are_compared_here(self, expected: Any, found: Any, status: Status) -> None:
        claim = Claim(text="tensors in the file", expected=expected, found=found, line=4)
        case = evidence(save=phase("save", with_(SAVE, claims=[claim])), plan=scenario(restores=()))
        check = verdict(CheckId.STATE_RESTORED, case)
        assert check.status is status
        assert ("1 claim holds" in check.message) == (status is Status.PASSED)
        assert check.lines == [f"save:4: tensors in the file: {found!r}"]

    def test_a_broken_claim_outweighs_equal_digests(self) -> None:
        claim = Claim(text="variables", expected=0, found=2, line=4)
        check = verdict(CheckId.STATE_RESTORED, evidence(phase(log=with_(LOAD, claims=[claim]))))
        assert check.status is Status.FAILED
        assert "expected 0, found 2" in check.message

    def test_epochs_of_a_phase_that_trains_are_its_own(self) -> None:
        save = with_(SAVE, metrics=[metric(0.9, epoch=0)])
        load = with_(LOAD, metrics=[metric(0.3, epoch=0)])
        assert self.judged(load, save).status is Status.PASSED


class TestSwapping:
    def judged(
        self, ours: Trace | None, theirs: Trace | None, role: str = "train", **fields: Any
    ) -> Check:
        load = with_(LOAD, traces=[ours] if ours else [], **fields)
        control = with_(CONTROL, traces=[theirs] if theirs else [])
        return verdict(
            CheckId.SWAPPING_CONFIRMED,
            evidence(
                phase(log=load),
                control=phase("load-control", control),
                plan=scenario(role=role),
            ),
        )

    @pytest.mark.parametrize(
        ("ours", "theirs", "word"),
        [
            ({}, {}, "confirmed"),
            ({"swap_out": 0}, {}, "refuted"),
            ({"swap_in": 0}, {}, "refuted"),
            ({"bytes_out": 0, "bytes_in": 0}, {}, "refuted"),
            ({"bytes_out": None, "bytes_in": None}, {}, "inconclusive"),
            ({"bytes_in": None}, {}, "confirmed"),
            ({"swap_out": None}, {}, "inconclusive"),
            ({"peak_accelerator": 82 * MIB}, {}, "refuted"),
            ({"peak_accelerator": 82 * MIB - 65 * 1024}, {}, "refuted"),
            ({"peak_accelerator": 81 * MIB}, {}, "confirmed"),
            ({"peak_accelerator": 936 * 1024}, {"peak_accelerator": 1000 * 1024}, "refuted"),
            ({"peak_accelerator": 935 * 1024}, {"peak_accelerator": 1000 * 1024}, "confirmed"),
            ({"peak_accelerator": None}, {}, "inconclusive"),
            ({}, {"peak_accelerator": None}, "inconclusive"),
            ({}, {"swap_out": 3}, "inconclusive"),
            ({}, {"swap_in": None}, "inconclusive"),
            ({"swap_out": 6}, {}, "refuted"),
            ({"swap_in": 7}, {}, "refuted"),
            ({"swap_out": 7, "swap_in": 8}, {}, "confirmed"),
            ({"swap_out": 15, "swap_in": 16}, {}, "confirmed"),
            ({"swap_out": 16}, {}, "refuted"),
            ({"swap_in": 17}, {}, "refuted"),
            ({"bytes_out": 16 * MIB}, {}, "refuted"),
            ({"bytes_out": 17 * MIB}, {}, "confirmed"),
            ({"bytes_out": 90 * MIB}, {}, "confirmed"),
            ({"function": "predict"}, {}, "inconclusive"),
            ({}, {"function": "predict"}, "inconclusive"),
        ],
    )
    def test_train(self, ours: dict[str, Any], theirs: dict[str, Any], word: str) -> None:
        found = self.judged(trace(**ours), control_trace(**theirs))
        assert found.message.startswith(f"{word}: load: "), found.message
        expected = {
            "confirmed": Status.PASSED,
            "refuted": Status.FAILED,
            "inconclusive": Status.ERROR,
        }
        assert found.status is expected[word]

    def test_missing_traces(self) -> None:
        assert self.judged(None, control_trace()).status is Status.ERROR
        assert self.judged(trace(), None).status is Status.ERROR
        assert self.judged(trace(swap_out=0), None).status is Status.FAILED

    @pytest.mark.parametrize(
        ("ours", "theirs", "status"),
        [
            ({"peak_accelerator": 90 * MIB}, {}, Status.PASSED),
            ({"peak_accelerator": None}, {"peak_accelerator": None}, Status.PASSED),
            ({"swap_out": 1, "swap_in": 1, "bytes_out": 1}, {}, Status.PASSED),
            ({"swap_out": 16}, {}, Status.FAILED),
            ({"swap_out": 0}, {}, Status.FAILED),
            ({"bytes_out": 0, "bytes_in": 0}, {}, Status.FAILED),
            ({}, {"swap_out": 1}, Status.ERROR),
        ],
    )
    def test_predict(self, ours: dict[str, Any], theirs: dict[str, Any], status: Status) -> None:
        found = self.judged(
            trace(function="predict", **ours),
            control_trace(function="predict", **theirs),
            "predict",
        )
        assert found.status is status, found.message

    def test_several_edits(self) -> None:
        edits = [edit(swap_out=40, swap_in=40), edit()]
        assert self.judged(trace(), control_trace(), edits=edits).status is Status.PASSED
        assert self.judged(trace(), control_trace(), edits=edits[:1]).status is Status.FAILED

    @pytest.mark.parametrize(
        "control",
        [
            phase("c", CONTROL, outcome=Outcome.FAILED, exit_code=1),
            phase("c", CONTROL, outcome=Outcome.TIMED_OUT, exit_code=None),
            phase("c", with_(CONTROL, done=False)),
        ],
    )
    def test_broken_control(self, control: PhaseRecord) -> None:
        checks = judge(evidence(control=control))
        assert statuses(checks) == "ppppee"
        assert checks[4].message.startswith("inconclusive: load: the control")

    def test_no_control(self) -> None:
        assert statuses(judge(evidence(controls={}))) == "ppppee"
        checks = judge(evidence(controls={}, plan=scenario(control=False)))
        assert statuses(checks) == "ppppss"
        assert "no control" in checks[4].message


GIB = 1024 * MIB
A_STEP = 700 * MIB
# A phase of ten steps that holds 1.5 GiB without swapping.
STEPS = trace(bytes_out=A_STEP, bytes_in=A_STEP, peak_accelerator=GIB, steps=10)
PLAIN_STEPS = control_trace(peak_accelerator=1_536 * MIB, steps=10)
GPU_EDIT = edit(bytes_out=A_STEP)


class TestGpu:
    def judged(
        self,
        ours: dict[str, Any] | None = None,
        theirs: dict[str, Any] | None = None,
        traced: Trace | None = STEPS,
        plain: Trace | None = PLAIN_STEPS,
        role: str = "train",
    ) -> Check:
        log = with_(LOAD, edits=[GPU_EDIT], traces=[traced] if traced else [])
        control = with_(CONTROL, traces=[plain] if plain else [])
        sent = {"pcie_tx_bytes": 7_100 * MIB}
        return verdict(
            CheckId.SWAPPING_CONFIRMED,
            evidence(
                phase(log=log, samples={**SAMPLES, **sent, **(ours or {})}),
                control=phase(
                    "load-control", control, samples={**CONTROL_SAMPLES, **(theirs or {})}
                ),
                plan=scenario(role=role),
                accelerator="gpu",
            ),
        )

    @pytest.mark.parametrize(
        ("ours", "theirs", "word"),
        [
            ({}, {}, "confirmed"),
            ({"process_peak": None}, {}, "confirmed"),
            # Bytes and peak, both ways.
            ({"process_peak": 1_700 * MIB}, {}, "refuted"),
            # The trace says that it fell, and NVML that it did not.
            ({"process_peak": 1_600 * MIB}, {}, "inconclusive"),
            ({"process_peak": 1_530 * MIB}, {}, "inconclusive"),
            ({"process_peak": 1_510 * MIB}, {}, "confirmed"),
            ({"pcie_tx_bytes": 100 * MIB}, {}, "refuted"),
            ({"pcie_tx_bytes": 3_590 * MIB}, {}, "refuted"),
            ({"pcie_tx_bytes": 3_610 * MIB}, {}, "confirmed"),
            ({"pcie_tx_bytes": 14_000 * MIB}, {}, "confirmed"),
            ({"pcie_tx_bytes": 14_200 * MIB}, {}, "refuted"),
            ({"pcie_tx_bytes": 14_200 * MIB, "pcie_source": "throughput"}, {}, "confirmed"),
            ({"pcie_tx_bytes": 1_800 * MIB, "pcie_source": "throughput"}, {}, "inconclusive"),
            # The trace's bytes were executed, and stand in where the bus counts none.
            ({"pcie_tx_bytes": None}, {}, "confirmed"),
            ({"pcie_tx_bytes": None, "process_peak": 1_600 * MIB}, {}, "inconclusive"),
            ({}, {"pcie_exact": False}, "confirmed"),
            ({"process_peak": None, "gpu_used_peak": None}, {}, "inconclusive"),
            ({"n": 19}, {}, "inconclusive"),
            ({"n": None}, {}, "inconclusive"),
            ({}, {"n": 19}, "inconclusive"),
            ({"max_gap_s": 0.6}, {}, "inconclusive"),
            ({"max_gap_s": None}, {}, "inconclusive"),
            ({"foreign_pids": [123]}, {}, "inconclusive"),
            ({}, {"foreign_pids": [123]}, "inconclusive"),
            ({"memory_version": 1}, {}, "inconclusive"),
            ({"error": "GPU is lost"}, {}, "inconclusive"),
        ],
    )
    def test_samples(self, ours: dict[str, Any], theirs: dict[str, Any], word: str) -> None:
        found = self.judged(ours, theirs)
        assert found.message.startswith(f"{word}: load: "), found.message
        assert "NVML" in found.message

    @pytest.mark.parametrize(
        ("held", "word"), [(1_023 * MIB, "inconclusive"), (1_025 * MIB, "refuted")]
    )
    def test_a_model_that_is_too_small_to_show_confirms_nothing(self, held: int, word: str) -> None:
        same = {"process_peak": 1_600 * MIB}
        traced = STEPS.model_copy(update={"peak_accelerator": None})
        plain = PLAIN_STEPS.model_copy(update={"peak_accelerator": held})
        found = self.judged(same, traced=traced, plain=plain)
        assert found.message.startswith(f"{word}: load: "), found.message

    @pytest.mark.parametrize(
        ("sent", "word"),
        [(400, "refuted"), (800, "confirmed"), (90_000, "confirmed"), (None, "inconclusive")],
    )
    def test_without_a_trace_one_step_is_the_least(self, sent: int | None, word: str) -> None:
        ours = {"pcie_tx_bytes": None if sent is None else sent * MIB}
        found = self.judged(ours, traced=None, plain=None)
        assert found.message.startswith(f"{word}: load: "), found.message

    def test_without_a_trace_nobody_knows_how_large_the_model_is(self) -> None:
        found = self.judged({"process_peak": 1_600 * MIB}, traced=None, plain=None)
        assert found.status is Status.ERROR
        assert "too small" in found.message

    def test_what_the_text_of_a_program_counts_is_not_what_was_executed(self) -> None:
        compiled = STEPS.model_copy(update={"meter": "compiled program"})
        assert self.judged(traced=compiled).status is Status.PASSED
        found = self.judged({"pcie_tx_bytes": None}, traced=compiled)
        assert found.status is Status.ERROR
        assert "in the program" in found.message

    def test_few_bytes_cannot_be_told_from_what_else_is_sent(self) -> None:
        small = STEPS.model_copy(update={"bytes_out": MIB, "steps": 4})
        assert self.judged({"pcie_tx_bytes": 100 * MIB}, traced=small).status is Status.FAILED
        said = with_(LOAD, edits=[edit(bytes_out=MIB)], traces=[small])
        case = evidence(
            phase(log=said, samples={**SAMPLES, "pcie_tx_bytes": 100 * MIB}),
            control=phase("c", with_(CONTROL, traces=[PLAIN_STEPS]), samples=CONTROL_SAMPLES),
            accelerator="gpu",
        )
        found = verdict(CheckId.SWAPPING_CONFIRMED, case)
        assert found.status is Status.PASSED
        assert "too few to tell" in found.message

    def test_no_samples(self) -> None:
        case = evidence(phase(log=with_(LOAD, traces=[])), accelerator="gpu")
        assert verdict(CheckId.SWAPPING_CONFIRMED, case).message == (
            "inconclusive: load: samples are missing (meter NVML)"
        )

    def test_trace_contradicts(self) -> None:
        found = self.judged(traced=STEPS.model_copy(update={"swap_out": 0}))
        assert found.status is Status.FAILED

    def test_trace_agrees(self) -> None:
        found = self.judged()
        assert found.status is Status.PASSED
        assert "by trace confirmed" in found.message
        assert "bytes moved and the peak fell" in found.message
        assert found.numbers["bus_share"] == 1.0

    def test_trace_cannot_stand_in_for_samples(self) -> None:
        assert self.judged({"n": 3}).status is Status.ERROR

    def test_control_swapped(self) -> None:
        assert self.judged(plain=STEPS).status is Status.ERROR

    @pytest.mark.parametrize(
        ("ours", "status"),
        [
            ({"process_peak": 1_600 * MIB}, Status.PASSED),
            ({"process_peak": 1_700 * MIB}, Status.FAILED),
            ({"pcie_tx_bytes": 100 * MIB}, Status.FAILED),
            ({"pcie_tx_bytes": None}, Status.PASSED),
            ({"n": 3}, Status.ERROR),
        ],
    )
    def test_a_prediction_moves_bytes_and_its_peak_need_not_fall(
        self, ours: dict[str, Any], status: Status
    ) -> None:
        traced, plain = (
            entry.model_copy(update={"function": "predict"}) for entry in (STEPS, PLAIN_STEPS)
        )
        found = self.judged(ours, traced=traced, plain=plain, role="predict")
        assert found.status is status, found.message

    def test_empty_samples(self) -> None:
        case = evidence(
            phase(log=with_(LOAD, traces=[]), samples={}),
            control=phase("c", CONTROL, samples={}),
            accelerator="gpu",
        )
        assert verdict(CheckId.SWAPPING_CONFIRMED, case).status is Status.ERROR


class TestResult:
    def judged(self, ours: LogFacts, theirs: LogFacts, **fields: Any) -> Check:
        return verdict(
            CheckId.RESULT_UNCHANGED,
            evidence(phase(log=ours), control=phase("load-control", theirs), **fields),
        )

    @pytest.mark.parametrize(
        ("ours", "theirs", "status"),
        [
            (0.25, 0.25, Status.PASSED),
            (0.25000000000000006, 0.25, Status.FAILED),
            (None, 0.25, Status.FAILED),
            (0.25, None, Status.FAILED),
        ],
    )
    def test_metrics(self, ours: float | None, theirs: float | None, status: Status) -> None:
        log = with_(LOAD, metrics=[metric(ours)])
        found = self.judged(log, with_(CONTROL, metrics=[metric(theirs)]))
        assert found.status is status, found.message

    @pytest.mark.parametrize(
        ("accelerator", "ours", "status"),
        [
            ("virtual", 0.250034, Status.PASSED),
            ("virtual", 0.250036, Status.FAILED),
            ("gpu", 0.2649, Status.PASSED),
            ("gpu", 0.2651, Status.FAILED),
        ],
    )
    def test_metrics_up_to_rounding_and_on_a_gpu(
        self, accelerator: str, ours: float, status: Status
    ) -> None:
        log = with_(LOAD, metrics=[metric(ours)])
        control = with_(CONTROL, metrics=[metric(0.25)])
        found = self.judged(log, control, accelerator=accelerator, plan=scenario(rounds=True))
        assert found.status is status, found.message

    def test_weights_after_a_training_are_equal_to_the_last_bit(self) -> None:
        log, control = (
            with_(base, digests=[*base.digests, digest("weights", "final", content)])
            for base, content in ((LOAD, "wrong"), (CONTROL, "right"))
        )
        found = self.judged(log, control)
        assert found.status is Status.FAILED
        assert "the trained weights differ" in found.message
        assert "trained weights bit-equal" in self.judged(control, control).message
        for loose in ({"accelerator": "gpu"}, {"plan": scenario(rounds=True)}):
            assert self.judged(log, control, **loose).status is Status.PASSED

    def test_metrics_are_matched_by_epoch_and_split(self) -> None:
        log = with_(LOAD, metrics=[metric(0.1, epoch=1), metric(0.2, epoch=2), metric(9)])
        control = with_(CONTROL, metrics=[metric(0.2, epoch=2), metric(0.1, epoch=1)])
        found = self.judged(log, control)
        assert found.status is Status.PASSED
        assert "1 metric not in both" in found.message

    def test_no_number_anywhere(self) -> None:
        log = with_(LOAD, metrics=[metric(None)], digests=[])
        found = self.judged(log, with_(CONTROL, metrics=[metric(None)], digests=[]))
        assert found.status is Status.ERROR

    @pytest.mark.parametrize(
        ("values", "status"),
        [
            ([0.5, 0.25], Status.PASSED),
            ([0.5, 0.25000000001], Status.FAILED),
            ([0.5], Status.FAILED),
            (None, Status.ERROR),
        ],
    )
    def test_predictions(self, values: list[float] | None, status: Status) -> None:
        ours = digest("predictions", "final", "a", values=values)
        theirs = digest("predictions", "final", "b", values=[0.5, 0.25])
        found = self.judged(
            with_(LOAD, digests=[ours], metrics=[]),
            with_(CONTROL, digests=[theirs], metrics=[]),
        )
        assert found.status is status, found.message

    @pytest.mark.parametrize(
        ("value", "status"), [(0.250009, Status.PASSED), (0.25002, Status.FAILED)]
    )
    def test_predictions_up_to_rounding(self, value: float, status: Status) -> None:
        ours = digest("predictions", "final", "a", values=[0.5, value])
        theirs = digest("predictions", "final", "b", values=[0.5, 0.25])
        found = self.judged(
            with_(LOAD, digests=[ours], metrics=[]),
            with_(CONTROL, digests=[theirs], metrics=[]),
            plan=scenario(rounds=True),
        )
        assert found.status is status, found.message

    def test_nothing_to_compare(self) -> None:
        empty = facts()
        assert self.judged(empty, empty).status is Status.ERROR
        assert self.judged(LogFacts(), LogFacts()).status is Status.SKIPPED


_FAILED = {"outcome": Outcome.FAILED, "exit_code": 1}
_NOT_RUN = {"outcome": Outcome.NOT_RUN, "exit_code": None}


class TestCaught:
    @pytest.mark.parametrize(
        ("expects", "status"),
        [
            (CheckId.LMS_EDITED_GRAPH, Status.PASSED),
            (CheckId.STATE_RESTORED, Status.FAILED),
            (CheckId.EDIT_TOOK_EFFECT, Status.ERROR),
            (CheckId.CAUGHT, Status.ERROR),
        ],
    )
    def test_status(self, expects: CheckId, status: Status) -> None:
        plan = scenario(expects=expects, caught_in="load")
        checks = judge(evidence(phase(log=with_(LOAD, edits=[])), plan=plan))
        found = caught(plan, checks)
        assert found.id is CheckId.CAUGHT
        assert found.status is status, found.message

    def test_message(self) -> None:
        plan = scenario(expects=CheckId.EDIT_TOOK_EFFECT, caught_in="load")
        found = caught(plan, judge(evidence(phase(log=with_(LOAD, edits=[])), plan=plan)))
        assert found.message == (
            "not judged: 'edit took effect' has to fail and was error: load: no edit to judge"
        )

    @pytest.mark.parametrize(
        ("save", "load", "status", "words"),
        [
            ({}, _FAILED, Status.PASSED, "caught: 'phases complete' failed in load as it has to"),
            ({}, {}, Status.FAILED, "not caught: 'phases complete' passed and has to fail"),
            # The save broke by itself: nothing was seen of the file that the load was to refuse.
            (
                _FAILED,
                _NOT_RUN,
                Status.ERROR,
                "not judged: 'phases complete' failed in save and has to fail in load",
            ),
            (
                _FAILED,
                _FAILED,
                Status.PASSED,
                "caught: 'phases complete' failed in load as it has to",
            ),
            (
                {},
                {"outcome": Outcome.ENGINE_ERROR, "exit_code": None},
                Status.ERROR,
                "not judged: 'phases complete' has to fail and was error",
            ),
        ],
    )
    def test_only_in_the_phase_that_is_wrong(
        self, save: dict[str, Any], load: dict[str, Any], status: Status, words: str
    ) -> None:
        plan = scenario(expects=CheckId.PHASES_COMPLETE, caught_in="load")
        case = evidence(phase(**load), save=phase("save", SAVE, **save), plan=plan)
        found = caught(plan, judge(case))
        assert (found.status, found.message.startswith(words)) == (status, True), found.message

    def test_what_fails_for_another_judged_phase_is_not_caught(self) -> None:
        phases = (
            {"id": "save", "script": "save.py", "role": "train", "judged": True},
            {"id": "load", "script": "load.py", "role": "train"},
        )
        for caught_in, status in (("save", Status.PASSED), ("load", Status.FAILED)):
            plan = scenario(
                expects=CheckId.LMS_EDITED_GRAPH, caught_in=caught_in, phase=phases, control=False
            )
            checks = judge(evidence(save=phase("save", with_(SAVE, edits=[])), plan=plan))
            assert caught(plan, checks).status is status

    @pytest.mark.parametrize(
        ("broken", "expected"),
        [
            ({"edits": []}, CheckId.LMS_EDITED_GRAPH),
            ({"mutations": [Mutation(form="f", operation="o", harmless=False, line=1, text="t")]},
             CheckId.EDIT_TOOK_EFFECT),
            ({"digests": [digest("weights", "restored", "other")]}, CheckId.STATE_RESTORED),
            ({"traces": [trace(swap_out=0)]}, CheckId.SWAPPING_CONFIRMED),
            ({"metrics": [metric(0.5)]}, CheckId.RESULT_UNCHANGED),
            ({"traces": [trace(swap_out=1)]}, CheckId.SWAPPING_AS_BEFORE),
        ],
    )  # fmt: skip
    def test_every_check_says_for_which_phase_it_failed(
        self, broken: dict[str, Any], expected: CheckId
    ) -> None:
        plan = scenario(expects=expected, caught_in="load")
        checks = judge(evidence(phase(log=with_(LOAD, **broken)), plan=plan))
        (found,) = [entry for entry in checks if entry.id is expected]
        assert (found.status, found.phases["load"]) == (Status.FAILED, Status.FAILED)
        assert caught(plan, checks).status is Status.PASSED
        assert not [entry for entry in checks if entry.status is Status.PASSED and entry.phases]


def test_nothing_of_the_swapping_of_a_variant_is_compared() -> None:
    values = {"model": "dense", "format": "h5"}
    case = evidence(
        plan=scenario(values=values, state_only=True, control=False, restores=("weights",)),
        controls={},
        references={},
    )
    checks = judge(case)
    assert statuses(checks) == "ppppss"
    assert checks[-1].status is Status.SKIPPED
    assert {check.message for check in checks[4:7]} == {
        "the scenario is about what is restored: no step of it is measured"
    }
