"""The files that Keras writes, and what is in them."""

import json
import os

from common import claim, digest, marker

# Method 1.
CHECKPOINT = "checkpoint.h5"
# Method 2.
MODEL = "model.h5"
# Method 3.
ARCHITECTURE = "architecture.json"
WEIGHTS = "weights.h5"
_STATE = "optimizer.json"


def remember(cifar, model):
    """Leaves the number of the optimizer's variables, to compare the files with."""
    with open(cifar.output(_STATE), "w") as file:
        json.dump(len(digest.optimizer_variables(model)), file)


def check_whole_model(cifar, name):
    """States what methods 1 and 2 leave: all that training needs to go on, in one HDF5 file."""
    path = cifar.input(name)
    with open(cifar.input(_STATE)) as file:
        trained = json.load(file)
    _check_format(cifar, path)
    claim.state("the file holds the architecture", True, _has(path, "model_config"))
    claim.state("the file holds the training configuration", True, _has(path, "training_config"))
    claim.state("optimizer weights in the file", trained, _optimizer_weights(path))


def check_same_content(cifar, name, other):
    """States that two files hold the same arrays, bit by bit."""
    ours, theirs = _arrays(cifar.input(name)), _arrays(cifar.input(other))
    claim.state("arrays in {}".format(name), len(theirs), len(ours))
    unequal = [key for key in theirs if ours.get(key) != theirs[key]]
    text = "arrays that differ between {} and {}".format(name, other)
    claim.state(text, 0, len(unequal))


def check_weights_only(cifar, model):
    """States what method 3 leaves: what predicting needs and nothing of training."""
    path, whole = cifar.input(WEIGHTS), cifar.input(MODEL)
    size = os.path.getsize(path) + os.path.getsize(cifar.input(ARCHITECTURE))
    _check_format(cifar, path)
    claim.state("the file holds the architecture", False, _has(path, "model_config"))
    claim.state("the file holds the training configuration", False, _has(path, "training_config"))
    claim.state("optimizer weights in the file", 0, _optimizer_weights(path))
    claim.state("the rebuilt model has an optimizer", False, _is_compiled(model))
    claim.state("smaller than the whole model", True, size < os.path.getsize(whole))
    marker.emit(
        "note",
        text="JSON and weights carry no optimizer state: training cannot be resumed from them"
        " ({:,} bytes; the whole model has {:,})".format(size, os.path.getsize(whole)),
    )


def _check_format(cifar, path):
    """States that a Keras file is no TensorFlow checkpoint."""
    import h5py

    claim.state("the Keras file is HDF5", True, bool(h5py.is_hdf5(path)))
    claim.state("TensorFlow reads the Keras file as a checkpoint", False, _is_read(cifar.tf, path))


def _is_read(tf, path):
    # `checkpoint_exists` takes any file for a checkpoint of the first format.
    try:
        tf.train.load_checkpoint(path)
    except (tf.errors.OpError, ValueError, RuntimeError) as problem:
        print("TensorFlow: {}".format(problem))
        return False
    return True


def _has(path, attribute):
    import h5py

    with h5py.File(path, "r") as file:
        return attribute in file.attrs


def _optimizer_weights(path):
    return sum(name.startswith("optimizer_weights/") for name in _arrays(path))


def _arrays(path):
    """Digest of each array in an HDF5 file, by its name."""
    import h5py

    found = {}

    def visit(name, entry):
        if isinstance(entry, h5py.Dataset):
            found[name] = digest.of_arrays([entry[()]])

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return found


def _is_compiled(model):
    return getattr(model, "optimizer", None) is not None
