"""Several GPUs of a host, as the fake NVML library plays them, and the whole command on them."""

from __future__ import annotations

import json
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from harness.record import store
from harness.record.models import Outcome, PhaseRecord, RunRecord
from tests import fake_nvml, played_gpus
from tests.fake_nvml import Gpu, Scenario
from tests.nvml import fixture
from tests.projects import lay_out

# Leases on GPUs are the machine's: what another worker runs on the same ones would be waited for.
pytestmark = pytest.mark.xdist_group("played GPUs")

nvml_library = fixture.nvml_library
A, B, C = (f"GPU-{letter * 8}-1414-2222-3333-444444444444" for letter in "abc")

# Says on which GPU it runs, and whether somebody holds that GPU's lease. What loads waits until the
# other GPU has a phase as well, so that two run at once however slow the machine is.
SCRIPT = """
    import fcntl, json, os, sys, time
    gpu = os.environ["CUDA_VISIBLE_DEVICES"]
    place = os.environ["MEETING"]
    load = "INPUT_DIR" in os.environ
    lease = os.open("/tmp/lms-harness-%s.lock" % gpu, os.O_RDONLY)
    try:
        fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = False
    except BlockingIOError:
        held = True
    os.close(lease)
    running = os.path.join(place, "running-" + gpu)
    os.close(os.open(running, os.O_CREAT | os.O_EXCL | os.O_WRONLY))  # two at a time would fail
    open(os.path.join(place, "seen-%d-%s" % (load, gpu)), "w").close()
    late = time.monotonic() + 100
    wanted = int(os.environ.get("WAIT_FOR", "0"))
    while load and time.monotonic() < late:
        if sum(name.startswith("seen-1") for name in os.listdir(place)) >= wanted:
            break
        time.sleep(0.02)
    print(":::LMS " + json.dumps({"event": "note", "text": "held" if held else "nobody's"}))
    if os.environ.get("LOSE") == gpu and os.environ["LMS_PROVIDER"] == "off":
        with open(os.path.join(place, "live"), "a") as live:
            live.write("lost 15\\n")
        os.remove(running)
        sys.exit("CUDA error: unknown error")
    open(os.path.join(os.environ["OUTPUT_DIR"], "model"), "w").close()
    os.remove(running)
    raised = os.path.join(place, "raised")
    if "RAISES" in os.environ and load and not os.path.exists(raised):
        open(raised, "w").close()
        kind = {"RuntimeError": RuntimeError, "AssertionError": AssertionError}
        raise kind[os.environ["RAISES"]]("CUDA error: uncorrectable ECC error encountered")
    print(":::LMS " + json.dumps({"event": "done"}))
"""


def play(
    tmp_path: Path, library: Path, *options: str, gpus: list[Gpu], **variables: object
) -> tuple[int, str, RunRecord | None, Path]:
    """Runs the small checkout on GPUs; exit code, output, record and run directory."""
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    fake_nvml.write_live(meeting / "live", 0)
    root = lay_out(
        tmp_path / "checkout",
        flavors={"test-flavor": played_gpus.flavor(MEETING=meeting, **variables)},
        scripts={"save.py": SCRIPT, "load.py": SCRIPT, "predict.py": SCRIPT},
    )
    scenario = Scenario(gpus, live=meeting / "live").write(tmp_path / "scenario")
    where = (f"--root={root}", "run", "--engine=venv", f"--reports={tmp_path / 'reports'}")
    done = played_gpus.run(library, scenario, *where, *options, timeout=400)
    directory = (tmp_path / "reports" / "latest").resolve()
    record = store.load(directory) if directory.is_dir() else None
    return done.returncode, done.stdout + done.stderr, record, directory


def times(phase: PhaseRecord) -> tuple[float, float]:
    assert phase.started is not None
    assert phase.duration_s is not None
    began = datetime.fromisoformat(phase.started.replace("Z", "+00:00")).timestamp()
    return began, began + phase.duration_s


def of_gpu(record: RunRecord, uuid: str) -> list[PhaseRecord]:
    """The phases that ran on a GPU, in the order of their times."""
    return sorted((phase for phase in record.phases if phase.gpu == uuid), key=times)


