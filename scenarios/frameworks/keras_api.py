"""The Keras that a flavor is about."""

import typing


def load(name: str, mode: str = "session") -> typing.Any:
    """The Keras package.

    name: the contract's KERAS: `'tf.keras'` for TensorFlow's own, `'keras'` for keras-team's, which
        is Keras 3 wherever models do not run in sessions.
    mode: how its models run: `'session'`, `'function'` or `'eager'`.

    All have the same public modules (`models`, `layers`, `optimizers`, `callbacks`, `backend`),
    so a script takes the package and asks no more about it.
    """
    if name == "tf.keras":
        if mode == "session":
            import tensorflow.compat.v1 as tf
        else:
            import tensorflow as tf
        return tf.keras
    import keras

    if mode == "session":
        _mend_device_scope(keras)
    return keras


def _mend_device_scope(keras: typing.Any) -> None:
    """Lets Keras 2.2.4 find the current device under TensorFlow 1.15.

    It hands a stand-in for an operation to TensorFlow, which has come to set the device of an
    operation by another method. Without it batch normalisation fails in any device scope.
    """
    stand_in = getattr(keras.backend.tensorflow_backend, "_TfDeviceCaptureOp", None)
    if stand_in is None or hasattr(stand_in, "_set_device_from_string"):
        return
    import tensorflow.compat.v1 as tf

    def _set_device_from_string(self: typing.Any, device: str) -> None:
        self._set_device(tf.DeviceSpec.from_string(device))

    stand_in._set_device_from_string = _set_device_from_string


def version(keras: typing.Any) -> typing.Optional[str]:
    """Version of a Keras package, e.g. `'2.2.4-tf'`; None if it does not say."""
    own = getattr(keras, "__version__", None)
    if own is not None:
        return str(own)
    # TensorFlow 2's `tf.keras` is a view of another package.
    for package in ("tf_keras", "keras"):
        if getattr(keras, "__name__", "").startswith(package):
            return getattr(__import__(package), "__version__", None)
    return None
