"""The provider of swapping that the environment asks for."""

from common.phase import refuse


def create(runtime, training=True, batch_size=None):
    """A callback of the flavor's Keras that lets LMS swap what the model computes.

    training: False where the model will only predict. batch_size: the batch size of training, for
        sizes in reports.

    It has `set_model(model)`, which Keras calls when training starts and a script calls before it
    loads weights. In session mode that edits; so does `run(graph=None)`, for a script without a
    Keras model. In function mode the functions that the model then makes are edited when they are
    traced; `function(python_function, training=False)` does it for a script's own, on TensorFlow.
    In eager mode the callback swaps in each step that it is given to. `is_training` can be changed
    before.

    With an unknown provider, one that does not know the phase's mode, or wrong parameters the
    process ends with exit code 2 and one line.
    """
    provider = _class(runtime.phase)
    callback = type("LMSCallback", (provider, runtime.keras.callbacks.Callback), {})
    try:
        created = callback(runtime, runtime.phase.parameters, batch_size)
    except (ValueError, ImportError) as error:
        refuse(error)
    created.is_training = training
    return created


def _class(phase):
    name = phase.provider
    if name == "tflms":
        if phase.mode != "session":
            refuse("provider tflms edits the graphs of sessions alone, and this phase has none")
        from .tflms import Adapter

        return Adapter
    if name not in ("builtin", "off"):
        refuse("unknown LMS provider {!r}".format(name))
    if phase.backend == "torch":
        return _torch(name, phase.pretend)
    if phase.backend == "jax":
        return _jax(name, phase.pretend)
    return _tensorflow(name, phase.mode == "function")


def _tensorflow(name, functions):
    if name == "builtin":
        from .builtin import SessionEditor
        from .function import FunctionEditor

        return FunctionEditor if functions else SessionEditor
    from .off import Untouched, UntouchedFunction

    return UntouchedFunction if functions else Untouched


def _torch(name, pretend):
    if name == "builtin" and pretend:
        from .pretend_torch import Pretender

        return Pretender
    from .offload_torch import SavedTensorSwapper, Untouched

    return SavedTensorSwapper if name == "builtin" else Untouched


def _jax(name, pretend):
    if name == "builtin" and pretend:
        from .pretend_jax import Pretender

        return Pretender
    from .offload_jax import OffloadPolicy, Untouched

    return OffloadPolicy if name == "builtin" else Untouched
