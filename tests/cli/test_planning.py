"""What `list` and `describe` print of families that are made of variants."""

from __future__ import annotations

import json

from tests.cli.test_main import harness
from tests.variants import checkout


def test_list_is_short_and_names_each_variant_on_request(tmp_path):
    root = f"--root={checkout(tmp_path)}"
    short = harness(root, "list").stdout
    assert "model-optimizer-format" in short
    assert "dense-adam-h5" not in short
    assert "15 cases" in short
    assert "SCENARIOS='*' names each variant" in short
    named = harness(root, "list", "--scenarios=*-adam-h5").stdout
    assert "dense-adam-h5" in named
    assert "names each" not in named


def test_depth_full_plans_every_combination(tmp_path):
    root = f"--root={checkout(tmp_path)}"
    assert len(json.loads(harness(root, "list", "--json").stdout)) == 15
    for full in (
        harness(root, "list", "--json", "--depth=full"),
        harness(root, "list", "--json", HARNESS_DEPTH="full"),
    ):
        assert len(json.loads(full.stdout)) == 26
    refused = harness(root, "list", HARNESS_DEPTH="deep")
    assert refused.returncode == 4
    assert "'deep' is not one of 'pairs', 'full'" in refused.stderr


def test_describe_knows_families_and_every_variant(tmp_path):
    root = f"--root={checkout(tmp_path)}"
    family = harness(root, "describe", "state").stdout
    assert "poor: 6 of 10 variants" in family
    done = harness(root, "describe", "batchnorm-sgd-checkpoint")
    assert done.returncode == 0, done.stderr
    assert "runs as full.state.batchnorm-sgd-checkpoint.load" in done.stdout
    assert "poor: a test flavor\n    does not apply: no checkpoints here" in done.stdout
    never = harness(root, "describe", "subclassed-adam-h5")
    assert never.returncode == 4
    assert "can never be: only functional models can be saved whole" in never.stderr
