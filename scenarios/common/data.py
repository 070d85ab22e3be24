"""Images of digits: MNIST where DATA_DIR has it, else the data set shipped with the project."""

import os
import typing

_DIGITS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data")
_SIDE = 28
_TRAIN_DIGITS = 1500


class Digits(
    typing.NamedTuple(
        "Digits",
        [
            ("name", str),
            ("x_train", typing.Any),
            ("y_train", typing.Any),
            ("x_test", typing.Any),
            ("y_test", typing.Any),
        ],
    )
):
    """Grey images and their labels.

    name: which data set this is. x_train, x_test: uint8 [images, 28, 28], 0 to 255.
    y_train, y_test: uint8 [images], 0 to 9.
    """

    __slots__ = ()


def load(directory=None):
    """MNIST from `<directory>/mnist.npz` (Keras' own file) if it is there, else the digits."""
    import numpy as np

    path = os.path.join(directory, "mnist.npz") if directory else ""
    if os.path.isfile(path):
        with np.load(path) as content:
            parts = [content[name] for name in ("x_train", "y_train", "x_test", "y_test")]
        return Digits("mnist", *parts)
    with np.load(os.path.join(_DIGITS, "digits.npz")) as content:
        images, labels = drawn(content["images"]), content["labels"]
    at = _TRAIN_DIGITS
    return Digits("uci-digits", images[:at], labels[:at], images[at:], labels[at:])


def drawn(images, side=_SIDE):
    """Bilinear enlargement of uint8 [n, 8, 8] images of 0..16 to uint8 [n, side, side] of 0..255.

    The rows and columns of pixel centres are aligned, as image libraries do it; beyond the
    outermost centres the nearest pixel goes on.
    """
    import numpy as np

    weights = _interpolation(images.shape[1], side)
    drawing = np.matmul(np.matmul(weights, images.astype(np.float32)), weights.T)
    return np.rint(drawing * (255.0 / 16.0)).astype(np.uint8)


def _interpolation(size, enlarged):
    """float32 [enlarged, size]: how much of each old row is in each drawn row."""
    import numpy as np

    position = np.clip((np.arange(enlarged) + 0.5) * size / enlarged - 0.5, 0, size - 1)
    lower = np.minimum(position.astype(int), size - 2)
    fraction = position - lower
    weights = np.zeros((enlarged, size), np.float32)
    rows = np.arange(enlarged)
    weights[rows, lower] = 1 - fraction
    weights[rows, lower + 1] = fraction
    return weights
