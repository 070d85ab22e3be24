"""A small family of variants, for tests."""

from __future__ import annotations

from pathlib import Path

from harness.catalog import catalog
from harness.catalog.catalog import Catalog
from harness.catalog.variants import Depth
from tests.projects import FLAVOR, lay_out

FAMILY = """
[variants]
axes = ["model", "optimizer", "format"]
pairs = [["model", "format"], ["optimizer", "format"]]
description = "{model}, trained with {optimizer}, saved as {format}"

[variants.straight]
script = "straight.py"
axes = ["model", "optimizer"]

[[variants.phase]]
id = "save"
script = "save.py"
role = "train"
variables = { EPOCHS = "2" }

[[variants.phase]]
id = "load"
script = "load.py"
role = "train"

[[variants.model]]
id = "dense"
description = "dense layers"
[[variants.model]]
id = "batchnorm"
description = "batch normalisation"
[[variants.model]]
id = "subclassed"
description = "a subclassed model"

[[variants.optimizer]]
id = "adam"
description = "Adam"
[[variants.optimizer]]
id = "sgd"
description = "SGD"

[[variants.format]]
id = "h5"
description = "a whole-model HDF5 file"
restores = ["weights", "optimizer", "predictions"]
[[variants.format]]
id = "checkpoint"
description = "a checkpoint"
requires = ["tf_checkpoint"]
restores = ["weights"]
[[variants.format]]
id = "weights_only"
description = "weights alone"
restores = ["weights"]
resumes = false

[[variants.exclude]]
model = "subclassed"
format = ["h5"]
reason = "only functional models can be saved whole"
"""

LACKING = FLAVOR.replace('features = ["tf_checkpoint"]', "features = []") + (
    '\n[lacks]\ntf_checkpoint = "no checkpoints here"\n'
)


def checkout(root: Path, family: str = FAMILY) -> Path:
    """A checkout with two flavors, of which one lacks a feature, and one family of variants."""
    flavors = {"full": FLAVOR, "poor": LACKING}
    lay_out(root, flavors=flavors, families={"state": family})
    (root / "scenarios" / "families" / "state" / "straight.py").write_text("print('hello')")
    return root


def loaded(root: Path, family: str = FAMILY, depth: Depth = "pairs") -> Catalog:
    """The catalog of such a checkout."""
    return catalog.load(checkout(root, family), depth)
