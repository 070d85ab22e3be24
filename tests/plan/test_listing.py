from __future__ import annotations

from harness.catalog import catalog
from harness.plan import listing, planner
from tests.paths import ROOT
from tests.plan.test_plan import planned


def test_description_names_scripts_and_controls(tmp_path):
    text = "\n".join(listing.description(planned(tmp_path)))
    assert "families/basic/save.py [train]" in text
    assert "control test-flavor.basic.save-load.load.control" in text
    assert "(shared)" in text


def test_entries_name_phases_and_controls(tmp_path):
    first, _ = listing.entries(planned(tmp_path))
    assert first["phases"] == [
        "test-flavor.basic.save-load.save",
        "test-flavor.basic.save-load.load",
    ]
    assert first["controls"] == ["test-flavor.basic.save-load.load.control"]
    assert first["skip"] is None


def test_the_readme_has_the_table_of_the_catalog():
    table = listing.table(planner.make(catalog.load(ROOT), provider="builtin"))
    assert table in (ROOT / "README.md").read_text(), (
        "README.md's matrix is not the catalog's: `.venv/bin/harness list --markdown` prints it"
    )
