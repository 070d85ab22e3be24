"""The files that Keras writes, and what is in them."""

import json
import os
import typing

from common import digest, marker
from families.dnndk_freeze.cifar_cnn import CifarCnn

# Method 1.
CHECKPOINT = "checkpoint.h5"
# Method 2.
MODEL = "model.h5"
# Method 3.
ARCHITECTURE = "architecture.json"
WEIGHTS = "weights.h5"
_STATE = "optimizer.json"


def remember(cifar: CifarCnn, model: typing.Any) -> None:
    """Leaves the number of the optimizer's variables, to compare the files with."""
    with open(cifar.output(_STATE), "w") as file:
        json.dump(len(digest.optimizer_variables(model)), file)


def check_whole_model(cifar: CifarCnn, name: str) -> None:
    """Claims what methods 1 and 2 leave: all that training needs to go on, in one HDF5 file."""
    path = cifar.input(name)
    with open(cifar.input(_STATE)) as file:
        trained = json.load(file)
    _check_format(cifar, path)
    marker.claim("the file holds the architecture", True, _has(path, "model_config"))
    marker.claim("the file holds the training configuration", True, _has(path, "training_config"))
    marker.claim("optimizer weights in the file", trained, _optimizer_weights(path))


def check_same_content(cifar: CifarCnn, name: str, other: str) -> None:
    """Claims that two files hold the same arrays, bit by bit."""
    ours, theirs = _arrays(cifar.input(name)), _arrays(cifar.input(other))
    marker.claim(f"arrays in {name}", len(theirs), len(ours))
    unequal = [key for key in theirs if ours.get(key) != theirs[key]]
    text = f"arrays that differ between {name} and {other}"
    marker.claim(text, 0, len(unequal))


def check_weights_only(cifar: CifarCnn, model: typing.Any) -> None:
    """Claims what method 3 leaves: what predicting needs and nothing of training."""
    path, whole = cifar.input(WEIGHTS), cifar.input(MODEL)
    size = os.path.getsize(path) + os.path.getsize(cifar.input(ARCHITECTURE))
    _check_format(cifar, path)
    marker.claim("the file holds the architecture", False, _has(path, "model_config"))
    marker.claim("the file holds the training configuration", False, _has(path, "training_config"))
    marker.claim("optimizer weights in the file", 0, _optimizer_weights(path))
    marker.claim("the rebuilt model has an optimizer", False, _is_compiled(model))
    marker.claim("smaller than the whole model", True, size < os.path.getsize(whole))
    marker.note(
        "JSON and weights carry no optimizer state: training cannot be resumed from them"
        f" ({size:,} bytes; the whole model has {os.path.getsize(whole):,})"
    )


def _check_format(cifar: CifarCnn, path: str) -> None:
    """Claims that a Keras file is no TensorFlow checkpoint."""
    import h5py

    marker.claim("the Keras file is HDF5", True, bool(h5py.is_hdf5(path)))
    marker.claim("TensorFlow reads the Keras file as a checkpoint", False, _is_read(cifar.tf, path))


def _is_read(tf: typing.Any, path: str) -> bool:
    # `checkpoint_exists` takes any file for a checkpoint of the first format.
    try:
        tf.train.load_checkpoint(path)
    except (tf.errors.OpError, ValueError, RuntimeError) as problem:
        print(f"TensorFlow: {problem}")
        return False
    return True


def _has(path: str, attribute: str) -> bool:
    import h5py

    with h5py.File(path, "r") as file:
        return attribute in file.attrs


def _optimizer_weights(path: str) -> int:
    return sum(name.startswith("optimizer_weights/") for name in _arrays(path))


def _arrays(path: str) -> typing.Dict[str, str]:
    """Digest of each array in an HDF5 file, by its name."""
    import h5py

    found: typing.Dict[str, str] = {}

    def visit(name: str, entry: typing.Any) -> None:
        if isinstance(entry, h5py.Dataset):
            found[name] = digest.of_arrays([entry[()]])

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return found


def _is_compiled(model: typing.Any) -> bool:
    return getattr(model, "optimizer", None) is not None
