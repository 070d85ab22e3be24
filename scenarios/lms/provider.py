"""The provider of swapping that the environment asks for."""

from common.phase import refuse


def create(runtime, training=True, batch_size=None):
    """A callback of the flavor's Keras that edits the model's graph.

    training: False where the model will only predict. batch_size: the batch size of training, for
        sizes in reports.

    It has `set_model(model)`, which Keras calls when training starts and a script calls before it
    loads weights, and `run(graph=None)` for a script that only predicts; the first of them edits.
    `is_training` can be changed before.

    With an unknown provider or wrong parameters the process ends with exit code 2 and one line.
    """
    provider = _class(runtime.phase.provider)
    callback = type("LMSCallback", (provider, runtime.keras.callbacks.Callback), {})
    try:
        created = callback(runtime, runtime.phase.parameters, batch_size)
    except (ValueError, ImportError) as error:
        refuse(error)
    created.is_training = training
    return created


def _class(name):
    if name == "builtin":
        from .builtin import SessionEditor

        return SessionEditor
    if name == "off":
        from .off import Untouched

        return Untouched
    if name == "tflms":
        from .tflms import Adapter

        return Adapter
    return refuse("unknown LMS provider {!r}".format(name))