def test_both_gpus_are_used_at_once_and_never_two_phases_on_one(tmp_path, nvml_library) -> None:
    gpus = [Gpu(A, name="Test GPU"), Gpu(B, name="Test GPU")]
    _, output, record, directory = play(tmp_path, nvml_library, "--gpu=0,1", gpus=gpus, WAIT_FOR=2)
    assert record is not None, output
    assert {phase.outcome for phase in record.phases} == {Outcome.COMPLETED}, output
    assert [gpu["uuid"] for gpu in record.gpus] == [A, B]
    assert record.gpu == record.gpus[0]
    used = {uuid: of_gpu(record, uuid) for uuid in (A, B)}
    assert all(used.values()), "both"
    assert sum(map(len, used.values())) == len(record.phases) == 5
    for phases in used.values():
        for one, other in pairwise(phases):
            # The record rounds to a thousandth of a second.
            assert times(one)[1] <= times(other)[0] + 0.002, (one.key, other.key)
    spans = {uuid: [times(phase) for phase in phases] for uuid, phases in used.items()}
    assert any(
        begin < other_end and other_begin < end
        for begin, end in spans[A]
        for other_begin, other_end in spans[B]
    ), "two at once"
    assert {tuple(phase.facts.notes) for phase in record.phases} == {("held",)}
    for phase in record.phases:
        samples = (directory / phase.directory / "samples.csv").read_text()
        assert len(samples.splitlines()) > 1
    assert "on 2 GPUs (2 x Test GPU)" in output
    pages = "".join(path.read_text() for path in (directory / "cases").glob("*.html"))
    assert A in pages
    assert B in pages


def test_all_is_every_one_of_them_and_one_that_is_lost_leaves_the_run(
    tmp_path, nvml_library
) -> None:
    gpus = [Gpu(A), Gpu(B)]
    _, output, record, directory = play(
        tmp_path, nvml_library, "--gpu=all", gpus=gpus, LOSE=A, WAIT_FOR=2
    )
    assert record is not None, output
    assert {phase.outcome for phase in record.phases} == {Outcome.COMPLETED}, output
    (again,) = [phase for phase in record.phases if phase.attempts]
    (attempt,) = again.attempts
    assert (attempt.gpu, attempt.outcome) == (A, Outcome.FAILED)
    assert "is lost (it fell off the bus)" in attempt.reason
    assert again.gpu == B
    assert [note for note in record.notes if "the run goes on with 1 other GPU" in note]
    left = (directory / attempt.directory / "stderr.log").read_text()
    assert "CUDA error: unknown error" in left
    lost_at = datetime.fromisoformat(str(attempt.started).replace("Z", "+00:00")).timestamp()
    assert all(times(phase)[0] < lost_at for phase in of_gpu(record, A))


@pytest.mark.parametrize(("raises", "again"), [("RuntimeError", True), ("AssertionError", False)])
def test_what_cuda_says_is_tried_again_and_what_a_product_says_is_not(
    tmp_path, nvml_library, raises, again
) -> None:
    _, output, record, _ = play(tmp_path, nvml_library, "--gpu=0", gpus=[Gpu(A)], RAISES=raises)
    assert record is not None, output
    attempts = [attempt for phase in record.phases for attempt in phase.attempts]
    failed = [phase for phase in record.phases if phase.outcome is Outcome.FAILED]
    assert (len(attempts), len(failed)) == ((1, 0) if again else (0, 1)), output
    if again:
        assert attempts[0].outcome is Outcome.FAILED
        assert attempts[0].reason == "the GPU's memory is damaged: exit code 1"


def test_with_the_last_one_lost_the_run_ends(tmp_path, nvml_library) -> None:
    code, output, record, _ = play(tmp_path, nvml_library, "--gpu=0", gpus=[Gpu(A), Gpu(B)], LOSE=A)
    assert record is not None, output
    assert code in (1, 2), output
    assert not [phase for phase in record.phases if phase.attempts]
    assert "stopping: " in output
    assert Outcome.NOT_RUN in {phase.outcome for phase in record.phases}
    assert {phase.gpu for phase in record.phases} <= {A, None}
    assert record.gpus == []


def test_what_a_case_compares_stays_on_one_kind_of_gpu(tmp_path, nvml_library) -> None:
    gpus = [Gpu(A, name="Large"), Gpu(B, name="Small", total=4 << 30)]
    _, output, record, _ = play(tmp_path, nvml_library, "--gpu=0,1", gpus=gpus)
    assert record is not None, output
    assert {phase.outcome for phase in record.phases} == {Outcome.COMPLETED}, output
    assert len({phase.gpu for phase in record.phases}) == 1, "both cases share their save"
    assert "of two kinds" not in output


