"""What Jenkins and the schema need of a report, whatever a phase has printed."""

from __future__ import annotations

import gc
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import junitparser
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from harness.record.checks import CheckId, Status
from harness.record.models import FlavorRecord, Outcome, RunRecord
from harness.report import junit
from harness.report.attachments import ATTACHED_BYTES, TAIL_BYTES, read_tail
from harness.report.totals import CHECKS
from tests import records
from tests.paths import RESOURCES
from tests.records import FAMILY, KERAS22, TF1

XSD = RESOURCES / "junit-10.xsd"
ANYTHING = records.ANYTHING
ATTACHMENT = re.compile(r"\[\[ATTACHMENT\|(.+)\]\]")


@pytest.fixture(scope="session")
def schema() -> Any:
    if not XSD.is_file():
        pytest.skip(f"no schema at {XSD.name}: set JUNIT_XSD to Jenkins' junit-10.xsd")
    return etree.XMLSchema(etree.parse(str(XSD)))


def suite(content: bytes) -> Any:
    """The suite of a document, by a parser that is strict about XML."""
    return etree.fromstring(content).find("testsuite")


def rendered(record: RunRecord, flavor: str = TF1) -> Any:
    return suite(junit.render(record, flavor))


def only(case: Any, **values: Any) -> Any:
    """The test cases of a run with one case."""
    return rendered(records.record([case], **values)).findall("testcase")


def with_check(message: str = "broken", **values: Any) -> Any:
    """The first test case of a run whose only case failed its first check."""
    check = records.check(CheckId.PHASES_COMPLETE, Status.FAILED, message, **values)
    return only(records.case("scenario", checks=[check]))[0]


# --- schema and readers -----------------------------------------------------------------------


@pytest.mark.parametrize("flavor", [TF1, KERAS22])
def test_a_full_report_is_valid_under_junit_10(schema: Any, flavor: str, tmp_path: Path) -> None:
    run = records.run()
    records.logs(run, tmp_path)
    junit.write(run, tmp_path)
    schema.assertValid(etree.parse(str(tmp_path / "junit" / f"{flavor}.xml")))


def test_the_fallback_is_valid_under_junit_10(schema: Any) -> None:
    schema.assertValid(etree.fromstring(junit._fallback(TF1, ValueError("\x1b \udc80"))))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ANYTHING, st.lists(ANYTHING, max_size=4), ANYTHING, st.sampled_from(Status), st.floats())
def test_no_text_makes_a_report_that_cannot_be_read(
    schema: Any, text: str, lines: list[str], other: str, status: Status, seconds: float
) -> None:
    check = records.check(
        CheckId.PHASES_COMPLETE,
        status,
        text.encode("utf-8", "replace").decode() or "-",
        lines=lines,
        numbers={other: text, "n": seconds},
    )
    case = records.case("scenario", checks=[check], reproduce=other, description=text)
    phases = [records.phase(f"{TF1}.save", duration_s=seconds, reason=other, exit_code=-9)]
    run = records.record(
        [case],
        phases=phases,
        started=other,
        command=text,
        host={other: text, "hostname": text},
        notes=lines,
        flavors=[FlavorRecord(id=TF1, provenance={other: text}, description=text)],
    )
    content = junit.render(run, TF1)
    schema.assertValid(etree.fromstring(content))
    junitparser.JUnitXml.fromstring(content)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_no_log_makes_a_report_that_cannot_be_read(schema: Any, log: bytes) -> None:
    run = records.run()
    with tempfile.TemporaryDirectory() as name:
        directory = records.logs(run, Path(name))
        for phase in run.phases:
            (directory / phase.directory / "stderr.log").write_bytes(log)
        for path in junit.write(run, directory):
            document = etree.parse(str(path))
            schema.assertValid(document)
            assert document.find(".//testcase[@name='report rendered']") is None


