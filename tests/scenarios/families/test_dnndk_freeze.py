"""From a Keras model to a frozen graph, as the harness starts the phases."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from harness.catalog import catalog
from tests.scenarios.phases import SCENARIOS, Ended, interpreter, run_phase

FAMILY = "dnndk_freeze"
METHODS = ("checkpoint", "model", "weights")
FREEZE = "tensorflow.python.tools.freeze_graph"


def phase(flavor: str, script: str, directory: Path, source: Ended | None = None) -> Ended:
    path = script if "/" in script else f"{FAMILY}/{script}"
    ended = run_phase(flavor, path, directory, source, EXECUTION_MODE="session")
    assert ended.code == 0, ended.log
    assert ended.markers[-1]["event"] == "done"
    return ended


def claims(ended: Ended) -> dict[str, object]:
    """What was found of each claim; all of them hold."""
    markers = ended.of("claim")
    assert [marker for marker in markers if marker["found"] != marker["expected"]] == []
    return {marker["text"]: marker["found"] for marker in markers}


def predictions(ended: Ended, stage: str) -> list[float]:
    values: list[float] = ended.one("digest", of="predictions", stage=stage)["values"]
    return values


def test_each_method_is_frozen_and_run_and_two_of_them_resume() -> None:
    scenarios = catalog.load(SCENARIOS.parent).select(families=[FAMILY]).scenarios
    scripts = {scenario.id: [phase.script for phase in scenario.phase] for scenario in scenarios}
    assert scripts == {
        "checkpoint-freeze-predict": [
            "train_save.py",
            "convert_checkpoint.py",
            "predict_frozen.py",
        ],
        "model-freeze-predict": ["train_save.py", "convert_model.py", "predict_frozen.py"],
        "json_weights-freeze-predict": [
            "train_save.py",
            "convert_weights.py",
            "predict_frozen.py",
        ],
        "checkpoint-resume": ["train_save.py", "resume_checkpoint.py"],
        "model-resume": ["train_save.py", "resume_model.py"],
    }
    assert {scenario.mode for scenario in scenarios} == {"session"}
    for scenario in scenarios:
        assert {"weights", "predictions"} <= set(scenario.restores)
        assert ("optimizer" in scenario.restores) == scenario.id.endswith("resume")


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", ["tf1-tfkeras", "tf2-tfkeras"])
def test_frozen_graph_predicts_what_keras_predicted(flavor: str, tmp_path: Path) -> None:
    saved = phase(flavor, "train_save", tmp_path / "save")
    assert saved.one("lms_edited")["swap_out"] > 0
    assert saved.one("environment")["data"] == "uci-digits in colour"

    converted = {name: phase(flavor, f"convert_{name}", tmp_path / name, saved) for name in METHODS}
    optimizer = saved.one("digest", of="optimizer", stage="saved")["tensors"]
    assert optimizer > 1
    for name, ended in converted.items():
        found = claims(ended)
        assert found["the Keras file is HDF5"] is True
        assert found["TensorFlow reads the Keras file as a checkpoint"] is False
        assert found["swap operations in the inference graph"] == 0
        state = 0 if name == "weights" else optimizer
        assert found["optimizer weights in the file"] == state
        expected = saved.digests("saved")
        if name == "weights":
            del expected["optimizer"]
        assert ended.digests("restored") == expected
    notes = " ".join(marker["text"] for marker in converted["weights"].of("note"))
    assert "no optimizer state" in notes

    loaded = phase(flavor, "predict_frozen", tmp_path / "predict", converted["weights"])
    assert loaded.digests("restored")["weights"] == saved.digests("saved")["weights"]
    expected_values = predictions(saved, "saved")
    assert predictions(loaded, "restored") == pytest.approx(expected_values, abs=1e-6)
    assert loaded.one("trace", function="predict")["swap_in"] > 0

    faulty = phase(flavor, "canary/dnndk_frozen_in_training", tmp_path / "faulty", saved)
    wrong = phase(flavor, "predict_frozen", tmp_path / "wrong", faulty)
    assert predictions(wrong, "restored") != pytest.approx(expected_values, abs=1e-2)

    _same_from_the_command_line(flavor, converted["weights"].output, tmp_path)


def _same_from_the_command_line(flavor: str, artifacts: Path, directory: Path) -> None:
    """TensorFlow's script, started as a user would, leaves the same file."""
    names = json.loads((artifacts / "names.json").read_text())
    frozen = directory / "frozen.pb"
    command = [
        *(interpreter(flavor), "-m", FREEZE),
        f"--input_graph={artifacts / 'infer_graph.pb'}",
        f"--input_saver={artifacts / 'saver.pb'}",
        "--input_binary=true",
        f"--input_checkpoint={artifacts / 'tf_chkpt.ckpt'}",
        f"--output_node_names={names['output']}",
        f"--output_graph={frozen}",
        "--clear_devices=true",
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    ours = artifacts / "frozen_graph.pb"
    code = (
        "import sys; from tensorflow.compat.v1 import GraphDef as G;"
        "a, b = (G.FromString(open(p, 'rb').read()) for p in sys.argv[1:]); sys.exit(a != b)"
    )
    same = subprocess.run([interpreter(flavor), "-c", code, str(ours), str(frozen)], timeout=300)
    assert same.returncode == 0


@pytest.mark.slow
@pytest.mark.tensorflow
def test_training_resumes_from_the_checkpoint(tmp_path: Path) -> None:
    saved = phase("tf1-keras22", "train_save", tmp_path / "save")
    loaded = phase("tf1-keras22", "resume_checkpoint", tmp_path / "load", saved)
    assert set(saved.digests("saved")) == {"weights", "optimizer", "random", "predictions"}
    assert loaded.digests("restored") == saved.digests("saved")
    assert loaded.digests("final")["predictions"] != loaded.digests("restored")["predictions"]
    trace = loaded.one("trace", function="train")
    assert trace["swap_in"] >= loaded.one("lms_edited")["swap_in"] / 2
