"""The Keras that a flavor is about."""


def load(name):
    """The Keras package.

    name: the contract's KERAS: `'tf.keras'` for TensorFlow's own, `'keras'` for keras-team's.

    Both have the same public modules (`models`, `layers`, `optimizers`, `callbacks`, `backend`),
    so a script takes the package and asks no more about it.
    """
    if name == "tf.keras":
        import tensorflow.compat.v1 as tf

        return tf.keras
    import keras

    return keras


def version(keras):
    """Version of a Keras package, e.g. `'2.2.4-tf'`."""
    return getattr(keras, "__version__", None)
