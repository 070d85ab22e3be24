from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.scenarios.phases import run_code

pytestmark = pytest.mark.tensorflow


def test_digits_are_drawn_and_mnist_is_preferred(tmp_path: Path) -> None:
    code = """
import json, os
import numpy as np
from common import data
digits = data.load(os.environ["DATA_DIR"])
again = data.load(None)
flat = data.drawn(np.full((1, 8, 8), 16, np.uint8))
corner = np.zeros((1, 8, 8), np.uint8)
corner[0, 0, 0] = 16
corner = data.drawn(corner)[0]
one = np.zeros((2, 28, 28), np.uint8)
np.savez(os.path.join(os.environ["OUTPUT_DIR"], "mnist.npz"),
         x_train=one, y_train=one[:, 0, 0], x_test=one[:1], y_test=one[:1, 0, 0])
mnist = data.load(os.environ["OUTPUT_DIR"])
print(json.dumps({
    "name": digits.name,
    "shapes": [list(part.shape) for part in digits[1:]],
    "dtypes": [part.dtype.name for part in digits[1:]],
    "range": [int(digits.x_train.min()), int(digits.x_train.max())],
    "same": bool((digits.x_test == again.x_test).all()),
    "classes": sorted(set(digits.y_train.tolist())),
    "flat": sorted(set(flat.ravel().tolist())),
    "corner": [int(corner[0, 0]), int(corner[1, 1]), int(corner[-1, -1])],
    "symmetric": bool((corner == corner.T).all()),
    "mnist": [mnist.name, list(mnist.x_train.shape)],
}))
"""
    ended = run_code("tf1-tfkeras", code, tmp_path, DATA_DIR=str(tmp_path / "none"))
    assert ended.code == 0, ended.log
    assert json.loads(ended.log.splitlines()[-1]) == {
        "name": "uci-digits",
        "shapes": [[1500, 28, 28], [1500], [297, 28, 28], [297]],
        "dtypes": ["uint8"] * 4,
        "range": [0, 255],
        "same": True,
        "classes": list(range(10)),
        "flat": [255],
        "corner": [255, 255, 0],
        "symmetric": True,
        "mnist": ["mnist", [2, 28, 28]],
    }
