"""How the releases save a model, or a part of it, and load it again. Nothing is repaired here."""

import json
import os
import pickle
import typing

from common import marker
from common.errors import refuse
from providers.interface import Provider
from workload import loading

if typing.TYPE_CHECKING:
    from families.keras_state.variant import Variant

Model = typing.Any

_NAMES = {
    "h5": "model.h5",
    "keras": "model.keras",
    "savedmodel": "model",
    "keras_after_h5": "model.keras",
    "weights_h5": "weights.h5",
    "weights_by_name": "weights.h5",
    "json": "weights.h5",
    "weights_tf": "weights/weights",
    "weights_v3": "model.weights.h5",
    "weights_v3_built": "model.weights.h5",
    "weights_skip_mismatch": "model.weights.h5",
    "sharded": "model.weights.json",
    "checkpoint": "checkpoint/model",
    "state_tree": "state.pickle",
    "orbax": "checkpoints",
    "orbax_weights": "checkpoints",
}
_WHOLE = ("h5", "keras", "keras_after_h5", "savedmodel", "orbax")
_BY_CALLBACK = ("orbax", "orbax_weights")
_BUILT = ("weights_v3_built", "weights_skip_mismatch", "sharded")
_OPTIONS = {
    "weights_by_name": {"by_name": True},
    "weights_skip_mismatch": {"skip_mismatch": True},
}
_ARCHITECTURE = "architecture.json"
_REMATERIALISED = "rematerialised.json"


def check(variant: "Variant") -> None:
    """Ends the process with exit code 2 where the format is none of those here."""
    _name(variant)


def callbacks(variant: "Variant") -> typing.List[typing.Any]:
    """Those that save in the variant's format while the model trains."""
    if variant.format not in _BY_CALLBACK:
        return []
    return [variant.keras.callbacks.OrbaxCheckpoint(variant.output(_name(variant)))]


def save(variant: "Variant", model: Model) -> None:
    """Saves a model in the variant's format, unless one of its `callbacks` has."""
    if variant.format in _BY_CALLBACK:
        return
    path = variant.output(*_name(variant).split("/"))
    if variant.format == "savedmodel":
        model.save(path, save_format="tf")
    elif variant.format in _WHOLE:
        if variant.format == "keras_after_h5":
            model.save(variant.output("model.h5"))
        model.save(path)
    elif variant.format == "sharded":
        model.save_weights(path, max_shard_size=0.000002)  # GB
    elif variant.format == "checkpoint":
        _checkpoint(variant, model).save(path)
    elif variant.format == "state_tree":
        with open(path, "wb") as file:
            pickle.dump(model.get_state_tree(value_format="numpy_array"), file)
    else:
        model.save_weights(path)
    if variant.format == "json":
        with open(variant.output(_ARCHITECTURE), "w") as file:
            file.write(model.to_json())


def load(variant: "Variant", lms: Provider) -> Model:
    """The model as it was saved in the variant's format, shown to LMS."""
    path = variant.input(*_name(variant).split("/"))
    if variant.format in _WHOLE:
        return _load_whole(variant, lms, path)
    model = _from_json(variant) if variant.format == "json" else variant.compiled()
    lms.set_model(model)
    if variant.format == "checkpoint":
        _build_optimizer(variant, model)
        _restore(variant, model, os.path.dirname(path))
    elif variant.format == "state_tree":
        _build_optimizer(variant, model)
        with open(path, "rb") as file:
            model.set_state_tree(pickle.load(file))
    else:
        if variant.format in _BUILT:
            _build_optimizer(variant, model)
        model.load_weights(path, **_OPTIONS.get(str(variant.format), {}))
    return model


def _name(variant: "Variant") -> str:
    if variant.format not in _NAMES:
        refuse(f"VARIANT_FORMAT is {variant.format!r}; it must be one of {', '.join(_NAMES)}")
    return _NAMES[variant.format]


def _load_whole(variant: "Variant", lms: Provider, path: str) -> Model:
    custom = variant.custom_objects()
    if variant.phase.mode == "session" and variant.format == "h5":
        # Keras' own would set weights, and so run the graph, before LMS has seen it.
        return loading.load_model(variant.keras, path, [lms], custom_objects=custom)
    model = variant.keras.models.load_model(path, custom_objects=custom)
    lms.set_model(model)
    return model


def _from_json(variant: "Variant") -> Model:
    """The model of the architecture that was saved, compiled as code does."""
    with open(variant.input(_ARCHITECTURE)) as file:
        custom = variant.custom_objects()
        model = variant.keras.models.model_from_json(file.read(), custom_objects=custom)
    return variant.compile(model)


def _build_optimizer(variant: "Variant", model: Model) -> None:
    """Makes the optimizer's variables; in a graph they come with the train function."""
    if variant.phase.mode == "session":
        return
    optimizer = model.optimizer
    if hasattr(optimizer, "_create_all_weights"):  # of before Keras 2.11: what load_model calls
        optimizer._create_all_weights(model.trainable_variables)
    else:
        optimizer.build(model.trainable_variables)


def _checkpoint(variant: "Variant", model: Model) -> typing.Any:
    return variant.tf.train.Checkpoint(model=model, optimizer=model.optimizer)


def _restore(variant: "Variant", model: Model, directory: str) -> None:
    path = variant.tf.train.latest_checkpoint(directory)
    if path is None:
        # Restoring None does nothing, and says nothing.
        raise FileNotFoundError(f"no checkpoint in {directory}")
    status = _checkpoint(variant, model).restore(path)
    status.assert_existing_objects_matched()
    if variant.phase.mode == "session":
        status.run_restore_ops(variant.runtime.session)


def note_rematerialised(variant: "Variant", model: Model) -> None:
    """Writes down which layers are rematerialised, for the phase that loads."""
    if variant.example.rematerialises:
        with open(variant.output(_REMATERIALISED), "w") as file:
            json.dump(_rematerialised(model), file)


def claim_rematerialised(variant: "Variant", model: Model) -> None:
    """Claims that the layers which were rematerialised before the save still are."""
    if variant.example.rematerialises:
        with open(variant.input(_REMATERIALISED)) as file:
            expected = json.load(file)
        marker.claim("layers that are rematerialised", expected, _rematerialised(model))


def _rematerialised(model: Model) -> str:
    """The names of the layers that were made in a remat scope. Keras has no public word of it."""
    made = [layer.name for layer in model.layers if getattr(layer, "_remat_mode", None)]
    return ", ".join(made) or "none"
