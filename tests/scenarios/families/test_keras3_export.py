"""Keras 3: an exported model infers what the model that was saved predicts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.catalog import catalog
from tests.scenarios.phases import FLAVORS, SCENARIOS, Ended, run_phase

FAMILY = "keras3_export"
FORMATS = ("export_saved_model", "export_onnx")

Saved = Callable[[str], Ended]


def phase(flavor: str, name: str, directory: Path, source: Ended, **more: str) -> Ended:
    ended = run_phase(flavor, f"{FAMILY}/{name}", directory, source, **more)
    assert ended.code == 0, ended.log
    assert ended.markers[-1]["event"] == "done"
    broken = [claim for claim in ended.of("claim") if claim["expected"] != claim["found"]]
    assert not broken
    return ended


def test_each_format_has_a_backend_and_the_others_say_why_not() -> None:
    scenarios = catalog.load(SCENARIOS.parent).select(families=[FAMILY]).scenarios
    assert [scenario.requires for scenario in scenarios] == [
        ("keras", "keras3", feature) for feature in FORMATS
    ]
    used = {phase.script for scenario in scenarios for phase in scenario.phase[1:]}
    scripts = (SCENARIOS / "families" / FAMILY).glob("*.py")
    assert used == {path.name for path in scripts if "__main__" in path.read_text()}
    for flavor in FLAVORS.values():
        if "keras3" in flavor.features:
            assert all(name in flavor.features or name in flavor.lacks for name in FORMATS)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_saved_model_infers_under_lms(keras3_model: Saved, tmp_path: Path) -> None:
    flavor = "keras3-tensorflow"
    source = keras3_model("tensorflow")
    exported = phase(flavor, "export_saved_model", tmp_path / "export", source)
    swapped = phase(flavor, "load_saved_model_predict", tmp_path / "swapped", exported)
    control = phase(
        flavor, "load_saved_model_predict", tmp_path / "control", exported, LMS_PROVIDER="off"
    )
    assert swapped.digests("restored").items() <= source.digests("saved").items()
    trace = swapped.one("trace", function="predict")
    assert min(trace["swap_out"], trace["swap_in"], trace["graph_swap_in"]) > 0
    assert control.one("trace")["swap_in"] == 0
    assert swapped.results == control.results
    assert len(swapped.of("claim")) == 2


@pytest.mark.slow
@pytest.mark.tensorflow
def test_onnx_file_infers_without_keras(keras3_model: Saved, tmp_path: Path) -> None:
    flavor = "keras3-torch"
    source = keras3_model("torch")
    exported = phase(flavor, "export_onnx", tmp_path / "export", source)
    inferred = phase(flavor, "infer_onnx", tmp_path / "infer", exported)
    assert inferred.digests("restored")["weights"] == source.digests("saved")["weights"]
    saved = source.one("digest", of="predictions", stage="saved")["values"]
    found = inferred.one("digest", of="predictions", stage="restored")["values"]
    assert found == pytest.approx(saved, abs=1e-6, rel=0)
    assert set(inferred.one("environment")["versions"]) == {"onnx", "numpy"}

    content = (exported.output / "exported.onnx").read_bytes()
    (exported.output / "exported.onnx").write_bytes(content[: len(content) // 2])
    ended = run_phase(flavor, f"{FAMILY}/infer_onnx", tmp_path / "cut", exported)
    assert ended.code == 2
    assert "Traceback" not in ended.log
    assert ended.log.splitlines()[-1].startswith("error: ")
