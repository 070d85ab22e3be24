from __future__ import annotations

from harness.plan import families, listing, planner
from tests.variants import loaded


def listed(tmp_path, each):
    own = loaded(tmp_path)
    entries = listing.entries(own, planner.make(own))
    return [line.split() for line in listing.lines(own, entries, each)]


def test_a_list_has_one_line_for_the_variants_of_a_flavor(tmp_path):
    full, poor = listed(tmp_path, each=False)
    assert full[:6] == ["full", "state", "model-optimizer-format", "9", "of", "16"]
    assert poor[:6] == ["poor", "state", "model-optimizer-format", "6", "of", "10"]


def test_a_list_may_name_each_variant(tmp_path):
    lines = listed(tmp_path, each=True)
    assert len(lines) == 15
    assert lines[0][:3] == ["full", "state", "dense-adam-h5"]


def test_a_family_is_described_by_its_axes(tmp_path):
    own = loaded(tmp_path)
    text = "\n".join(families.description(own, own.variants[0]))
    assert "state / model-optimizer-format: <model>, trained with <optimizer>" in text
    assert "    adam: Adam" in text
    assert "  never model=subclassed format=h5: only functional models can be saved whole" in text
    assert "  poor: 6 of 10 variants\n    without format checkpoint: no checkpoints here" in text


def test_the_matrix_has_a_row_and_the_values(tmp_path):
    page = listing.page(loaded(tmp_path))
    assert "| `state` | `model-optimizer-format` | 9 of 16 | 6 of 10 |" in page
    assert "| `format` | `checkpoint` | a checkpoint | poor |" in page
    assert "every pair of values of model with format and of optimizer with format," in page
    assert "- never model subclassed, format h5: only functional models can be saved whole" in page
    assert "Every scenario on every flavor: 15 cases." in page


def test_the_matrix_says_why_a_flavor_has_no_variant(tmp_path):
    text = loaded(tmp_path).variants[0]
    every = tuple(
        value.model_copy(update={"requires": ("tf_checkpoint",)}) for value in text.values["model"]
    )
    own = loaded(tmp_path / "other")
    variants = text.model_copy(update={"values": {**text.values, "model": every}})
    page = listing.page(own.model_copy(update={"variants": (variants,)}))
    assert "| - (1) |" in page
    assert "- (1) no model applies: no checkpoints here" in page
