"""The whole command on a GPU that the fake NVML library plays, through the real `pynvml`."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from harness.measure.samples import Samples
from harness.record.checks import Status
from harness.record.models import Outcome, RunRecord
from harness.report.timeline.timelines import timelines
from tests import fake_nvml, played_gpus
from tests.nvml import fixture
from tests.paths import ROOT
from tests.projects import FAMILY, lay_out

nvml_library = fixture.nvml_library
UUID = "GPU-0a0b0c0d-1111-2222-3333-444444444444"
SLICE = "MIG-cccc3333-0000-0000-0000-000000000000"
MIB = fake_nvml.MIB

# Plays two training steps: the control holds HELD (900) MiB, a swapped phase PEAK (300), and sends
# SENT (600). Its trace says that a step moves 300 MiB.
SCRIPT = """
    import json, os, sys, time

    swapped = os.environ["LMS_PROVIDER"] != "off"
    stage = "restored" if "INPUT_DIR" in os.environ else "saved"
    lose = "LOSE_GPU" in os.environ and swapped and stage == "restored"
    peak, sent = (int(os.environ.get(name, n)) for name, n in (("PEAK", 300), ("SENT", 600)))
    held = int(os.environ.get("HELD", 900))
    path = os.environ["LIVE_FILE"]
    sent_before = int(open(path).read().split()[3])

    def live(used, sent):
        total = sent_before + (sent << 20)
        text = "used %d\\ntx %d\\nrx %d\\n" % (used << 20, total, total)
        if used > 100:
            text += "process %d %d\\n" % (os.getpid(), used << 20)
        if lose and sent:
            text += "lost 15\\n"
        with open(path + ".tmp", "w") as file:
            file.write(text)
        os.replace(path + ".tmp", path)

    def mark(event, **fields):
        line = json.dumps(dict(event=event, t=time.monotonic(), **fields))
        print(":::LMS " + line, flush=True)

    if swapped:
        mark("lms_edited", provider="builtin", operations=4, swap_out=2, swap_in=2,
             bytes_out=300 << 20, bytes_in=300 << 20, ms=1.0)
    if "BATCH_SCALE" in os.environ:
        mark("note", text="batch scale " + os.environ["BATCH_SCALE"])
    mark("digest", of="weights", stage=stage, sha256="a" * 64)
    live(100, 0)
    time.sleep(0.3)
    began = time.monotonic()
    live(peak if swapped else held, sent if swapped else 10)
    time.sleep(1.2)
    mark("series", function="train", unit="microseconds", began=began, end=1200000,
         swap_out=[100000] if swapped else [], swap_in=[900000] if swapped else [])
    mark("metric", name="loss", value=0.5, epoch=1, split="train")
    live(100, sent if swapped else 10)
    time.sleep(0.3)
    count = 2 if swapped else 0
    mark("trace", function="train", batch=8, meter=os.environ.get("METER", "allocations"), steps=2,
         swap_out=count, swap_in=count, bytes_out=count * 150 << 20, bytes_in=count * 150 << 20,
         peak_accelerator=(held - 600 if swapped else held - 50) << 20)
    mark("done")
    open(os.path.join(os.environ["OUTPUT_DIR"], "model"), "w").write("weights")
