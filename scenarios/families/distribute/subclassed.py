"""A model that is a subclass of `keras.Model`: it has no shapes before it is called."""

UNITS = 5
VECTORS = 100
BATCH_SIZE = 4
EPOCHS = 2


def create(keras):
    """A model of one dense layer, not built."""
    return _class(keras)()


def dataset(mnist):
    """Batches of vectors of 5 numbers, and themselves as what is to be learned."""
    tf = mnist.tf
    vector = tf.range(UNITS, dtype=tf.float32)
    return tf.data.Dataset.from_tensors((vector, vector)).repeat(VECTORS).batch(BATCH_SIZE)


def refusal(save):
    """Name of the class of what `save()` raises, or None; prints the message."""
    try:
        save()
    except Exception as problem:
        print("{}: {}".format(type(problem).__name__, str(problem).splitlines()[0]))
        return type(problem).__name__
    return None


def fixed_batch():
    """float32 [2, 5]: vectors whose predictions are compared before the save and after the load."""
    import numpy as np

    return np.arange(2 * UNITS, dtype="float32").reshape(2, UNITS)


def _class(keras):
    class SubclassedModel(keras.Model):
        def __init__(self):
            super(SubclassedModel, self).__init__()
            self._dense_layer = keras.layers.Dense(UNITS, name="output_layer")

        def call(self, inputs):
            return self._dense_layer(inputs)

    return SubclassedModel
