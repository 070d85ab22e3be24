"""Batches that are scaled as on a GPU: each family obeys, and holds what its catalog says."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base.text import MIB
from harness.catalog import catalog
from tests.scenarios.phases import SCENARIOS, run_phase

SCALE = 2


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("flavor", "family", "script", "batch", "variables"),
    [
        ("tf1-tfkeras", "keras_saveload", "mnist_cnn_keras_trainsave", 128, {}),
        ("tf1-tfkeras", "dnndk_freeze", "train_save", 32, {}),
        ("tf2-tfkeras", "distribute", "train_save", 128, {"REPLICAS": "2"}),
        ("tf1-tfkeras", "metagraph", "train", 64, {}),
        ("tf1-tfkeras", "proof_cnn", "train_save", 128, {}),
        ("tf1-tfkeras", "resnet50_generator", "train_save", 1, {}),
        ("tf1-tfkeras", "tf_serialization", "checkpoint_save", 256, {}),
    ],
)
def test_a_larger_batch_holds_as_much_more_as_the_catalog_says(
    flavor: str, family: str, script: str, batch: int, variables: dict[str, str], tmp_path: Path
) -> None:
    ended = run_phase(
        flavor,
        f"{family}/{script}",
        tmp_path,
        BATCH_SCALE=str(SCALE),
        LMS_PROVIDER="off",
        **variables,
    )
    assert ended.code == 0, ended.log
    assert not [claim for claim in ended.of("claim") if claim["expected"] != claim["found"]]
    trace = ended.one("trace", function="train")
    assert trace["batch"] == SCALE * batch
    assert trace["steps"] >= 2 + 1  # two batches at least, and what the meter runs
    scenarios = catalog.load(SCENARIOS.parent).select(families=[family]).scenarios
    held = max(scenario.activations_mib for scenario in scenarios)
    assert trace["peak_accelerator"] >= SCALE * held * MIB
