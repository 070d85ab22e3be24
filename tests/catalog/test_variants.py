from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from harness.base.error import UsageError
from harness.catalog import catalog
from tests.catalog.test_defects import toml
from tests.paths import ROOT
from tests.projects import FAMILY as WRITTEN
from tests.projects import FLAVOR
from tests.variants import FAMILY, checkout, loaded


def ids(own, flavor):
    return [
        pair.scenario.id
        for pair in own.pairs()
        if pair.flavor.id == flavor and pair.inapplicable is None
    ]


def one(own, name):
    (found,) = own.select(scenarios=[name]).scenarios
    return found


def test_a_variant_is_a_scenario_of_one_value_for_each_axis(tmp_path):
    found = one(loaded(tmp_path), "batchnorm-adam-h5")
    assert (
        found.description
        == "batch normalisation, trained with Adam, saved as a whole-model HDF5 file"
    )
    assert (found.family, found.requires, found.control) == ("state", ("keras",), False)
    assert found.restores == ("weights", "optimizer", "predictions")
    assert found.values == {"model": "batchnorm", "optimizer": "adam", "format": "h5"}
    told = {"VARIANT_MODEL": "batchnorm", "VARIANT_OPTIMIZER": "adam", "VARIANT_FORMAT": "h5"}
    assert [phase.id for phase in found.phase] == ["save", "load"]
    assert [phase.variables for phase in found.phase] == [{"EPOCHS": "2", **told}, told]


def test_the_straight_is_told_its_own_axes_and_is_none_where_nothing_can_go_on(tmp_path):
    own = loaded(tmp_path)
    straight = one(own, "batchnorm-adam-h5").straight
    assert straight.script == "straight.py"
    assert straight.variables == {"VARIANT_MODEL": "batchnorm", "VARIANT_OPTIMIZER": "adam"}
    assert one(own, "batchnorm-adam-weights_only").straight is None


def test_what_a_value_requires_the_variant_requires(tmp_path):
    own = loaded(tmp_path)
    assert one(own, "dense-adam-checkpoint").requires == ("keras", "tf_checkpoint")
    assert not [name for name in ids(own, "poor") if "checkpoint" in name]
    assert [name for name in ids(own, "full") if "checkpoint" in name]


def test_full_depth_has_every_combination_that_is_not_excluded(tmp_path):
    own = loaded(tmp_path, depth="full")
    assert len(ids(own, "full")) == 3 * 2 * 3 - 2
    assert len(ids(own, "poor")) == 3 * 2 * 2 - 2
    assert "subclassed-adam-h5" not in ids(own, "full")
    (variants,) = own.variants
    assert [variants.count(flavor) for flavor in own.flavors] == [16, 10]


def test_the_default_is_fewer(tmp_path):
    own = loaded(tmp_path)
    assert ids(own, "full") == [
        "dense-adam-h5",
        "dense-adam-checkpoint",
        "dense-adam-weights_only",
        "dense-sgd-h5",
        "batchnorm-adam-h5",
        "batchnorm-adam-checkpoint",
        "batchnorm-adam-weights_only",
        "subclassed-sgd-checkpoint",
        "subclassed-sgd-weights_only",
    ]


def test_the_choice_is_the_same_in_every_process_and_python(tmp_path):
    expected = ids(loaded(tmp_path), "full")
    program = (
        "import json, sys; from pathlib import Path; from harness.catalog import catalog\n"
        "own = catalog.load(Path(sys.argv[1]))\n"
        "print(json.dumps([p.scenario.id for p in own.pairs() if p.flavor.id == 'full']))"
    )
    for seed in ("0", "1", "77"):
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout) == expected


def test_a_name_finds_a_variant_that_does_not_run_by_default(tmp_path):
    own = loaded(tmp_path)
    assert "batchnorm-sgd-h5" not in ids(own, "full")
    named = own.select(scenarios=["batchnorm-sgd-h5", "subclassed-*"])
    assert ids(named, "full") == [
        "subclassed-sgd-checkpoint",
        "subclassed-sgd-weights_only",
        "batchnorm-sgd-h5",
    ]
    assert ids(own.select(scenarios=["batchnorm-sgd-checkpoint"]), "full") == [
        "batchnorm-sgd-checkpoint"
    ]
    with pytest.raises(UsageError, match=r"no scenario matches 'batchnorm-sgd-\*'"):
        own.select(scenarios=["batchnorm-sgd-*"])