def test_junitparser_reads_back_what_the_run_found(tmp_path: Path) -> None:
    junit.write(records.run(), tmp_path)
    document = junitparser.JUnitXml.fromfile(str(tmp_path / "junit" / f"{TF1}.xml"))
    (read,) = list(document)
    assert (read.name, read.tests, read.failures, read.errors, read.skipped) == (TF1, 42, 4, 8, 0)
    results = {(c.classname, c.name): [type(r).__name__ for r in c.result] for c in read}
    assert len(results) == 42
    weights = f"{TF1}.keras_saveload.weights-session"
    assert results[weights, "edit took effect"] == ["Failure"]
    assert results[weights, "state restored"] == []
    export = f"{TF1}.keras_saveload.estimator-export"
    assert results[export, "swapping confirmed"] == ["Error"]
    assert results[f"{TF1}.canary.frozen-session", "caught by the harness"] == []
    assert results[f"{TF1}.canary.stale-artifact", "caught by the harness"] == ["Failure"]


# --- names, times, properties -----------------------------------------------------------------


def test_names_are_ids_and_do_not_change() -> None:
    assert [check.label for check in CheckId] == [
        "phases complete",
        "LMS edited the graph",
        "edit took effect",
        "state restored",
        "swapping confirmed",
        "result unchanged",
        "swapping as before the save",
        "resumed equals uninterrupted",
        "caught by the harness",
    ]
    cases = only(records.case("trainsave-loadtrain"))
    assert {case.get("classname") for case in cases} == {
        f"{TF1}.keras_saveload.trainsave-loadtrain"
    }
    assert [case.get("name") for case in cases] == [check.label for check in CHECKS]


def test_a_case_has_the_same_keys_whatever_becomes_of_it() -> None:
    def keys(**values: Any) -> list[tuple[str, str]]:
        flavor = FlavorRecord(id=TF1, **values.pop("flavor", {}))
        cases = only(records.case("scenario", **values), flavors=[flavor])
        return [(case.get("classname"), case.get("name")) for case in cases]

    usual = keys()
    assert keys(checks=[], skip="does not apply") == usual
    assert keys(checks=[]) == usual
    assert keys(checks=[], flavor={"unavailable": "no Python 3.7"}) == usual
    assert keys(checks=[], skip="x", flavor={"unavailable": "pip", "error": True}) == usual


def test_shared_phases_are_counted_once_and_times_add_up() -> None:
    read = rendered(records.record([records.case("one"), records.case("two")]))
    times = [float(case.get("time")) for case in read.findall("testcase")]
    rest = [0.0] * (len(CHECKS) - 1)
    # save 2.3 s is shared; each case has a load and a control of 2.3 s.
    assert times == [6.9, *rest, 4.6, *rest]
    assert read.get("time") == "11.500"


def test_times_are_rounded() -> None:
    phase = records.phase(f"{TF1}.save", duration_s=1.23456789)
    read = rendered(records.record([records.case("one")], phases=[phase]))
    assert read.get("time") == "1.235"
    assert read.find("testcase").get("time") == "1.235"


@pytest.mark.parametrize(
    ("started", "timestamp"),
    [
        ("2025-03-01T10:00:00.123Z", "2025-03-01T10:00:00"),
        ("2025-03-01T12:00:00+02:00", "2025-03-01T10:00:00"),
        ("yesterday", None),
    ],
)
def test_the_timestamp_is_utc_without_a_zone(started: str, timestamp: str | None) -> None:
    read = rendered(records.record([records.case("one")], started=started))
    assert read.get("timestamp") == timestamp


def test_properties_hold_provenance_and_the_facts_of_the_run() -> None:
    gpu = {"index": 0, "uuid": "GPU-1", "name": "NVIDIA H200", "driver_version": "570.1"}
    read = rendered(records.record([records.case("one")], gpu=gpu, accelerator="gpu"))
    found = {p.get("name"): p.get("value") for p in read.iterfind("properties/property")}
    assert found["tensorflow"] == "1.15.5"
    assert found["run.id"] == "20250301-100000-3f2a"
    assert found["lms.swapout_threshold"] == "1"
    assert found["gpu.uuid"] == "GPU-1"
    assert found["host.kernel"] == "6.1.0"
    assert read.find("testcase/properties") is None  # invalid under junit-10


