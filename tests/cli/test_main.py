from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys

import pytest

from harness.report.files import reports
from tests import records
from tests.base.test_plain_file import other_than_a_file
from tests.paths import ROOT
from tests.projects import FAMILY, lay_out

NEVER = "tf1-tfkeras.distribute.mirrored_h5-loadtrain does not apply: saving and loading under"


def harness(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs the command as a user would, with no daemon and none of the caller's settings."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=ROOT,
        env={**kept, "DOCKER_HOST": "unix:///nowhere.sock", **environ},
        capture_output=True,
        text=True,
        timeout=120,
    )


@contextlib.contextmanager
def without_writing(directory):
    """Mounts a directory over itself, read-only; skips for a user who may not."""
    mount = ["mount", "--bind", str(directory), str(directory)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a file system")
    subprocess.run(["mount", "-o", "remount,ro,bind", str(directory)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def test_a_gpu_that_is_not_there_is_exit_4_and_one_line(tmp_path):
    done = harness("run", "--gpu", "0", f"--reports={tmp_path}")
    assert done.returncode == 4
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("harness: --gpu 0: ")
    assert "GPU=none" in line
    assert list(tmp_path.iterdir()) == []


def test_docker_by_name_without_a_daemon_is_exit_4_and_one_line(tmp_path):
    done = harness("run", "--gpu=none", "--engine=docker", f"--reports={tmp_path}")
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert "nowhere.sock" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--flavors=nope"], "no flavor matches 'nope'; there are: "),
        (["run", "--scenarios=x.y"], "no scenario matches 'x.y'"),
        (["run", "--lms-params={"], "--lms-params is not a JSON object"),
        (["run", '--lms-params={"threshold": 1}'], "--lms-params has unknown 'threshold'; known"),
        (["soak", '--lms-params={"sync_mode": 4}'], "has sync_mode outside of 0 to 3"),
        (["run", '--lms-params={"sync_mode": "3"}'], "--lms-params is not a JSON object of whole"),
        (["run", "--provider=tflms", "--lms-path=/"], "large_model_support; there is none in /"),
        (["run", "--gpu-wait=nan"], "nan is no finite number"),
        (["run", "--gpu-wait=inf"], "inf is not in the range"),
        (["prove", "tf1-tfkeras", "trainsave-loadtrain", "--share=nan"], "nan is no finite"),
        (["run", "--provider=tflms"], "needs --lms-path (LMS_PATH)"),
        (["run", "--jobs=0"], "Invalid value for '--jobs'"),
        (["run", "--lms-path=/nowhere"], "does not exist"),
        (["repro", "tf1-*", "trainsave-loadtrain"], "one flavor and one scenario"),
        (["describe", "nope"], "no scenario matches 'nope'"),
        (["report", "/nowhere"], "/nowhere"),
        (["run", "--flavors=,"], "',' holds no pattern"),
        (["repro", "tf1-tfkeras", "mirrored_h5-loadtrain"], NEVER),
        (["prove", "tf1-tfkeras", "mirrored_h5-loadtrain"], NEVER),
        (["describe", "mirrored_h5-loadtrain", "--flavors=tf1-tfkeras"], NEVER),
        (["run", "--flavors=tf1-*", "--families=distribute"], "(nor does "),
        (["judge", "/nowhere"], "does not exist"),
        (["soak", "--flavors=nope"], "no flavor matches 'nope'; there are: "),
        (["frobnicate"], "No such command"),
    ],
)
def test_a_user_s_mistake_is_exit_4_and_no_traceback(arguments, words):
    done = harness(*arguments)
    assert done.returncode == 4
    assert words in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


@pytest.mark.parametrize("command", [["run"], ["soak", "--families=basic"]])
@pytest.mark.parametrize("file", ["mnist.npz", "cifar-10-python.tar.gz"])
def test_data_that_is_damaged_is_exit_4_before_anything_runs(tmp_path, command, file):
    root = lay_out(tmp_path / "checkout")
    place = tmp_path / "data"
    place.mkdir()
    (place / file).write_bytes(b"PK\3\4 and no more")
    done = harness(
        *("--root", str(root), *command),
        *("--engine=venv", "--gpu=none", f"--data={place}", f"--reports={tmp_path / 'reports'}"),
    )
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"harness: {place / file}: ")
    assert "is damaged, or another file than was published" in line
    assert list((tmp_path / "reports").iterdir()) == []


