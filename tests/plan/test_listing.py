from __future__ import annotations

from pathlib import Path

from harness.catalog import catalog
from harness.catalog.catalog import Catalog
from harness.plan import listing, planner
from harness.plan.plan import Plan
from tests.paths import ROOT
from tests.projects import FAMILY, FLAVOR, lay_out


def listed(tmp_path: Path) -> tuple[Catalog, Plan]:
    """A catalog of two scenarios, one of which the flavor lacks a feature for."""
    head, second = FAMILY.split('id = "save-predict"')
    family = f'{head}id = "save-predict"\nrequires = ["magic"]{second}'
    flavor = f'{FLAVOR}\n[lacks]\nmagic = "no such thing here"\n'
    root = lay_out(tmp_path, flavors={"test-flavor": flavor}, families={"basic": family})
    own = catalog.load(root)
    return own, planner.make(own)


def test_description_names_scripts_controls_and_what_does_not_apply(tmp_path):
    text = "\n".join(listing.description(*listed(tmp_path)))
    assert "families/basic/save.py [train]" in text
    assert "control test-flavor.basic.save-load.load.control" in text
    assert "does not apply: no such thing here" in text


def test_description_says_what_is_shared(tmp_path):
    own = catalog.load(lay_out(tmp_path))
    text = "\n".join(listing.description(own, planner.make(own)))
    assert "(shared)" in text


def test_entries_name_phases_and_controls(tmp_path):
    own, plan = listed(tmp_path)
    (only,) = listing.entries(own, plan)
    assert only["phases"] == [
        "test-flavor.basic.save-load.save",
        "test-flavor.basic.save-load.load",
    ]
    assert only["controls"] == ["test-flavor.basic.save-load.load.control"]
    assert only["inapplicable"] is None


def test_pairs_that_can_never_apply_are_listed_on_request(tmp_path):
    own, plan = listed(tmp_path)
    first, second = listing.entries(own, plan, every_pair=True)
    assert (first["scenario"], first["inapplicable"]) == ("save-load", None)
    assert (second["scenario"], second["inapplicable"]) == ("save-predict", "no such thing here")
    assert second["phases"] == []
    page = listing.page(own)
    assert "| `basic` | `save-load` | yes |" in page
    assert "| `basic` | `save-predict` | - (1) |" in page
    assert "- (1) no such thing here" in page
    assert " 1 cases" not in page


def test_the_page_of_the_matrix_is_the_catalogs():
    assert (ROOT / "docs" / "matrix.md").read_text() == listing.page(catalog.load(ROOT)), (
        "docs/matrix.md is not the catalog's: write it with"
        " `.venv/bin/harness list --markdown > docs/matrix.md`"
    )