# --- verdicts ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "element"),
    [(Status.FAILED, "failure"), (Status.ERROR, "error"), (Status.SKIPPED, "skipped")],
)
@pytest.mark.parametrize("message", ["because", " \n", "\x1b[31m"])
def test_every_verdict_has_a_message_that_is_not_empty(
    status: Status, element: str, message: str
) -> None:
    check = records.check(CheckId.STATE_RESTORED, status, message)
    (case,) = only(records.case("one", checks=[check]))
    assert [child.tag for child in case] == [element, "system-out"]
    assert case.find(element).get("message") == ("because" if "b" in message else "(no message)")


def test_a_failure_has_message_numbers_and_lines() -> None:
    test = with_check(
        "peak did not fall", numbers={"peak_bytes": 1048576, "x": None}, lines=["load:7: a"]
    )
    text = test.find("failure").text
    assert text == "peak did not fall\nnumbers: peak_bytes=1048576, x=unknown\nload:7: a"


def test_a_message_is_one_line() -> None:
    assert (
        with_check("first\nsecond\r\nthird").find("failure").get("message") == "first second third"
    )


def test_a_case_that_is_skipped_is_skipped_in_every_check() -> None:
    cases = only(records.case("one", checks=[], skip="no tf.train.Checkpoint"))
    assert [case.find("skipped").get("message") for case in cases] == [
        "no tf.train.Checkpoint"
    ] * len(CHECKS)


def test_a_skipped_canary_has_one_test_case() -> None:
    (case,) = only(records.case("one", checks=[], skip="not here", expects=CheckId.STATE_RESTORED))
    assert case.get("name") == "caught by the harness"
    assert case.find("skipped") is not None


def test_a_case_without_verdicts_is_one_error() -> None:
    cases = only(records.case("one", checks=[]))
    assert [case[0].tag for case in cases] == ["error", *["skipped"] * (len(CHECKS) - 1)]


def test_an_unavailable_flavor_is_skipped_and_a_broken_one_is_an_error() -> None:
    case = records.case("one", checks=[], skip="no Python 3.7")
    lacking = FlavorRecord(id=TF1, unavailable="no Python 3.7")
    assert {test[0].tag for test in only(case, flavors=[lacking])} == {"skipped"}
    broken = FlavorRecord(id=TF1, unavailable="pip failed", error=True)
    tests = only(case, flavors=[broken])
    assert tests[0][0].tag == "error"
    assert "pip failed" in tests[0][0].get("message")


@pytest.mark.parametrize(("error", "tag"), [(False, "skipped"), (True, "error")])
def test_a_flavor_without_cases_is_not_lost(error: bool, tag: str) -> None:
    flavor = FlavorRecord(id=TF1, unavailable="no wheel", error=error)
    (test,) = rendered(records.record([], flavors=[flavor])).findall("testcase")
    assert (test.get("classname"), test.get("name"), test[0].tag) == (TF1, "flavor available", tag)


def test_a_run_that_did_not_finish_is_an_error_in_every_suite() -> None:
    tests = only(records.case("one"), state="interrupted")
    assert tests[-1].get("name") == "run finished"
    assert tests[-1].find("error") is not None


def test_a_canary_that_was_not_caught_shows_the_checks_behind_it() -> None:
    read = rendered(records.run())
    (test,) = read.xpath("testcase[@classname='tf1-tfkeras.canary.stale-artifact']")
    assert "behind it: edit took effect: passed" in test.find("system-out").text


# --- traps of junit-xml and of Jenkins --------------------------------------------------------


