"""Images: MNIST and CIFAR-10 where DATA_DIR has them, else the digits shipped with the project."""

import os
import typing

from common import cifar10
from common.errors import unavailable

_DIGITS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data")
_SIDE = 28
_TRAIN_DIGITS = 1500
_PALETTE_SEED = 10
CLASSES = 10


class Images(typing.NamedTuple):
    """Images and their labels.

    name: which data set this is. x_train, x_test: uint8 [images, 28, 28] in grey or
    [images, 32, 32, 3] in colour, 0 to 255. y_train, y_test: uint8 [images], 0 to 9.
    """

    name: str
    x_train: typing.Any
    y_train: typing.Any
    x_test: typing.Any
    y_test: typing.Any


def load(directory: typing.Optional[str] = None) -> Images:
    """MNIST from `<directory>/mnist.npz` (Keras' own file) if it is there, else the digits.

    A file that is no such archive ends the process with exit code 3 and one line: data is what the
    harness has promised, and nothing that is tested has made it.
    """
    path = os.path.join(directory, "mnist.npz") if directory else ""
    if os.path.isfile(path):
        return Images("mnist", *_arrays(path, ("x_train", "y_train", "x_test", "y_test")))
    return _shipped(_SIDE)


def _arrays(path: str, names: typing.Sequence[str]) -> typing.List[typing.Any]:
    """The arrays of a file of numpy's; one that is damaged ends the process with exit code 3."""
    import numpy as np

    try:
        with np.load(path) as content:
            return [content[name] for name in names]
    except Exception as problem:  # a damaged archive can raise any
        unavailable("%s is damaged: %s" % (path, problem or repr(problem)))


def _shipped(side: int) -> Images:
    """The digits that come with the project, in images of side x side pixels."""
    images, labels = _arrays(os.path.join(_DIGITS, "digits.npz"), ("images", "labels"))
    images = drawn(images, side)
    at = _TRAIN_DIGITS
    return Images("uci-digits", images[:at], labels[:at], images[at:], labels[at:])


def load_cifar10(
    directory: typing.Optional[str] = None, train: int = 1024, test: int = 256
) -> Images:
    """CIFAR-10 from `<directory>/cifar-10-python.tar.gz` if it is there, else coloured digits.

    train, test: how many images at most. A file that is no such archive ends the process with
    exit code 3 and one line.
    """
    path = os.path.join(directory, cifar10.FILE) if directory else ""
    if os.path.isfile(path):
        try:
            trained, tested = cifar10.read(path, train, test)
        except ValueError as problem:
            unavailable(problem)
        return Images("cifar-10", *(trained + tested))
    digits = _shipped(cifar10.SIDE)
    return Images(
        "uci-digits in colour",
        coloured(digits.x_train[:train]),
        digits.y_train[:train],
        coloured(digits.x_test[:test], _PALETTE_SEED + 1),
        digits.y_test[:test],
    )


def coloured(images: typing.Any, seed: int = _PALETTE_SEED) -> typing.Any:
    """uint8 [n, h, w, 3] of grey uint8 [n, h, w]: bright strokes on a dark ground.

    Each image has two colours of its own, which say nothing of its label.
    """
    import numpy as np

    # The numbers of a RandomState are the same in every version of numpy.
    random = np.random.RandomState(seed)
    ground = random.randint(0, 96, (len(images), 1, 1, 3))
    stroke = random.randint(160, 256, (len(images), 1, 1, 3))
    grey = images[..., None].astype(int)
    return ((stroke * grey + ground * (255 - grey)) // 255).astype(np.uint8)


def scaled(images: typing.Any) -> typing.Any:
    """float32 in 0..1 of uint8: [n, side, side, colours], grey images [n, side, side] with one."""
    channels = images if images.ndim == 4 else images[..., None]
    return channels.astype("float32") / 255.0


def one_hot(labels: typing.Any, classes: int = CLASSES) -> typing.Any:
    """float32 [n, classes] of labels [n]."""
    import numpy as np

    return np.eye(classes, dtype="float32")[labels]


def drawn(images: typing.Any, side: int = _SIDE) -> typing.Any:
    """Bilinear enlargement of uint8 [n, 8, 8] images of 0..16 to uint8 [n, side, side] of 0..255.

    The rows and columns of pixel centres are aligned, as image libraries do it; beyond the
    outermost centres the nearest pixel goes on.
    """
    import numpy as np

    weights = _interpolation(images.shape[1], side)
    drawing = np.matmul(np.matmul(weights, images.astype(np.float32)), weights.T)
    return np.rint(drawing * (255.0 / 16.0)).astype(np.uint8)


def _interpolation(size: int, enlarged: int) -> typing.Any:
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