@pytest.mark.parametrize("read_only", ["reports", "checkout"])
@pytest.mark.parametrize("command", [["run"], ["repro", "test-flavor", "save-load"]])
def test_what_is_read_only_is_exit_4_before_anything_runs(tmp_path, command, read_only):
    root = lay_out(tmp_path / "checkout")
    (tmp_path / "reports").mkdir()
    arguments = (*command, "--engine=venv", "--gpu=none", f"--reports={tmp_path / 'reports'}")
    with without_writing(tmp_path / read_only):
        done = harness("--root", str(root), *arguments)
    assert done.returncode == 4, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"harness: cannot write to {tmp_path / read_only}")
    assert "Read-only file system" in line
    assert list((tmp_path / "reports").iterdir()) == []


def test_reports_that_cannot_be_rebuilt_are_exit_4(tmp_path):
    place = tmp_path / "reports" / "run"
    reports.write_all(records.record([records.case("save-load")]), place)
    with without_writing(tmp_path / "reports"):
        done = harness("report", str(place))
    assert done.returncode == 4, done.stderr
    (line,) = done.stderr.splitlines()
    assert "cannot write to" in line
    assert harness("report", str(place)).returncode == 0


@pytest.mark.parametrize("command", [["report"], ["defects", "--run"]])
def test_what_is_in_the_place_of_a_record_is_exit_4_and_one_line(tmp_path, command):
    other_than_a_file(tmp_path / "record.json", "FIFO")
    done = harness(*command, str(tmp_path))
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"harness: cannot read {tmp_path}/record.json: ")


def test_what_is_in_the_place_of_a_log_is_exit_4(tmp_path):
    other_than_a_file(tmp_path / "log", "FIFO")
    done = harness("judge", str(tmp_path / "log"))
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert line == f"harness: {tmp_path}/log: is a FIFO that nobody writes to"


@pytest.mark.parametrize("count", ["0", "x", "1.5", "1000000"])
def test_a_count_of_repeats_that_is_none_is_exit_4_and_one_line(tmp_path, count):
    done = harness("soak", f"--reports={tmp_path}", f"--repeats={count}")
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert line == f"harness: --repeats (N): {count!r} is no whole number from 1 to 999999"
    assert list(tmp_path.iterdir()) == []


def test_make_hands_the_count_of_repeats_on():
    done = subprocess.run(
        ["make", "-s", "soak", "N=x", "READY=", f"HARNESS={sys.executable} -m harness"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "harness: --repeats (N): 'x' is no whole number" in done.stderr


def test_a_pair_that_can_never_apply_is_refused_with_one_line(tmp_path):
    done = harness("repro", "tf1-tfkeras", "mirrored_h5-loadtrain", f"--reports={tmp_path}")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"harness: {NEVER}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        ([], {"HARNESS_FLAVORS": "tf1-tfkeras tf1-keras22", "HARNESS_FAMILIES": ""}),
        ([], {"HARNESS_FLAVORS": "tf1-tfkeras,tf1-keras22"}),
        ([], {"HARNESS_FLAVORS": " tf1-tfkeras ,\ttf1-keras22, "}),
        (["--flavors", "tf1-tfkeras", "--flavors", "tf1-keras22"], {}),
        (["--flavors=tf1-tfkeras,tf1-keras22"], {}),
        (["--flavors", "tf1-keras22 tf1-tfkeras"], {"HARNESS_FLAVORS": "keras3-jax"}),
    ],
)
def test_a_selection_is_given_in_any_of_the_usual_ways(arguments, environ):
    done = harness("list", "--json", *arguments, **environ)
    assert done.returncode == 0, done.stderr
    assert {entry["flavor"] for entry in json.loads(done.stdout)} == {"tf1-tfkeras", "tf1-keras22"}


