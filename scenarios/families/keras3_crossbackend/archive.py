"""A file that another backend of Keras 3 has saved.

Layers, weights and the state of the optimizer are the same on each backend. Two things in a
`.keras` file are the saver's own: its optimizer's class, if that is torch's, and whether the step
is compiled.
"""

import io
import json
import typing
import zipfile

from common import digest, marker
from families.keras_saveload.mnist_cnn import MnistCnn

_CONFIG = "config.json"
_WEIGHTS = "model.weights.h5"
_OPTIMIZER = "optimizer/vars"
_PUBLIC = "keras.optimizers"
# What Keras itself chooses on a backend. On TensorFlow it depends on the devices, and LMS sees to
# it that the step is not compiled.
_JIT_COMPILE = {"jax": True, "torch": False}


def load_repaired(mnist: MnistCnn, path: str) -> typing.Any:
    """The model of a `.keras` file, compiled, to be shown to LMS before it is trained.

    What has to be done beyond Keras' `load_model` is noted.
    """
    model = _loaded(mnist, path)
    backend = mnist.phase.backend
    wanted = _JIT_COMPILE.get(backend, model.jit_compile)
    if model.jit_compile != wanted:
        marker.note(
            f"repaired: the file has jit_compile={model.jit_compile}, the choice of the backend"
            f" that saved it; it is {wanted} on {backend}"
        )
        model.jit_compile = wanted
    return model


def _loaded(mnist: MnistCnn, path: str) -> typing.Any:
    load, classes = mnist.keras.models.load_model, mnist.custom_objects
    try:
        return load(path, custom_objects=classes)
    except TypeError:
        module, name = _optimizer_class(path)
        if module == _PUBLIC:
            raise
    marker.note(
        "repaired: load_model fails where torch is not installed: the file names the optimizer"
        f" {module}.{name}; {_PUBLIC}.{name} is passed as a custom object"
    )
    optimizer = getattr(mnist.keras.optimizers, name)
    return load(path, custom_objects=dict(classes, **{name: optimizer}))


def digest_state(mnist: MnistCnn, model: typing.Any, path: str) -> None:
    """Marks what the loaded model holds: weights, the optimizer's state, predictions.

    path: the `.keras` or `.weights.h5` file that it is from.
    """
    if not mnist.phase.measure:
        return
    mnist.digest(model, "restored")
    told = mnist.optimizer_state(model)
    digest.arrays("optimizer", "restored", as_saved(told.values, path), told.names)


def as_saved(values: typing.Sequence[typing.Any], path: str) -> typing.List[typing.Any]:
    """The values of the optimizer's variables, its step in the type in which the file has it.

    TensorFlow counts steps in int64, torch and jax in int32. The count is what a file carries, the
    type is the backend's. Nothing else is cast.
    """
    import h5py

    with h5py.File(_weights(path), "r") as weights:
        types = [weights[_OPTIMIZER][str(index)].dtype for index in range(len(values))]
    return [
        value.astype(of) if value.dtype.kind == "i" and of.kind == "i" else value
        for value, of in zip(values, types)
    ]


def _weights(path: str) -> typing.Union[str, io.BytesIO]:
    """What h5py can open, of a `.keras` file or of one with only weights."""
    if not zipfile.is_zipfile(path):
        return path
    with zipfile.ZipFile(path) as archive:
        return io.BytesIO(archive.read(_WEIGHTS))


def _optimizer_class(path: str) -> typing.Tuple[str, str]:
    """Module and name of the optimizer's class, as the file has them."""
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read(_CONFIG).decode("utf-8"))
    optimizer = config["compile_config"]["optimizer"]
    return optimizer["module"], optimizer["class_name"]