def test_attributes_that_the_schema_refuses_are_gone() -> None:
    root = etree.fromstring(junit.render(records.run(), TF1))
    names = {
        name
        for element in root.iter("testsuites", "testsuite", "testcase")
        for name in element.attrib
    }
    suites = {"tests", "failures", "errors", "skipped", "timestamp", "hostname"}
    assert names == {"name", "classname", "time", *suites}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07shown", "shown"),
        ("\x9b1mbold", "bold"),
        ("\x1b", "#x1B"),
        ("a\x00b", "a#x00b"),
        ("\udc80", "#xDC80"),
        ("\ufffe\uffff", "#xFFFE#xFFFF"),
        ("1/9\r2/9\r9/9", "9/9"),
        ("a\tb", "a b"),
        ("1/9\r9/9\r", "9/9"),
        ("\x08\x08\x08\r9/9", "9/9"),
        ("windows\r\n", "windows"),
        ("]]>", "]]>"),
        ("<a>&", "<a>&"),
        ("😀", "😀"),
    ],
)
def test_hostile_text_is_shown_and_does_not_break_the_report(text: str, shown: str) -> None:
    test = with_check("broken", lines=[text], numbers={"of": text})
    assert test.findtext("failure") == f"broken\nnumbers: of={shown}\n{shown}"
    assert test.findtext("system-out").startswith(f"{shown}\nphases complete: failed: broken\n")


def test_an_unterminated_terminal_sequence_does_not_swallow_the_log() -> None:
    assert "the end" in with_check("\x1b]0;" + "x" * 600 + " the end").find("failure").get(
        "message"
    )


def test_every_test_case_has_its_own_output() -> None:
    for flavor in (TF1, KERAS22):
        for test in rendered(records.run(), flavor).iterfind("testcase"):
            assert (test.findtext("system-out") or "").strip()


def test_output_has_lines_then_the_verdict_then_the_reproduce_command() -> None:
    text = with_check("it broke", lines=["load:3: a line"]).findtext("system-out")
    positions = [
        text.index(part) for part in ("load:3: a line", "phases complete: failed", "reproduce:")
    ]
    assert positions == sorted(positions)


@given(st.lists(ANYTHING, max_size=30), ANYTHING, ANYTHING)
@settings(max_examples=40, deadline=None)
def test_jenkins_does_not_truncate_a_passing_case(
    lines: list[str], message: str, reproduce: str
) -> None:
    check = records.check(
        CheckId.PHASES_COMPLETE,
        message="x" + message.encode("utf-8", "replace").decode() * 20,
        lines=[line * 10 for line in lines],
    )
    (test,) = only(records.case("one", checks=[check], reproduce=reproduce * 9))
    assert len(test.findtext("system-out").encode("utf-16-le")) // 2 <= 1000


# --- logs and attachments ---------------------------------------------------------------------


def outputs(run: RunRecord, directory: Path, flavor: str = TF1) -> dict[tuple[str, str], str]:
    junit.write(run, directory)
    read = etree.parse(str(directory / "junit" / f"{flavor}.xml"))
    return {
        (test.get("classname").rsplit(".", 1)[1], test.get("name")): test.findtext("system-out")
        for test in read.iterfind(".//testcase")
    }


def test_attachments_exist_and_have_unique_names(tmp_path: Path) -> None:
    run = records.run()
    found = outputs(run, records.logs(run, tmp_path))
    seen = 0
    for text in found.values():
        paths = [Path(path) for path in ATTACHMENT.findall(text)]
        assert all(path.is_absolute() and path.is_file() for path in paths)
        assert len({path.name for path in paths}) == len(paths)
        seen += len(paths)
    assert seen
    failed = ATTACHMENT.findall(found["weights-session", "edit took effect"])
    assert [Path(path).name for path in failed] == [
        "load-stderr.log",
        "load-stdout.log",
        "save-stderr.log",
        "save-stdout.log",
        "load-control-stderr.log",
        "load-control-stdout.log",
    ]
    assert "ATTACHMENT" in found["trainsave-loadtrain", "phases complete"]
    assert "ATTACHMENT" not in found["trainsave-loadtrain", "state restored"]


