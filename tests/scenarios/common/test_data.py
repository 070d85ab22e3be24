from __future__ import annotations

import io
import json
import struct
import tarfile
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


def batch(first: int, labels: list[int]) -> bytes:
    """A batch in the form in which Python 2 pickled those of CIFAR-10.

    The red plane of image i is first + i, the green one 100 more, the blue one 200.
    """
    planes = b"".join(
        bytes([first + number + colour]) * 1024
        for number in range(len(labels))
        for colour in (0, 100, 200)
    )
    return b"".join(
        (
            b"\x80\x02}(U\x04data",
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R",
            b"(K\x01K" + bytes([len(labels)]) + b"M\x00\x0c\x86",
            b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R",
            b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89",
            b"T" + struct.pack("<I", len(planes)) + planes + b"tb",
            b"U\x06labels](" + b"".join(b"K" + bytes([label]) for label in labels) + b"eu.",
        )
    )


def archive(directory: Path, members: dict[str, bytes]) -> Path:
    directory.mkdir()
    with tarfile.open(directory / "cifar-10-python.tar.gz", "w:gz") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return directory


LOAD = """
import json, os
from common import data
pictures = data.load_cifar10(os.environ["DATA_DIR"], train=3, test=2)
print(json.dumps({
    "name": pictures.name,
    "shapes": [list(part.shape) for part in pictures[1:]],
    "dtypes": sorted({part.dtype.name for part in pictures[1:]}),
    "labels": [pictures.y_train.tolist(), pictures.y_test.tolist()],
    "pixels": [image[31, 0].tolist() for image in pictures.x_train],
    "dark": int(pictures.x_test[..., 0].min(axis=(1, 2)).max()),
    "bright": int(pictures.x_test[..., 0].max(axis=(1, 2)).min()),
}))
"""


def test_cifar10_is_read_up_to_a_number_of_images(tmp_path: Path) -> None:
    directory = archive(
        tmp_path / "data",
        {
            "data_batch_4": batch(1, [7, 9]),
            "readme.html": b"<html>",
            "test_batch": batch(20, [1]),
            "batches.meta": b"no pickle",
            "data_batch_3": batch(5, [0, 2]),
        },
    )
    ended = run_code("tf1-tfkeras", LOAD, tmp_path / "run", DATA_DIR=str(directory))
    assert ended.code == 0, ended.log
    found = json.loads(ended.log.splitlines()[-1])
    assert found["name"] == "cifar-10"
    assert found["shapes"] == [[3, 32, 32, 3], [3], [1, 32, 32, 3], [1]]
    assert found["dtypes"] == ["uint8"]
    assert found["labels"] == [[7, 9, 0], [1]]
    assert found["pixels"] == [[1, 101, 201], [2, 102, 202], [5, 105, 205]]


def test_without_cifar10_the_digits_are_coloured(tmp_path: Path) -> None:
    ended = run_code("tf1-tfkeras", LOAD, tmp_path, DATA_DIR=str(tmp_path / "none"))
    assert ended.code == 0, ended.log
    found = json.loads(ended.log.splitlines()[-1])
    assert found["name"] == "uci-digits in colour"
    assert found["shapes"] == [[3, 32, 32, 3], [3], [2, 32, 32, 3], [2]]
    assert found["dark"] < 96
    assert found["bright"] > 120


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"cos\nsystem\n(S'touch fell-for-it'\ntR.", "os.system"),
        (b"cnumpy\nload\n(S'x'\ntR.", "numpy.load"),
        (b"\x80\x02}(U\x04dataK\x01u.", "no data and labels"),
        (batch(1, [11]), "labels beyond"),
        (batch(1, [3])[:900], "truncated"),
        (b"", "Ran out of input"),
    ],
)
def test_a_hostile_or_damaged_archive_is_refused(content: bytes, says: str, tmp_path: Path) -> None:
    members = {"data_batch_1": content, "test_batch": batch(1, [1])}
    directory = archive(tmp_path / "data", members)
    ended = run_code("tf1-tfkeras", LOAD, tmp_path / "run", DATA_DIR=str(directory))
    assert ended.code == 3, ended.log
    (line,) = ended.log.splitlines()
    assert line.startswith("error: ")
    assert "no CIFAR-10 archive" in line
    assert says in line
    assert not (tmp_path / "run" / "fell-for-it").exists()


@pytest.mark.parametrize("size", [0, 30, 500])
@pytest.mark.parametrize("missing", [False, True])
def test_a_damaged_file_of_mnist_is_not_what_was_promised(
    size: int, missing: bool, tmp_path: Path
) -> None:
    code = f"""
import os
import numpy as np
from common import data
path = os.path.join(os.environ["OUTPUT_DIR"], "mnist.npz")
one = np.zeros((2, 28, 28), np.uint8)
np.savez(path, x_train=one, y_train=one, x_test=one, **({{}} if {missing} else {{"y_test": one}}))
if not {missing}:
    os.truncate(path, {size})
data.load(os.environ["OUTPUT_DIR"])
"""
    ended = run_code("tf1-tfkeras", code, tmp_path)
    assert ended.code == 3, ended.log
    # Some versions of numpy say more, when what was half made of the archive is collected.
    (line,) = [line for line in ended.log.splitlines() if line.startswith("error: ")]
    assert "mnist.npz is damaged: " in line
