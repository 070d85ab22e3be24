"""What a training step of keras3-jax takes, compiled for a GPU that this machine has not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.scenarios.phases import run_code

# Trains a model for a step on a few images, and compiles that for a GPU with a large batch.
_CODE = """
import os, sys; sys.path.append(os.environ['PYTHONPATH'] + '/families')
from common import marker
from meters.target import program

{workload}

def script(work):
    model, images = build(work), {images}
    x, y = work.x_train[:images], work.y_train[:images]
    model.fit(x, y, batch_size=images, verbose=0, callbacks=[work.lms()])
    measured = program.measure(model, x, y, {batch} // images)
    marker.emit("note", text="compiled", fields=measured and measured.fields())

Workload.run(script)
"""


def fields(
    directory: Path, workload: str, images: int, batch: int, provider: str, **told: str
) -> dict[str, Any]:
    """What the marker `trace` would say of it.

    Args:
        workload: code of `Workload`, a class that has the data, and of `build`, which makes the
            model of one.
        images: that the step is run with, by which `batch` can be divided.
    """
    code = _CODE.format(workload=workload, images=images, batch=batch)
    ended = run_code("keras3-jax", code, directory / provider, LMS_PROVIDER=provider, **told)
    assert ended.code == 0, ended.log
    found: dict[str, Any] = ended.one("note", text="compiled")["fields"]
    assert found["compiled_for"] == "NVIDIA H100"
    return found
