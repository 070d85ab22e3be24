"""Small checkouts that tests lay out: flavors, families, and scripts that need no framework."""

from __future__ import annotations

import shutil
from pathlib import Path
from textwrap import dedent
from typing import Any

from harness.catalog.providers import BUILTIN, Provider, Way
from tests.paths import ROOT

FLAVOR = """
description = "a test flavor"
keras = "tf.keras"
mode = "session"
python = "3.11"
features = ["tf_checkpoint"]

[requirements]
virtual = "requirements-cpu.txt"
gpu = "requirements-cpu.txt"

[[image]]
accelerator = "virtual"
base = "python:3.11-slim-bookworm"
requirements = "requirements-cpu.txt"
"""

FAMILY = """
[[scenario]]
id = "save-load"
description = "save, then load"
restores = ["weights"]

[[scenario.phase]]
id = "save"
script = "save.py"
role = "train"

[[scenario.phase]]
id = "load"
script = "load.py"
role = "train"

[[scenario]]
id = "save-predict"
description = "save, then predict"
restores = ["weights"]

[[scenario.phase]]
id = "save"
script = "save.py"
role = "train"

[[scenario.phase]]
id = "load"
script = "predict.py"
role = "predict"
"""


def provider(name: str, file: Path | None = None, class_name: str = "", **fields: Any) -> Provider:
    """A provider that works everywhere, or as the fields of its one class say."""
    way = Way(**{**BUILTIN.ways[0].model_dump(), "name": name, **fields})
    return Provider(id=name, ways=(way,), file=file, class_name=class_name)


def lay_out(
    root: Path,
    *,
    flavors: dict[str, str] | None = None,
    families: dict[str, str] | None = None,
    scripts: dict[str, str] | None = None,
) -> Path:
    """Writes a checkout below `root`, with the scripts that phases are forked by; returns it."""
    shutil.copytree(ROOT / "scenarios" / "forks", root / "scenarios" / "forks")
    for name, text in (flavors or {"test-flavor": FLAVOR}).items():
        directory = root / "docker" / "flavors" / name
        directory.mkdir(parents=True)
        (directory / "flavor.toml").write_text(text)
        (directory / "requirements-cpu.txt").write_text("")
    for name, text in (families or {"basic": FAMILY}).items():
        directory = root / "scenarios" / "families" / name
        directory.mkdir(parents=True)
        (directory / "scenarios.toml").write_text(text)
        for script in ("save.py", "load.py", "predict.py"):
            body = (scripts or {}).get(script, "print('hello')")
            (directory / script).write_text(dedent(body))
    return root
