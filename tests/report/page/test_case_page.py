"""A case's page: its checks, what they rest on, and the chain of its phases."""

from __future__ import annotations

from harness.history.series import Point
from harness.record.checks import CheckId, Status
from harness.record.models import PhaseUse
from harness.report.attachments import RunFiles
from harness.report.page import case_page, pages
from harness.report.totals import judge
from tests import records
from tests.report.page import examples


def gather(record, case, directory):
    phases = {phase.key: phase for phase in record.phases}
    return case_page.gather(judge(case, None, record.state), phases, RunFiles(directory), [])


def failed_case(tmp_path):
    record = examples.run()
    examples.write_logs(record, tmp_path)
    return gather(record, record.cases[2], tmp_path)


def test_what_failed_comes_first_and_is_open(tmp_path):
    page = failed_case(tmp_path)
    assert (page.status, page.word) == ("failed", "failed")
    assert [(check.glyph, check.open) for check in page.checks[:3]] == [
        ("3", True),
        ("5", True),
        ("1", False),
    ]
    assert len(page.checks) == 8


def test_numbers_in_words_and_as_they_are(tmp_path):
    swapping = failed_case(tmp_path).checks[1]
    assert swapping.numbers == [
        ("peak_bytes", "82.7 MiB", "86,717,235 B"),
        ("control_peak_bytes", "82.7 MiB", "86,717,235 B"),
        ("swap_out", "0", ""),
    ]


def test_the_log_lines_once_each_and_the_end_of_the_log(tmp_path):
    page = failed_case(tmp_path)
    assert page.checks[0].lines == [f"load:40: {records.MUTATION}"]
    assert page.tail is not None
    assert page.tail.href == "../phases/tf1-tfkeras.weights-session.load/stderr.log"
    assert page.tail.lines[-1].endswith(records.MUTATION)


def test_the_chain_of_phases(tmp_path):
    page = failed_case(tmp_path)
    assert [stage.name for stage in page.stages] == ["save", "load"]
    load = page.stages[1]
    assert [one.name for one in load.executions] == ["", "control"]
    assert load.executions[0].ending == "completed (exit code 0) after 2.3 s"
    assert [name for name, _ in load.executions[0].files] == [
        "stderr.log",
        "stdout.log",
        "samples.csv",
        "details.json",
    ]


def test_references_and_straight_trainings_are_beside_their_phase(tmp_path):
    keys = {"key": "l", "control": "c", "reference": "r", "straights": ["s", "t"]}
    use = PhaseUse(name="load", reference_declared=True, **keys)
    case = records.case("one", phases=[use])
    phases = [records.phase(key) for key in "lcrst"]
    page = gather(records.record([case], phases=phases), case, tmp_path)
    names = [one.name for one in page.stages[0].executions]
    assert names == ["", "control", "reference", "straight", "straight again"]


def test_a_phase_that_is_not_in_the_record(tmp_path):
    record = records.record([records.case("one")], phases=[])
    page = gather(record, record.cases[0], tmp_path)
    assert [stage.executions for stage in page.stages] == [[], []]


def test_a_phase_that_broke_is_marked(tmp_path):
    record = examples.run()
    page = gather(record, record.cases[3], tmp_path)
    assert not page.stages[1].executions[0].good
    assert page.tail is None  # no log is at hand


def test_a_canary_shows_what_is_behind_it(tmp_path):
    record = examples.run()
    page = gather(record, record.cases[5], tmp_path)
    assert page.expects == "edit took effect"
    assert [check.label for check in page.checks] == ["caught by the harness"]
    assert page.behind[0].status == "failed"


def test_a_case_over_the_last_runs(tmp_path):
    record = examples.run()
    phases = {phase.key: phase for phase in record.phases}
    judged = judge(record.cases[0], None, "finished")
    points = [
        Point(run=f"r{n}", started="2025", status=status, numbers={"load.peak_bytes": n * 2**20})
        for n, status in enumerate((Status.PASSED, Status.FAILED), 1)
    ]
    page = case_page.gather(judged, phases, RunFiles(tmp_path), [], points)
    assert page.past is not None
    assert page.past.runs == [("passed", "r1: passed"), ("failed", "r2: failed")]
    assert page.past.numbers == [("load.peak_bytes", "▁█", "1.0 MiB to 2.0 MiB", "2.0 MiB")]
    assert case_page.gather(judged, phases, RunFiles(tmp_path), [], points[:1]).past is None


def test_numbers_that_are_none_or_text_or_endless(tmp_path):
    check = records.check(
        CheckId.STATE_RESTORED,
        Status.FAILED,
        "x",
        numbers={"a": None, "b": "x" * 9000, "c": float("nan"), "d": 0.25, "bytes": 10**30},
    )
    case = records.case("one", checks=[check])
    page = gather(records.record([case]), case, tmp_path)
    values = {name: value for name, value, _ in page.checks[0].numbers}
    assert values["a"] == "unknown"
    assert len(values["b"]) == 300
    assert (values["c"], values["d"]) == ("nan", "0.25")


def test_provenance_is_of_the_flavor_and_of_the_run():
    record = records.run()
    facts = dict(case_page.facts_of(record, records.TF1))
    assert facts["tensorflow"] == "1.15.5"
    assert facts["engine"] == "venv"
    assert facts["host hostname"] == "builder-7"
    assert facts["LMS parameters"] == "swapout_threshold=1, swapin_groupby=0, sync_mode=3"
    assert "tensorflow" not in dict(case_page.facts_of(record, "another"))


def test_an_attempt_that_does_not_count_stands_in_the_chain_with_its_logs(tmp_path):
    record = records.tried_again("<b>lost</b>")
    records.logs(record, tmp_path)
    left = tmp_path / "phases/tf1-tfkeras.trainsave-loadtrain.load/attempts/1"
    left.mkdir(parents=True)
    (left / "stderr.log").write_text("it was away")
    page = gather(record, record.cases[0], tmp_path)
    load = page.stages[1].executions[0]
    assert (load.good, load.gpu) == (True, "GPU-2")
    assert load.ending == "completed (exit code 0) after 2.3 s, attempt 2"
    ((words, files),) = load.attempts
    assert words == "attempt 1 does not count: failed after 1.5 s on GPU-1: <b>lost</b>"
    assert files == [
        ("stderr.log", "../phases/tf1-tfkeras.trainsave-loadtrain.load/attempts/1/stderr.log")
    ]
    pages.write(record, tmp_path)
    html = next((tmp_path / "cases").glob("*trainsave-loadtrain.html")).read_text()
    assert "&lt;b&gt;lost&lt;/b&gt;" in html
    assert "<b>lost" not in html
    assert "Tried again" in (tmp_path / "index.html").read_text()
