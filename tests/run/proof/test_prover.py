"""The `prove` command on a GPU that the fake NVML library plays, through the real `pynvml`."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.record.checks import Status
from harness.record.models import Outcome
from harness.run.proof import prover
from harness.run.proof.proof import Proof
from tests import fake_nvml, played_gpus
from tests.nvml import fixture
from tests.paths import ROOT
from tests.projects import FAMILY, lay_out
from tests.small_runs import wait_for

nvml_library = fixture.nvml_library
UUID = "GPU-0a0b0c0e-1111-2222-3333-444444444444"
MIB = fake_nvml.MIB

# Plays a training step that holds 90 MiB a batch without swapping and 30 with it, and 50 of the
# batch in host memory; 100 MiB are the context's. With DISOBEY it does not mind the ceiling. With
# managed memory it holds the 90 MiB, wherever they are.
SCRIPT = (
    played_gpus.PLAYS
    + """
swapped = os.environ["LMS_PROVIDER"] != "off"
batch_scale = int(os.environ.get("BATCH_SCALE", "1"))
ceiling = int(os.environ.get("MEMORY_CEILING", "0")) >> 20
managed = os.environ.get("TF_FORCE_UNIFIED_MEMORY") == "1"
peak = (30 if swapped and not managed else 90) * batch_scale

def live(used, sent):
    text = "used %d\\ntx %d\\nrx 0\\n" % (used << 20, sent_before + (sent << 20))
    text += "process %d %d\\n" % (os.getpid(), used << 20)
    write_live(text)

live(100, 0)
sampled(3)  # the header, the baseline
if swapped and "INPUT_DIR" in os.environ and "WAITS" in os.environ:
    open(os.environ["WAITS"], "w").close()
    time.sleep(60)
if ceiling and managed:
    # The rest of the GPU is taken, and pages that do not fit are in host memory.
    live(900, 0)
elif ceiling and peak > ceiling and "DISOBEY" not in os.environ:
    live(100 + ceiling, 0)
    sampled(3)
    sys.exit("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 90 MiB")
if managed and ceiling and "HANGS" in os.environ:
    sys.exit(1)
if swapped:
    mark("lms_edited", provider="builtin", operations=4, swap_out=2, swap_in=2,
         bytes_out=60 * batch_scale << 20, bytes_in=60 * batch_scale << 20, ms=1.0)
live(100 + peak, 60 * batch_scale if swapped else 1)
sampled(8)
mark("trace", function="train", meter="framework", swap_out=2 if swapped else 0,
     swap_in=2 if swapped else 0, bytes_out=0, bytes_in=0, peak_accelerator=peak << 20,
     peak_host=(60 * batch_scale << 20) if swapped else 0, step_ms=20.0 if swapped else 10.0)
mark("environment", versions={"torch": "2.13.0"})
mark("done")
if "INPUT_DIR" in os.environ:
    saved = open(os.path.join(os.environ["INPUT_DIR"], "model")).read()
    assert saved == "weights of batch scale 1", saved