def test_the_logs_of_a_served_client_are_attached(tmp_path: Path) -> None:
    run = records.run()
    records.logs(run, tmp_path)
    name = f"{TF1}.weights-session.load"
    client = tmp_path / "phases" / name / "client"
    client.mkdir()
    (client / "stderr.log").write_text("HTTP 500\n")
    phases = [
        phase.model_copy(update={"details": {"client": {"pid": 1}}}) if phase.key == name else phase
        for phase in run.phases
    ]
    text = outputs(run.model_copy(update={"phases": phases}), tmp_path)
    attached = ATTACHMENT.findall(text["weights-session", "edit took effect"])
    assert "load-client-stderr.log" in [Path(path).name for path in attached]


def test_attachments_are_the_logs_themselves_and_survive_a_second_report(tmp_path: Path) -> None:
    run = records.logs(records.run(), tmp_path) and records.run()
    for _ in range(2):
        path = ATTACHMENT.findall(outputs(run, tmp_path)["weights-session", "edit took effect"])[0]
    log = tmp_path / "phases" / f"{TF1}.weights-session.load" / "stderr.log"
    assert Path(path).samefile(log)
    log.unlink()
    log.write_text("another log")
    path = ATTACHMENT.findall(outputs(run, tmp_path)["weights-session", "edit took effect"])[0]
    assert Path(path).read_text() == "another log"


def test_nothing_is_attached_through_a_link_in_the_place_of_a_directory(tmp_path: Path) -> None:
    run = records.run()
    run_directory, outside = records.logs(run, tmp_path / "run"), tmp_path / "outside"
    outside.mkdir()
    (run_directory / "attachments").mkdir()
    (run_directory / "attachments" / f"{TF1}.{FAMILY}.weights-session").symlink_to(outside)
    found = outputs(run, run_directory)
    assert "ATTACHMENT" not in found["weights-session", "edit took effect"]
    assert "ATTACHMENT" in found["trainsave-loadtrain", "phases complete"]
    assert not list(outside.iterdir())


def test_a_log_cannot_make_jenkins_attach_a_file(tmp_path: Path) -> None:
    secret = "[[ATTACHMENT|/etc/passwd]]"
    hidden = "[[ATT\x1b[0mACHMENT|/etc/passwd]]"
    run = records.run()
    records.logs(run, tmp_path)
    for phase in run.phases:
        (tmp_path / phase.directory / "stderr.log").write_text(f"{secret}\n{hidden}\n")
    check = records.check(
        CheckId.PHASES_COMPLETE, Status.FAILED, hidden, lines=[secret], numbers={secret: hidden}
    )
    cases = [case.model_copy(update={"checks": [check], "reproduce": secret}) for case in run.cases]
    run = run.model_copy(update={"cases": cases, "notes": [secret]})
    for text in outputs(run, tmp_path).values():
        assert all(path.startswith(str(tmp_path)) for path in ATTACHMENT.findall(text))
        assert "ATTACHMENT|/etc/passwd" in text  # shown, but no marker


@pytest.mark.parametrize("directory", ["../outside", "/etc", "phases/link"])
def test_only_files_below_the_run_directory_are_read(directory: str, tmp_path: Path) -> None:
    outside, run_directory = tmp_path / "outside", tmp_path / "run"
    outside.mkdir()
    (run_directory / "phases").mkdir(parents=True)
    (outside / "stderr.log").write_text("a secret")
    (run_directory / "phases" / "link").symlink_to(outside)
    phase = records.phase(f"{TF1}.one.load", directory=directory, outcome=Outcome.FAILED)
    check = records.check(CheckId.PHASES_COMPLETE, Status.FAILED, "broken")
    run = records.record([records.case("one", checks=[check])], phases=[phase])
    text = outputs(run, run_directory)["one", "phases complete"]
    assert "secret" not in text
    assert "ATTACHMENT" not in text