"""


def play(
    tmp_path: Path,
    library: Path,
    *options: str,
    lose: bool = False,
    held: int = 0,
    variables: dict[str, object] | None = None,
    family: str = FAMILY,
    named: str = "",
    scenarios: str = "save-load",
    **gpu: object,
) -> tuple[int, str, RunRecord, Path]:
    live = tmp_path / "live"
    fake_nvml.write_live(live, 100 * MIB + held, process={4242: held} if held else None)
    lost = {"LOSE_GPU": 1} if lose else {}
    flavor = named + played_gpus.flavor(LIVE_FILE=live, **lost, **(variables or {}))
    root = lay_out(
        tmp_path / "checkout",
        flavors={"test-flavor": flavor},
        families={"basic": f"activations_mib = 64\n{family}"},
        scripts={"save.py": SCRIPT, "load.py": SCRIPT, "predict.py": SCRIPT},
    )
    scenario = fake_nvml.Scenario(
        [fake_nvml.Gpu(UUID, name="Test GPU", **gpu)],
        live=live,  # type: ignore[arg-type]
    ).write(tmp_path / "scenario")
    where = (f"--root={root}", "run", "--gpu=0", "--engine=venv")
    what = (f"--scenarios={scenarios}", f"--reports={tmp_path / 'reports'}")
    done = played_gpus.run(library, scenario, *where, *what, *options)
    directory = (tmp_path / "reports" / "latest").resolve()
    record = RunRecord.model_validate_json((directory / "record.json").read_bytes())
    return done.returncode, done.stdout + done.stderr, record, directory


def load_of(record: RunRecord):
    return next(phase for phase in record.phases if phase.key.endswith(".load"))


def curve(directory: Path, record: RunRecord) -> list[int | None]:
    path = directory / load_of(record).directory / "samples.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [int(row["gpu_used"]) if row["gpu_used"] else None for row in rows]


def swapping(record: RunRecord):
    (case,) = record.cases
    return next(check for check in case.checks if check.id.value == "swapping_confirmed")


def test_the_record_has_the_curve_that_was_played(tmp_path, nvml_library):
    code, output, record, directory = play(tmp_path, nvml_library)
    assert code == 0, output
    assert record.gpu is not None
    assert (record.gpu["uuid"], record.gpu["name"]) == (UUID, "Test GPU")
    assert record.accelerator == "gpu"
    steps = list(dict.fromkeys(curve(directory, record)))
    assert steps == [100 * MIB, 300 * MIB]
    samples = load_of(record).samples
    assert samples is not None
    assert set(samples) == set(Samples.__dataclass_fields__)
    assert samples["gpu_used_peak"] == 300 * MIB
    assert samples["process_peak"] == 300 * MIB
    assert samples["memory_version"] == 2
    assert samples["pcie_source"] == "counters"
    assert samples["pcie_tx_bytes"] == 600 * MIB
    assert samples["error"] is None
    verdict = swapping(record)
    assert verdict.status is Status.PASSED
    assert "300.0 MiB" in verdict.message
    assert "900.0 MiB" in verdict.message
    assert "PCIe 600.0 MiB sent, 600.0 MiB received, control 10.0 MiB sent" in verdict.message
    assert "largest gap 0." in verdict.message
    assert "300.0 MiB out a step and 2 steps: 0.98 of that beyond the control" in verdict.message
    assert verdict.numbers["reported_bytes_in"] == 300 * MIB
    assert verdict.numbers["pcie_rx_bytes"] == 600 * MIB
    assert isinstance(verdict.numbers["host_peak_bytes"], int)
    assert isinstance(verdict.numbers["samples"], int)
    assert {tuple(phase.facts.notes) for phase in record.phases} == {("batch scale 16",)}
    assert "ACTIVATIONS_MIB" not in record.cases[0].reproduce


def test_flags_of_the_host_are_in_what_results_follow_from(tmp_path, nvml_library, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_deterministic_ops=true")
    monkeypatch.setenv("CUDA_HOME", "/opt/cuda")
    named = 'host_variables = ["CUDA_HOME", "XLA_FLAGS"]\n'
    code, output, record, _ = play(tmp_path, nvml_library, named=named)
    assert code == 0, output
    assert record.basis["XLA_FLAGS of the host"] == "--xla_gpu_deterministic_ops=true"
    provenance = record.flavors[0].provenance
    assert provenance["XLA_FLAGS of the host"] == "--xla_gpu_deterministic_ops=true"
    # Where CUDA is says nothing of what another machine computes: shards may have it elsewhere.
    assert provenance["CUDA_HOME of the host"] == "/opt/cuda"
    assert "/opt/cuda" not in record.basis.values()


def test_the_timeline_has_the_curve_that_was_played(tmp_path, nvml_library):
    code, output, record, directory = play(tmp_path, nvml_library)
    assert code == 0, output
    (timeline,) = timelines(record, record.cases[0], directory)
    assert timeline.phase == "load"
    assert "0 is the begin of the traced step" in timeline.meter
    peaks = {peak.series: peak for peak in timeline.peaks}
    assert peaks["swapped"].value == 300 * MIB
    assert peaks["control"].value == 900 * MIB
    # Both were reached as the step began, whatever each phase had done before.
    assert 0 <= peaks["swapped"].t < 1.2
    assert 0 <= peaks["control"].t < 1.2
    assert peaks["swapped, host"].value > 0
    series = {series.name: series for series in timeline.series}
    bus = series["swapped, PCIe to host"]
    moved = [
        rate * (later - earlier)
        for rate, earlier, later in zip(bus.value, bus.t, bus.t[1:], strict=False)
    ]
    assert sum(moved) == pytest.approx(600 * MIB)
    marks = {mark.kind: mark.t for mark in timeline.marks if mark.series == "swapped"}
    assert marks["load"] < marks["step_begin"] == 0
    assert marks["edit"] < 0
    found = {kind: round(at, 6) for kind, at in marks.items() if kind not in ("load", "edit")}
    assert found == {"step_begin": 0, "swap_out": 0.1, "swap_in": 0.9, "step_end": 1.2}
    (picture,) = (directory / "timelines").iterdir()
    assert "300.0 MiB" in picture.read_text()
    assert f"(timelines/{picture.name})" in (directory / "summary.md").read_text()


def test_memory_version_1_only(tmp_path, nvml_library):
    code, output, record, directory = play(
        tmp_path, nvml_library, "--activations-mib=0", memory=1, reserved=50 * MIB
    )
    assert code == 0, output
    assert not [note for phase in record.phases for note in phase.facts.notes]
    assert "ACTIVATIONS_MIB=0" in record.cases[0].reproduce
    samples = load_of(record).samples
    assert samples is not None
    assert samples["memory_version"] == 1
    assert max(size for size in curve(directory, record) if size) == 350 * MIB


def test_no_pcie_counters_at_all_leaves_them_unknown(tmp_path, nvml_library):
    code, output, record, _ = play(tmp_path, nvml_library, counters=0)
    assert code == 0, output  # the trace's bytes were executed
    samples = load_of(record).samples
    assert samples is not None
    assert samples["pcie_tx_bytes"] is None
    assert samples["pcie_source"] is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("played", "code", "words"),
    [
        ({"PEAK": 980}, 1, "refuted: load: the peak rose: "),
        ({"SENT": 10}, 1, "refuted: load: fewer bytes went over the bus than swapping moves: "),
        ({"SENT": 3000}, 1, "refuted: load: more bytes went over the bus than swapping moves: "),
        ({"PEAK": 890}, 2, "inconclusive: load: the model is too small for its peak to show: "),
        ({"PEAK": 1890, "HELD": 1900}, 2, "inconclusive: load: the peak fell in the step that was"),
        ({"METER": "compiled program"}, 0, "confirmed: load: bytes moved and the peak fell: "),
    ],
)
def test_bytes_and_peak_both_have_to_tell(tmp_path, nvml_library, played, code, words):
    found, output, record, _ = play(tmp_path, nvml_library, variables=played)
    assert swapping(record).message.startswith(words), swapping(record).message
    assert found == code, output


@pytest.mark.slow
def test_a_program_whose_bytes_nothing_counts_confirms_nothing(tmp_path, nvml_library):
    compiled = {"METER": "compiled program"}
    code, output, record, _ = play(tmp_path, nvml_library, counters=0, variables=compiled)
    assert swapping(record).message.startswith("inconclusive: load: what went over the bus tells")
    assert code == 2, output


def test_a_gpu_lost_half_way_stops_the_run_with_an_error(tmp_path, nvml_library):
    code, output, record, _ = play(tmp_path, nvml_library, lose=True)
    assert code == 2, output
    broken = [phase for phase in record.phases if phase.samples and phase.samples.get("error")]
    assert len(broken) == 1
    assert "lost" in broken[0].samples["error"]  # type: ignore[index]
    assert any(phase.outcome is Outcome.NOT_RUN for phase in record.phases)
    assert swapping(record).status is Status.ERROR
    assert "lost" in output


def test_a_gpu_that_is_never_clear_stops_the_run_and_names_who_holds_it(tmp_path, nvml_library):
    code, output, record, _ = play(tmp_path, nvml_library, "--gpu-wait=0.5", held=9000 * MIB)
    assert code == 2, output
    first, *others = record.phases
    assert first.outcome is Outcome.ENGINE_ERROR
    assert "9100 MiB in use after 0 s (pids 4242); end what uses it" in first.reason
    assert {phase.outcome for phase in others} == {Outcome.NOT_RUN}
    assert "stopping: GPU GPU-0a0b" in output


@pytest.mark.parametrize(
    ("played", "words"),
    [
        (fake_nvml.Scenario([], init=9), "driver is not loaded"),
        (fake_nvml.Scenario([], init=18), "different versions"),
        (fake_nvml.Scenario([], init=4), "permission"),
        (
            fake_nvml.Scenario([fake_nvml.Gpu(UUID, mig=True, slices=[fake_nvml.Gpu(SLICE)])]),
            f"is split by MIG and cannot be used as a whole: choose one of {SLICE}",
        ),
        (fake_nvml.Scenario([fake_nvml.Gpu(UUID, unusable=15)]), "is lost"),
    ],
)
def test_a_gpu_that_cannot_be_used_is_exit_4_and_one_line(tmp_path, nvml_library, played, words):
    scenario = played.write(tmp_path / "scenario")
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", "--gpu=0", f"--reports={tmp_path / 'r'}"],
        cwd=ROOT,
        env=fake_nvml.environment(nvml_library, scenario),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert words in line
    assert "GPU=none" in line
    assert not (tmp_path / "r").exists()


@pytest.mark.docker
@pytest.mark.parametrize("engine", ["auto", "docker"])
@pytest.mark.parametrize("gpu", ["auto", "0"])
def test_a_gpu_that_the_daemon_cannot_hand_out_is_found_before_anything_is_built(
    tmp_path, nvml_library, daemon, engine, gpu
):
    runtimes = daemon.info.get("Runtimes") or {}
    if "nvidia" in runtimes:
        pytest.skip("this daemon has the NVIDIA Container Toolkit")
    scenario = fake_nvml.Scenario([fake_nvml.Gpu(UUID)]).write(tmp_path / "scenario")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "harness", "run", f"--gpu={gpu}", f"--engine={engine}"),
            f"--reports={tmp_path / 'reports'}",
        ],
        cwd=ROOT,
        env=fake_nvml.environment(nvml_library, scenario),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert "nvidia-container-toolkit" in line
    assert "GPU=none" in line
    assert not (tmp_path / "reports").exists()


VARIANTS = """
[variants]
axes = ["kind"]
description = "{kind}"
[[variants.phase]]
id = "save"
script = "save.py"
role = "train"
[[variants.phase]]
id = "load"
script = "load.py"
role = "train"
[[variants.kind]]
id = "one"
description = "one"
[[variants.kind]]
id = "two"
description = "two"
"""


def test_what_is_sampled_of_a_group_is_of_none_of_its_phases(tmp_path, nvml_library):
    code, output, record, directory = play(tmp_path, nvml_library, family=VARIANTS, scenarios="*")
    assert code == 0, output
    assert len(record.phases) == 4
    assert {phase.outcome for phase in record.phases} == {Outcome.COMPLETED}
    assert [phase.samples for phase in record.phases] == [None] * 4
    assert {phase.details["group"] for phase in record.phases} == {
        *("test-flavor.basic.save.1", "test-flavor.basic.load.1")
    }
    with (directory / "groups/test-flavor.basic.load.1/samples.csv").open(newline="") as file:
        used = {int(row["gpu_used"]) for row in csv.DictReader(file) if row["gpu_used"]}
    assert 300 * MIB in used
    skipped = [check for case in record.cases for check in case.checks[4:]]
    assert {check.status for check in skipped} == {Status.SKIPPED}