def test_where_the_last_of_a_kind_is_lost_a_note_says_what_peaks_are_worth(
    tmp_path, nvml_library
) -> None:
    gpus = [Gpu(A, name="Large"), Gpu(B, name="Small", total=4 << 30)]
    _, output, record, _ = play(tmp_path, nvml_library, "--gpu=0,1", gpus=gpus, LOSE=A)
    assert record is not None, output
    assert {phase.outcome for phase in record.phases} == {Outcome.COMPLETED}, output
    mixed = {
        phase.control_of
        for phase in record.phases
        for own in record.phases
        if own.key == phase.control_of and own.gpu != phase.gpu
    }
    assert mixed
    for key in mixed:
        note = f"{key} and its control ran on GPUs of two kinds"
        assert any(entry.startswith(note) for entry in record.notes)


@pytest.mark.parametrize(
    ("selector", "gpus", "words"),
    [
        ("0,2", [Gpu(A), Gpu(B)], "there is no GPU '2'"),
        ("0,0", [Gpu(A), Gpu(B)], f"'0' and '0' are the same GPU, {A}"),
        (f"1,{B}", [Gpu(A), Gpu(B)], f"'1' and '{B}' are the same GPU"),
        ("0,", [Gpu(A)], "'' cannot stand in a list of GPUs"),
        ("0,all", [Gpu(A)], "'all' cannot stand in a list of GPUs"),
        ("0,none", [Gpu(A)], "'none' cannot stand in a list of GPUs"),
        ("all", [], "NVML sees no GPU"),
        ("all", [Gpu(A), Gpu(B, unusable=15)], "is lost"),
        (
            "0,1",
            [Gpu(A), Gpu(B, mig=True, slices=[Gpu("MIG-cccc3333-0000-0000-0000-000000000000")])],
            "is split by MIG and cannot be used as a whole",
        ),
        (
            "all",
            [Gpu(A), Gpu(B, mig=True, slices=[Gpu("MIG-cccc3333-0000-0000-0000-000000000000")])],
            "is split by MIG and cannot be used as a whole",
        ),
    ],
)
def test_gpus_that_cannot_be_had_are_exit_4_and_one_line(
    tmp_path, nvml_library, selector, gpus, words
) -> None:
    code, output, record, _ = play(tmp_path, nvml_library, f"--gpu={selector}", gpus=gpus)
    assert code == 4
    (line,) = output.splitlines()
    assert words in line
    assert "GPU=none" in line
    assert record is None


def test_all_of_no_driver_is_exit_4(tmp_path, nvml_library) -> None:
    scenario = Scenario(init=12).write(tmp_path / "scenario")
    done = played_gpus.run(
        nvml_library, scenario, "run", "--gpu=all", f"--reports={tmp_path / 'r'}"
    )
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert "no NVIDIA driver" in line


def test_a_proof_takes_one_gpu(tmp_path, nvml_library) -> None:
    scenario = Scenario([Gpu(A), Gpu(B)]).write(tmp_path / "scenario")
    case = ("prove", "tf1-tfkeras", "trainsave-loadtrain")
    where = ("--gpu=0,1", "--engine=venv", f"--reports={tmp_path / 'r'}")
    done = played_gpus.run(nvml_library, scenario, *case, *where)
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert line == "harness: prove takes one GPU, and GPU=0,1 names 2"


CHOICE = """
import json, sys
from harness.base.error import UsageError
from harness.run.gpu_choice import choose_gpus
try:
    print(json.dumps([gpu.uuid for gpu in choose_gpus(sys.argv[1], json.loads(sys.argv[2])).gpus]))
except UsageError as problem:
    print(json.dumps(str(problem)))
"""


@pytest.mark.parametrize(
    ("selector", "variables", "found"),
    [
        ("auto", {}, [A]),
        ("all", {}, [A, B, C]),
        ("2,0", {}, [C, A]),
        (f"{B},{A}", {"CUDA_VISIBLE_DEVICES": "0"}, [B, A]),
        ("all", {"CUDA_VISIBLE_DEVICES": f"{C},{A}"}, [C, A]),
        ("all", {"SLURM_JOB_GPUS": "1,2"}, [B, C]),
    ],
)
def test_which_gpus_a_selector_names(tmp_path, nvml_library, selector, variables, found) -> None:
    scenario = Scenario([Gpu(A), Gpu(B), Gpu(C)]).write(tmp_path / "scenario")
    said = fake_nvml.run(CHOICE, nvml_library, scenario, selector, json.dumps(variables))
    assert said == found


def test_all_of_what_is_hidden_is_none(tmp_path, nvml_library) -> None:
    scenario = Scenario([Gpu(A)]).write(tmp_path / "scenario")
    hidden = json.dumps({"CUDA_VISIBLE_DEVICES": ""})
    said = fake_nvml.run(CHOICE, nvml_library, scenario, "all", hidden)
    assert "CUDA_VISIBLE_DEVICES= hides every GPU" in said
