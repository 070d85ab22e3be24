"""What a flavor has and lacks, what families and providers require, and derived flavors."""

from __future__ import annotations

import pytest

from harness.base.error import UsageError
from harness.catalog import catalog
from harness.catalog.flavors import DerivedFlavor, Flavor
from harness.catalog.providers import Provider, Way
from harness.plan import planner
from tests.paths import ROOT
from tests.projects import FAMILY, FLAVOR, lay_out

PLAIN = (
    FLAVOR.replace('keras = "tf.keras"', 'keras = "none"').replace(
        'features = ["tf_checkpoint"]', 'features = ["plain"]'
    )
    + '\n[lacks]\nkeras = "no Keras here"\n'
)
KERAS = FLAVOR + '\n[lacks]\nplain = "models are those of Keras"\n'


def pairs(root, **families):
    own = catalog.load(
        lay_out(root, flavors={"keras-one": KERAS, "plain-one": PLAIN}, families=families)
    )
    return own, {(pair.flavor.id, pair.scenario.id): pair.inapplicable for pair in own.pairs()}


def test_a_family_that_says_nothing_requires_a_keras(tmp_path):
    family = 'requires = ["plain"]\n' + FAMILY.replace("save-", "plain-")
    own, found = pairs(tmp_path, basic=FAMILY, other=family)
    assert {name for name, reason in found.items() if reason is None} == {
        *(("keras-one", name) for name in ("save-load", "save-predict")),
        *(("plain-one", name) for name in ("plain-load", "plain-predict")),
    }
    assert found["plain-one", "save-load"] == "no Keras here"
    assert found["keras-one", "plain-load"] == "models are those of Keras"
    assert [flavor.has for flavor in own.flavors] == [{"tf_checkpoint", "keras"}, {"plain"}]


def test_a_scenario_requires_more_than_its_family(tmp_path):
    family = 'requires = ["plain"]\n' + FAMILY.replace(
        'restores = ["weights"]', 'requires = ["tf_checkpoint"]', 1
    )
    own, found = pairs(tmp_path, basic=family)
    assert own.scenarios[0].requires == ("plain", "tf_checkpoint")
    assert found["plain-one", "save-load"] == "the flavor has no tf_checkpoint"


@pytest.mark.parametrize("text", ['requires = "plain"', 'requires = ["no such"]', "requires = 1"])
def test_what_a_family_requires_is_a_list_of_names(tmp_path, text):
    with pytest.raises(UsageError, match=r"scenarios\.toml: .*requires"):
        pairs(tmp_path, basic=f"{text}\n{FAMILY}")


def test_a_provider_requires_what_a_scenario_may(tmp_path):
    of = {"name": "x", "modes": ("session",), "backends": ("tensorflow",)}
    ways = (
        Way(**of, accelerators=("virtual",), requires=("plain",)),
        Way(**of, accelerators=("gpu",)),
    )
    chosen = Provider(id="x", ways=ways)
    own, _ = pairs(tmp_path, basic=FAMILY)
    assert own.works(chosen) == {"keras-one": "models are those of Keras", "plain-one": None}
    found = [chosen.way("session", "tensorflow", where) for where in ("", "virtual", "gpu")]
    # Where none is for the accelerator the planner says so of the first.
    assert found == [ways[0], ways[0], ways[1]]


@pytest.mark.parametrize("name", [path.name for path in (ROOT / "docker/flavors").iterdir()])
def test_a_derived_flavor_is_its_base_in_another_directory(name, tmp_path):
    (base,) = catalog.load(ROOT).select([name]).flavors
    derived = DerivedFlavor.of(base, tmp_path)
    assert derived.directory == tmp_path
    assert derived.recipes == base.recipes == ROOT / "docker"
    fields = set(Flavor.model_fields) - {"directory"}
    assert {name: getattr(derived, name) for name in fields} == {
        name: getattr(base, name) for name in fields
    }


def test_no_file_makes_one(tmp_path):
    root = lay_out(tmp_path, flavors={"test-flavor": f'base = "another"\n{FLAVOR}'})
    with pytest.raises(UsageError, match=r"flavor\.toml: test-flavor: base: Extra inputs"):
        catalog.load(root)


def test_a_plan_with_a_derived_flavor_has_the_same_tasks(tmp_path):
    plan = planner.make(catalog.load(lay_out(tmp_path / "checkout")))
    derived = DerivedFlavor.of(plan.cases[0].flavor, tmp_path)
    made = plan.having(derived)
    assert made.tasks == plan.tasks
    assert [case.id for case in made.cases] == [case.id for case in plan.cases]
    assert all(case.flavor is derived for case in made.cases)
    assert made.needed == (derived,)