def test_families_and_scenarios_are_lists_too():
    done = harness("list", "--json", "--families=metagraph,canary", "--scenarios=stale*, train_*")
    found = {(entry["family"], entry["scenario"]) for entry in json.loads(done.stdout)}
    assert found == {
        ("canary", "stale_artifact"),
        ("metagraph", "train_epochs-load_epochs"),
        ("metagraph", "train_epochs-load_train"),
    }


def test_make_hands_lists_on(tmp_path):
    done = subprocess.run(
        ["make", "-s", "list", "FLAVORS=tf1-tfkeras,tf1-keras22", "SCENARIOS=stale*", "ALL=1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "2 cases, " in done.stdout


def test_list_is_for_machines_too():
    options = ("--families=keras_saveload", "--flavors=tf1-*", "--scenarios=*checkpoint_*")
    entries = json.loads(harness("list", "--json", *options).stdout)
    assert [entry["flavor"] for entry in entries] == ["tf1-tfkeras", "tf1-tfkeras"]
    entries = json.loads(harness("list", "--json", "--all", *options).stdout)
    others = [entry["inapplicable"] for entry in entries if entry["inapplicable"]]
    assert (len(entries), len(others)) == (6, 4)
    assert all("trackable" in reason for reason in others)


def test_list_counts_cases_and_pairs_that_can_never_apply():
    options = ("--families=keras_saveload", "--flavors=tf1-*", "--scenarios=*checkpoint_*")
    done = harness("list", *options)
    assert "2 cases, " in done.stdout
    assert "4 pairs of flavor and scenario can never apply, which --all" in done.stdout
    assert "does not apply" not in done.stdout
    shown = harness("list", *options, HARNESS_ALL="1").stdout
    assert shown.count("does not apply: tf.train.Checkpoint(model=...) refuses") == 4


def test_describe_shows_scripts_and_controls():
    done = harness("describe", "trainsave-loadtrain")
    assert done.returncode == 0
    assert "mnist_cnn_keras_loadtrain.py [train]" in done.stdout
    assert "control tf1-tfkeras.keras_saveload.trainsave-loadtrain.load.control" in done.stdout


def test_doctor_says_what_is_missing():
    done = harness("doctor")
    assert done.returncode == 0
    assert "MISSING  engine docker" in done.stdout
    assert "ok       engine venv" in done.stdout
    assert "Python 3.7" in done.stdout


def test_a_broken_catalog_is_one_line(tmp_path):
    root = lay_out(tmp_path, families={"basic": FAMILY.replace('"train"', '"dance"', 1)})
    done = harness("--root", str(root), "list")
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert "scenarios.toml: save-load: phase.0.role" in line


def test_judge_gives_verdicts_of_a_foreign_log(tmp_path):
    log = tmp_path / "foreign.log"
    log.write_text(
        "[LMS][0] Added 70 operations to the model (33 swap-out operations (0.1 GiB)"
        " and 37 swap-in operations (0.1 GiB))\n"
    )
    done = harness("judge", str(log))
    assert done.returncode == 0, done.stdout
    assert "passed   LMS edited the graph" in done.stdout
    with log.open("a") as file:
        file.write(
            "W tensorflow/c/c_api.cc:326] Operation '{name:'conv2d/Relu' id:5 op device:{} def:"
            "{{{node conv2d/Relu}} = Relu[T=DT_FLOAT](lms/swapin_x_0:0)}}' was changed by adding"
            " control input after it was run by a session. This mutation will have no effect\n"
        )
    done = harness("judge", "--json", str(log))
    assert done.returncode == 1
    (judged,) = json.loads(done.stdout)
    statuses = {entry["id"]: entry["status"] for entry in judged["checks"]}
    assert statuses["edit_took_effect"] == "failed"
    assert statuses["swapping_confirmed"] == "skipped"


def test_make_takes_shell_1_for_the_shell_in_the_failed_phase():
    done = subprocess.run(
        ["make", "-n", "repro", "FLAVOR=f", "SCENARIO=s", "SHELL=1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert "harness repro" in done.stdout
