"""`load_model` with callbacks, which no release of Keras has.

In session mode the order is that of the API change proposed in keras-team/keras pull request 11303:
a callback sees the whole model, its train function included, before a session sets the first value.
"""

import json
import typing

from common import marker


def load_model(
    keras: typing.Any,
    path: str,
    callbacks: typing.Iterable[typing.Any] = (),
    custom_objects: typing.Optional[typing.Dict[str, typing.Any]] = None,
    mode: str = "session",
) -> typing.Any:
    """Loads a whole model from a file that this Keras, or another, has saved.

    keras: the Keras package. callbacks: in session mode `set_model` of each is called after the
        model is built and compiled and before its weights and its optimizer's are set.
    mode: how models run, see `Phase`. Values that are set eagerly freeze nothing, so wherever there
        is no session it is Keras' own `load_model`, with whatever formats that reads, and then
        `set_model`.

    In session mode the file is HDF5.
    A file without training configuration gives a model that is not compiled; one without
    optimizer weights an optimizer in its first state. Raises ValueError for a file that holds no
    model, and what h5py raises for one that cannot be read.
    """
    if mode != "session":
        model = keras.models.load_model(path, custom_objects=custom_objects)
        for callback in callbacks:
            callback.set_model(model)
        return model
    import h5py

    with h5py.File(path, "r") as file:
        config = file.attrs.get("model_config")
        if config is None:
            raise ValueError(f"{path}: holds no model, only weights")
        training = file.attrs.get("training_config")
        optimizer_weights = _optimizer_weights(file)
    model = keras.models.model_from_json(_text(config), custom_objects=custom_objects)
    if training is not None:
        model.compile(**_compile_arguments(keras, json.loads(_text(training)), custom_objects))
        if optimizer_weights is not None:
            # The optimizer has no variables before.
            model._make_train_function()
    for callback in callbacks:
        callback.set_model(model)
    model.load_weights(path)
    if training is not None and optimizer_weights is not None:
        model.optimizer.set_weights(optimizer_weights)
    return model


def built(
    model: typing.Any, callbacks: typing.Iterable[typing.Any] = (), mode: str = "session"
) -> typing.Any:
    """What `load_model` makes of a file with optimizer weights, without a file: no value is set.

    model: compiled, with initial weights. callbacks, mode: as there.

    In session mode LMS swaps more in a prediction where the train function is in the graph.
    """
    if mode == "session":
        model._make_train_function()
    for callback in callbacks:
        callback.set_model(model)
    return model


def repair_optimizer(model: typing.Any, path: str) -> None:
    """Gives a model of Keras 3 the optimizer that its HDF5 file holds, and notes it.

    Keras 3 builds it for the variables that the model has beside its layers', which are none: it
    has no slots, its state is dropped without a word, and `fit` fails. Where that is not so nothing
    is done.
    """
    optimizer: typing.Any = getattr(model, "optimizer", None)
    of_none = getattr(optimizer, "built", False) and not optimizer._trainable_variables
    if not of_none or not model.trainable_variables:
        return
    import h5py

    repaired = optimizer.__class__.from_config(optimizer.get_config())
    repaired.build(model.trainable_variables)
    with h5py.File(path, "r") as file:
        values = _optimizer_weights(file)
    for variable, value in zip(repaired.variables, values or ()):
        variable.assign(value)
    model.optimizer = repaired
    marker.note("repaired: load_model drops the optimizer's state of an HDF5 file; it is set again")


def _compile_arguments(
    keras: typing.Any, training: typing.Dict[str, typing.Any], custom_objects: typing.Any
) -> typing.Dict[str, typing.Any]:
    arguments = {
        name: training[name]
        for name in ("metrics", "weighted_metrics", "sample_weight_mode", "loss_weights")
        if training.get(name) is not None
    }
    loss = training["loss"]
    if isinstance(loss, dict) and "class_name" in loss:
        loss = keras.losses.get(loss)
    arguments["loss"] = loss
    arguments["optimizer"] = keras.optimizers.deserialize(
        training["optimizer_config"], custom_objects=custom_objects
    )
    return arguments


def _optimizer_weights(file: typing.Any) -> typing.Optional[typing.List[typing.Any]]:
    """Numpy arrays in the order of the optimizer's weights, or None where none were saved."""
    if "optimizer_weights" not in file:
        return None
    group = file["optimizer_weights"]
    return [group[name][()] for name in _names(group, "weight_names")]


def _names(group: typing.Any, attribute: str) -> typing.List[str]:
    """Names in an attribute, which Keras splits over several where it is larger than 64 KiB."""
    if attribute in group.attrs:
        chunks = [group.attrs[attribute]]
    else:
        chunks = []
        while attribute + str(len(chunks)) in group.attrs:
            chunks.append(group.attrs[attribute + str(len(chunks))])
    return [_text(name) for chunk in chunks for name in chunk]


def _text(value: typing.Union[bytes, str]) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