def test_a_variant_that_cannot_be_or_does_not_apply_says_why(tmp_path):
    own = loaded(tmp_path)
    with pytest.raises(UsageError, match="can never be: only functional models can be saved whole"):
        own.select(scenarios=["subclassed-adam-h5"])
    poor = own.select(flavors=["poor"], scenarios=["dense-adam-checkpoint"])
    with pytest.raises(UsageError, match="does not apply: no checkpoints here"):
        poor.require_case()
    with pytest.raises(UsageError, match=r"there are: variants model-optimizer-format of state"):
        own.select(scenarios=["nope"])


def test_a_flavor_that_has_no_value_of_an_axis_has_no_variant(tmp_path):
    needing = FAMILY.replace('id = "adam"', 'id = "adam"\nrequires = ["tf_checkpoint"]')
    needing = needing.replace('id = "sgd"', 'id = "sgd"\nrequires = ["tf_checkpoint"]')
    own = loaded(tmp_path, needing)
    assert ids(own, "poor") == []
    with pytest.raises(UsageError, match="no optimizer applies: no checkpoints here"):
        own.select(flavors=["poor"]).require_case()


def test_variants_and_written_scenarios_stand_side_by_side(tmp_path):
    straight = 'straight = { script = "straight.py", variables = { EPOCHS = "4" } }'
    written = WRITTEN.replace('restores = ["weights"]', straight, 1)
    own = loaded(tmp_path, written + FAMILY)
    assert {"save-load", "save-predict", "dense-adam-h5"} <= set(ids(own, "full"))
    assert one(own, "save-load").straight.variables == {"EPOCHS": "4"}
    assert one(own, "save-load").values == {}


def test_a_known_defect_may_be_of_a_variant_that_does_not_run_by_default(tmp_path):
    root = checkout(tmp_path)
    (root / "scenarios" / "known-defects.toml").write_text(
        toml(families=["state"], scenarios=["batchnorm-sgd-h5"])
    )
    own = catalog.load(root)
    (sighting,) = own.defects[0].sightings
    assert {pair.scenario.id for pair in own.covered(sighting)} == {"batchnorm-sgd-h5"}