text = "weights of batch scale %d" % batch_scale
open(os.path.join(os.environ["OUTPUT_DIR"], "model"), "w").write(text)
"""
)


def lay_out_proof(
    tmp_path: Path, variables: dict[str, object], **gpu: object
) -> tuple[Path, tuple[str, ...]]:
    """A scenario of the played GPU, and the arguments of the command."""
    live = tmp_path / "live"
    fake_nvml.write_live(live, 100 * MIB)
    flavor = played_gpus.flavor(**{"LIVE_FILE": live, **variables})
    root = lay_out(
        tmp_path / "checkout",
        flavors={"test-flavor": flavor},
        families={"basic": f"activations_mib = 256\n{FAMILY}"},
        scripts={"save.py": SCRIPT, "load.py": SCRIPT, "predict.py": SCRIPT},
    )
    gpus = [fake_nvml.Gpu(UUID, name="Test GPU", **gpu)]  # type: ignore[arg-type]
    scenario = fake_nvml.Scenario(gpus, live=live).write(tmp_path / "scenario")
    case = (f"--root={root}", "prove", "test-flavor", "save-load", "--engine=venv")
    return scenario, (*case, f"--reports={tmp_path / 'reports'}")


def proof_file(tmp_path: Path) -> Path | None:
    return next((tmp_path / "reports").glob(f"*/{prover.FILE}"), None)


def proof_of(tmp_path: Path) -> Proof | None:
    file = proof_file(tmp_path)
    return None if file is None else Proof.model_validate_json(file.read_bytes())


def prove(
    tmp_path: Path,
    library: Path,
    *options: str,
    disobey: bool = False,
    variable: str = "",
    **gpu: object,
) -> tuple[int, str, Proof | None]:
    told = [*(["DISOBEY"] if disobey else []), *([variable] if variable else [])]
    scenario, arguments = lay_out_proof(tmp_path, dict.fromkeys(told, 1), **gpu)
    done = played_gpus.run(library, scenario, *arguments, *options)
    return done.returncode, done.stdout + done.stderr, proof_of(tmp_path)


def test_a_ceiling_between_the_peaks(tmp_path, nvml_library):
    code, output, made = prove(tmp_path, nvml_library, "--gpu=0", "--goal-mib=400")
    assert made is not None, output
    assert code == 0, output
    assert [entry.name for entry in made.measurements] == [
        *("control", "swapped", "control under the ceiling", "swapped under the ceiling"),
    ]
    assert made.state == "finished"
    assert [entry.batch_scale for entry in made.smaller] == [1]
    control, swapped, refused, finished = made.measurements
    # 90 MiB a batch: the fifth reaches the goal.
    assert {entry.batch_scale for entry in made.measurements} == {5}
    assert (control.nvml_peak, swapped.nvml_peak) == (550 * MIB, 250 * MIB)
    assert made.ceiling == 300 * MIB
    assert refused.out_of_memory
    assert refused.outcome is Outcome.FAILED
    assert finished.outcome is Outcome.COMPLETED
    assert all(finding.status is Status.PASSED for finding in made.findings), output
    assert made.versions == {"torch": "2.13.0"}
    assert made.gpu["name"] == "Test GPU"
    assert "ratio 2.00" in output  # the step time
    assert "never above 400.0 MiB" in output
    assert "[1] completed" in output  # how many there will be is not known
    assert "/0]" not in output
    (picture,) = (tmp_path / "reports").glob("*/proof.svg")
    drawn = picture.read_text()
    # The last of each: the control ran out of memory at the ceiling, the swapped stayed below.
    assert "ceiling 400.0 MiB" in drawn
    assert "control: peak 400.0 MiB" in drawn
    assert "swapped: peak 250.0 MiB" in drawn


def test_a_framework_that_does_not_obey_proves_nothing(tmp_path, nvml_library):
    code, output, made = prove(tmp_path, nvml_library, "--gpu=0", "--goal-mib=80", disobey=True)
    assert code == 2, output
    assert made is not None
    assert made.status is Status.ERROR
    assert "did not run out of the GPU's memory" in output


MANAGED = f"--provider={ROOT / 'scenarios' / 'providers' / 'unified_memory.py'}:UnifiedMemory"


def test_managed_memory_finishes_where_the_control_runs_out(tmp_path, nvml_library):
    code, output, made = prove(tmp_path, nvml_library, "--gpu=0", "--goal-mib=400", MANAGED)
    assert made is not None, output
    assert code == 0, output
    assert made.effect == "pages"
    control, managed, refused, finished = made.measurements
    # No peak falls: only what becomes of the two under the ceiling tells.
    assert control.framework_peak == managed.framework_peak == 450 * MIB
    assert made.ceiling == 450 * MIB - 450 * MIB // 4
    assert (refused.out_of_memory, refused.outcome) == (True, Outcome.FAILED)
    assert (finished.out_of_memory, finished.outcome) == (False, Outcome.COMPLETED)
    assert [finding.name for finding in made.findings] == [
        "batch scale",
        "the control fails under the ceiling",
        "the swapped phase finishes under the ceiling",
    ]
    assert made.status is Status.PASSED


def test_managed_memory_that_does_not_finish_is_refuted(tmp_path, nvml_library):
    code, output, made = prove(
        tmp_path, nvml_library, "--gpu=0", "--goal-mib=80", MANAGED, variable="HANGS"
    )
    assert made is not None, output
    assert (code, made.status) == (1, Status.FAILED), output


def test_managed_memory_under_a_ceiling_that_nobody_obeys_proves_nothing(tmp_path, nvml_library):
    code, output, made = prove(
        tmp_path, nvml_library, "--gpu=0", "--goal-mib=80", MANAGED, disobey=True
    )
    assert made is not None, output
    assert (code, made.status) == (2, Status.ERROR), output


def test_a_proof_without_a_gpu_is_a_usage_error(tmp_path, nvml_library):
    code, output, made = prove(tmp_path, nvml_library, "--gpu=none")
    assert (code, made) == (4, None)
    assert "a proof needs a GPU" in output


@pytest.mark.parametrize(("share", "goal"), [("0.01", 0.01), ("0.02", 0.02)])
def test_the_goal_as_a_share_of_the_gpu(tmp_path, nvml_library, share, goal):
    _, output, made = prove(tmp_path, nvml_library, "--gpu=0", f"--share={share}")
    assert made is not None, output
    assert made.goal == round(goal * made.gpu["total_bytes"])


@pytest.mark.parametrize(
    ("number", "code", "state"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 130, "interrupted"),
        (signal.SIGKILL, -9, "running"),  # nobody could say any more that it ended
    ],
)
def test_what_was_measured_before_an_interruption_is_there(
    tmp_path, nvml_library, number, code, state
):
    waits = tmp_path / "waits"
    scenario, arguments = lay_out_proof(tmp_path, {"WAITS": waits})
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "harness", *arguments, "--gpu=0", "--goal-mib=80"],
            cwd=ROOT,
            env={
                **fake_nvml.environment(nvml_library, scenario),
                f"PYTHON_{played_gpus.PYTHON.replace('.', '_')}": sys.executable,
            },
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        wait_for(lambda: waits.exists() or process.poll() is not None)
        process.send_signal(number)
        assert process.wait(60) == code
    output = (tmp_path / "out").read_text()
    made = proof_of(tmp_path)
    assert made is not None, output
    assert made.state == state
    assert made.status is Status.ERROR
    control = made.measurements[0]
    assert (control.name, control.outcome, control.nvml_peak) == (
        "control", Outcome.COMPLETED, 190 * MIB,
    )  # fmt: skip
    if state == "interrupted":
        assert [entry.outcome for entry in made.measurements[1:]] == [Outcome.INTERRUPTED]
        assert f"proof: {proof_file(tmp_path)}" in output
        assert "finished: interrupted: the run was stopped" in output


def test_an_earlier_phase_that_fails_leaves_a_proof_that_says_so(tmp_path, nvml_library):
    scenario, arguments = lay_out_proof(tmp_path, {"LIVE_FILE": tmp_path / "nowhere"})
    done = played_gpus.run(nvml_library, scenario, *arguments, "--gpu=0")
    made = proof_of(tmp_path)
    assert made is not None, done.stdout
    assert (done.returncode, made.state, made.measurements) == (2, "aborted", [])
    assert "save: failed: exit code 1" in made.reason
    assert f"proof: {proof_file(tmp_path)}, aborted after 0 measurements" in done.stdout


def test_a_disk_that_fills_up_leaves_what_was_written_before(tmp_path, nvml_library):
    scenario, arguments = lay_out_proof(tmp_path, {})
    code = """if True:
        import errno
        from harness.base import atomic
        from harness.run.proof import prover
        written, write = [], atomic.write
        def full(path, content, durable=True):
            if path.name == prover.FILE:
                written.append(path)
                if len(written) > 2:  # the begin, and the first control
                    raise OSError(errno.ENOSPC, "No space left on device", str(path))
            return write(path, content, durable)
        prover.atomic.write = full
        from harness.cli.main import main
        main()
    """
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments, "--gpu=0", "--goal-mib=80"],
        cwd=ROOT,
        env={
            **fake_nvml.environment(nvml_library, scenario),
            f"PYTHON_{played_gpus.PYTHON.replace('.', '_')}": sys.executable,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    made = proof_of(tmp_path)
    assert made is not None, done.stderr
    assert (done.returncode, made.state, made.status) == (2, "running", Status.ERROR), done.stderr
    assert [entry.name for entry in made.measurements] == ["control"]
    assert "No space left on device" in done.stderr
    assert f"proof: {proof_file(tmp_path)}, aborted after 2 measurements" in done.stdout


def test_a_bug_is_exit_3_and_its_traceback_is_kept_beside_the_proof(tmp_path, nvml_library):
    scenario = fake_nvml.Scenario([fake_nvml.Gpu(UUID)]).write(tmp_path / "scenario")
    root = lay_out(tmp_path / "checkout")
    code = """if True:
        from harness.engine.venv.engine import VenvEngine
        def broken(*arguments):
            raise RuntimeError("boom")
        VenvEngine.prepare = broken
        from harness.cli.main import main
        main()
    """
    done = subprocess.run(
        [
            *(sys.executable, "-c", code, "--root", str(root), "prove", "test-flavor", "save-load"),
            *("--engine=venv", "--gpu=0", f"--reports={tmp_path / 'reports'}"),
        ],
        cwd=ROOT,
        env=fake_nvml.environment(nvml_library, scenario),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 3, done.stderr
    (line,) = done.stderr.splitlines()
    (kept,) = (tmp_path / "reports").glob("proof-*/crash.txt")
    assert str(kept) in line
    assert "RuntimeError: boom" in kept.read_text()
    made = proof_of(tmp_path)
    assert made is not None
    assert (made.state, made.reason, made.status) == ("crashed", "boom", Status.ERROR)
    assert f"proof: {proof_file(tmp_path)}, crashed after 0 measurements" in done.stdout
