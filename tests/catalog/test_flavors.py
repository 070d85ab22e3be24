"""Derived flavors: another directory of requirements, and everything else as it was."""

from __future__ import annotations

import pytest

from harness.base.error import UsageError
from harness.catalog import catalog
from harness.catalog.flavors import DerivedFlavor, Flavor
from harness.plan import planner
from tests.paths import ROOT
from tests.projects import FLAVOR, lay_out


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
    plan = planner.make(catalog.load(lay_out(tmp_path / "checkout")), provider="builtin")
    derived = DerivedFlavor.of(plan.cases[0].flavor, tmp_path)
    made = plan.having(derived)
    assert made.tasks == plan.tasks
    assert [case.id for case in made.cases] == [case.id for case in plan.cases]
    assert all(case.flavor is derived for case in made.cases)
    assert made.needed == (derived,)