@pytest.mark.parametrize(
    ("old", "changed", "message"),
    [
        ('axes = ["model", "optimizer", "format"]', "", "variants: model: unknown key"),
        ('["model", "optimizer", "format"]\npairs', '["model", "format"]\npairs', "optimizer: unk"),
        ('axes = ["model", "opt', 'axes = ["phase", "model", "opt', "axes: 'phase' is a key"),
        ('axes = ["model", "opt', 'axes = ["reason", "model", "opt', "axes: 'reason' is a key"),
        ('axes = ["model", "opt', 'axes = ["model", "model", "opt', "axes: one is there twice"),
        ('axes = ["model", "opt', 'axes = ["other", "model", "opt', "variants.other: the axis has"),
        ('[["model", "format"]', '[["model"]', "pairs 1 names less than two axes"),
        ('[["model", "format"]', '[["model", "other"]', "pairs 1: 'other' is none of model, opt"),
        ("{model}, trained", "{modle}, trained", "description: {modle} is none of the axes"),
        ("{model}, trained", "{model.id}, trained", "description: {model.id} is none of"),
        ("{model}, trained", "{model, trained", "description: "),
        ('axes = ["model", "optimizer"]', 'axes = ["color"]', "straight.axes: 'color' is none"),
        ('id = "dense"', 'id = "dense-2"', "dense-2: id: String should match"),
        ('id = "dense"', 'id = "batchnorm"', "model: one is there twice"),
        ('id = "dense"', f'id = "{"d" * 60}"', "more than 64 characters"),
        ('description = "Adam"', 'description = "\\u009b31m"', "adam: description: Value error, h"),
        ('reason = "only', 'reason = "\\u202eonly', "exclude 1: reason: Value error, holds a con"),
        (
            'description = "{model}',
            'description = "\\u001b{model}',
            "variants: description: Value e",
        ),
        ('description = "Adam"', 'descripton = "Adam"', "adam: description: Field required"),
        ('description = "Adam"', 'description = "Adam"\nrestores = ["x"]', "adam: restores.0"),
        ('description = "Adam"', 'description = "A"\nrestores = ["weights"]', "more than one axis"),
        ('description = "Adam"', 'description = "A"\nrequires = ["no"]', "adam of the variants of"),
        ('role = "train"', 'role = "dance"', "variants: phase.0.role"),
        ('role = "train"', 'role = "train"\nreference = {}', "save has a reference, which none"),
        ('role = "train"', 'role = "train"\nflavor = "full"', "save has a flavor, which none"),
        ('EPOCHS = "2"', 'VARIANT_MODEL = "2"', "save sets VARIANT_MODEL, which its axis does"),
        ('script = "straight.py"', 'script = "no.py"', "script families/state/no.py is not there"),
        ('model = "subclassed"\n', 'modle = "subclassed"\n', "exclude 1: 'modle' is none of model"),
        ('model = "subclassed"\n', 'model = "subclass"\n', "exclude 1: model: 'subclass' is none"),
        ('format = ["h5"]', "format = []", "exclude 1: format names no value"),
        ('format = ["h5"]', 'format = ["h5", "checkpoint", "weights_only"]', "subclassed is in no"),
        ('reason = "only', 'because = "only', "variants.exclude 1: "),
    ],
)
def test_mistakes_are_one_line_with_file_entry_and_field(tmp_path, old, changed, message):
    assert old in FAMILY
    with pytest.raises(UsageError, match=re.escape(message)) as raised:
        loaded(tmp_path, FAMILY.replace(old, changed, 1))
    assert "\n" not in str(raised.value)
    assert "state" in str(raised.value)


def test_what_only_variants_that_go_on_have_to_be_is_told_too(tmp_path):
    """The first variant does not go on with what was saved, and so has no straight."""
    family = FAMILY.replace('description = "dense layers"', 'description = "d"\nresumes = false')
    predicts = 'script = "load.py"\nrole = "predict"'
    family = family.replace('script = "load.py"\nrole = "train"', predicts)
    with pytest.raises(UsageError, match=r"toml: variants: .*straight needs a phase that saves"):
        loaded(tmp_path, family)


def test_more_combinations_than_anybody_runs_are_refused(tmp_path):
    values = "".join(
        f'[[variants.{axis}]]\nid = "v{number}"\ndescription = "v"\n'
        for axis in "abcdef"
        for number in range(10)
    )
    axes = json.dumps(list("abcdef"))
    phase = '[[variants.phase]]\nid = "save"\nscript = "save.py"\nrole = "convert"\n'
    family = f'[variants]\naxes = {axes}\ndescription = "v"\n{phase}{values}'
    with pytest.raises(UsageError, match="make 1,000,000 combinations, more than 100,000"):
        loaded(tmp_path, family)


def test_an_id_is_of_one_scenario(tmp_path):
    clash = WRITTEN.replace("save-load", "dense-adam-h5")
    with pytest.raises(UsageError, match="'dense-adam-h5' is in state and in the variants of stat"):
        loaded(tmp_path, clash + FAMILY)


def test_only_variants_have_values(tmp_path):
    with pytest.raises(UsageError, match="save-load: values: a scenario that is written out has"):
        loaded(tmp_path, WRITTEN.replace('restores = ["weights"]', 'values = { model = "x" }', 1))


def test_flavors_with_the_same_values_run_the_same(tmp_path):
    root = checkout(tmp_path)
    twin = root / "docker" / "flavors" / "twin"
    twin.mkdir()
    (twin / "flavor.toml").write_text(FLAVOR)
    (twin / "requirements-cpu.txt").write_text("")
    own = catalog.load(root)
    assert ids(own, "twin") == ids(own, "full")