def test_links_and_pipes_in_place_of_a_log_are_left_alone(tmp_path: Path) -> None:
    run = records.record(
        [records.case("one", checks=[records.check(CheckId.PHASES_COMPLETE, Status.FAILED, "x")])]
    )
    directory = tmp_path / "phases" / f"{TF1}.one.load"
    directory.mkdir(parents=True)
    (directory / "stdout.log").symlink_to("/etc/passwd")
    os.mkfifo(directory / "stderr.log")
    assert "ATTACHMENT" not in outputs(run, tmp_path)["one", "phases complete"]


def test_a_failed_check_shows_the_end_of_the_log_of_the_phase_that_broke(tmp_path: Path) -> None:
    run = records.run()
    records.logs(run, tmp_path)
    log = tmp_path / "phases" / f"{TF1}.checkpoint-restore.load" / "stderr.log"
    log.write_text("".join(f"line {n}\n" for n in range(5000)))
    found = outputs(run, tmp_path)
    text = found["checkpoint-restore", "phases complete"]
    assert "load: failed (exit code 1) after 2.3 s" in text
    assert "line 4999" in text
    assert "line 4899\n" not in text
    assert "line 4999" not in found["checkpoint-restore", "state restored"]  # not twice in a case


def test_a_huge_log_is_neither_read_nor_attached(tmp_path: Path) -> None:
    run = records.run()
    records.logs(run, tmp_path)
    log = tmp_path / "phases" / f"{TF1}.checkpoint-restore.load" / "stderr.log"
    with log.open("wb") as file:  # sparse
        file.truncate(2**34)
        file.seek(0, os.SEEK_END)
        file.write(b"\nthe end\n")
    text = outputs(run, tmp_path)["checkpoint-restore", "phases complete"]
    assert "the end" in text
    assert "load-stderr.log]]" not in text
    assert log.stat().st_size > ATTACHED_BYTES


def test_a_tail_is_bounded_in_bytes_lines_and_characters(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * 3 * TAIL_BYTES)
    (line,) = read_tail(log)
    assert len(line) == 1000
    log.write_bytes(b"start\n" + b"y" * TAIL_BYTES + b"\nend\n")
    assert read_tail(log) == ["end"]
    assert read_tail(tmp_path / "missing") == []
    log.write_bytes(b"\n\n")
    assert read_tail(log) == []


# --- files ------------------------------------------------------------------------------------


def test_there_is_one_file_per_flavor_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "junit").mkdir()
    (tmp_path / "junit" / "stale.xml").write_text("<testsuite/>")
    paths = junit.write(records.run(), tmp_path)
    assert sorted(path.name for path in paths) == [f"{KERAS22}.xml", f"{TF1}.xml"]
    assert sorted((tmp_path / "junit").iterdir()) == sorted(paths)


def test_a_flavor_that_cannot_be_rendered_does_not_lose_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    render = junit.render

    def broken(record: RunRecord, flavor: str, *evidence: Any) -> bytes:
        if flavor == TF1:
            raise RuntimeError("bad \udc80 \x00 record")
        return render(record, flavor, *evidence)

    monkeypatch.setattr(junit, "render", broken)
    first, second = junit.write(records.run(), tmp_path)
    (test,) = suite(first.read_bytes()).findall("testcase")
    assert test.find("error") is not None
    assert "RuntimeError" in test.find("error").get("message")
    assert len(suite(second.read_bytes()).findall("testcase")) == 4 * len(CHECKS)
    assert gc.get_freeze_count() == 0


def test_an_interrupted_write_leaves_the_earlier_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = junit.write(records.green(), tmp_path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        junit.write(records.green(), tmp_path)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("flavor", ["../../evil", "a/b", "", "x" * 300, "\udc80"])
def test_a_hostile_flavor_id_is_no_path(flavor: str, tmp_path: Path) -> None:
    run = records.record([], flavors=[FlavorRecord(id=flavor)])
    (path,) = junit.write(run, tmp_path)
    assert path.parent == tmp_path / "junit"
    assert path.name.endswith(".xml")
    assert suite(path.read_bytes()) is not None


# --- known defects ----------------------------------------------------------------------------


def known_case(message: str = "optimizer differs", **defect: Any) -> Any:
    found = {"message": message, "defect": records.DEFECT.model_copy(update=defect)}
    check = records.check(CheckId.STATE_RESTORED, Status.KNOWN).model_copy(update=found)
    return records.case("scenario", checks=records.checks(state_restored=check))


def test_a_known_defect_is_skipped_with_what_it_means() -> None:
    tests = only(known_case())
    assert [test.get("name") for test in tests] == [check.label for check in CHECKS]
    (known,) = [test for test in tests if test.find("skipped") is not None]
    assert known.get("name") == "state restored"
    assert known.find("skipped").get("message") == (
        "known defect moments-lost: the optimizer starts anew after a load"
        " (https://github.com/keras-team/keras/issues/1)"
    )
    output = known.findtext("system-out")
    assert "state restored: known: optimizer differs" in output
    assert "reproduce: make repro" in output
    (unreported,) = [
        test.find("skipped").get("message")
        for test in only(known_case(upstream=None))
        if test.find("skipped") is not None
    ]
    assert unreported.endswith("a load (unreported)")


def test_a_known_defect_is_counted_as_skipped_in_a_strict_run_too() -> None:
    for strict in (False, True):
        found = rendered(records.record([known_case()], strict=strict))
        counts = {name: found.get(name) for name in ("tests", "failures", "errors", "skipped")}
        assert counts == {"tests": "8", "failures": "0", "errors": "0", "skipped": "1"}


def test_the_output_of_a_known_defect_is_kept_whole_by_jenkins() -> None:
    tests = only(known_case("x" * 5_000 + "[[ATTACHMENT|/etc/passwd]]", means="m" * 300))
    (known,) = [test for test in tests if test.find("skipped") is not None]
    assert len(known.findtext("system-out")) < 1000
    assert not ATTACHMENT.search(known.findtext("system-out"))


def test_the_logs_of_a_known_defect_of_the_first_check_are_attached(tmp_path: Path) -> None:
    known = records.check(CheckId.PHASES_COMPLETE, Status.KNOWN, "load exited with 1")
    run = records.record([records.case("one", checks=records.checks(phases_complete=known))])
    found = outputs(run, records.logs(run, tmp_path))
    assert ATTACHMENT.findall(found["one", "phases complete"])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ANYTHING, ANYTHING, ANYTHING)
def test_no_text_of_a_defect_makes_a_report_that_cannot_be_read(
    schema: Any, message: str, means: str, upstream: str
) -> None:
    run = records.record([known_case(message or "-", means=means, upstream=upstream)])
    schema.assertValid(etree.fromstring(junit.render(run, TF1)))


def test_attempts_and_gpus_are_told_with_the_first_check_and_change_no_name(schema: Any) -> None:
    run = records.tried_again("[[ATTACHMENT|/etc/passwd]] \x1b[31m]]>")
    content = junit.render(run, TF1)
    schema.assertValid(etree.fromstring(content))
    found = suite(content)
    first, second = found.findall("testcase")[:2]
    told = first.findtext("system-out")
    assert "load: attempt 1 does not count: failed after 1.5 s on GPU-1: [ [ATTACHMENT" in told
    assert "save on GPU-2, load on GPU-2, load-control on GPU-2" in told
    assert "attempt 1" not in second.findtext("system-out")
    names = [case.get("name") for case in found.findall("testcase")]
    assert names == [case.get("name") for case in suite(junit.render(records.green(), TF1))[1:]]
    properties = {entry.get("name"): entry.get("value") for entry in found.iter("property")}
    assert properties["run.tried_again"] == "1"
    assert (properties["gpu.0.uuid"], properties["gpu.1.uuid"]) == ("GPU-1", "GPU-2")
