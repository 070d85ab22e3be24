"""A dropout that saved files hold: how many masks it has drawn is one of its weights.

The generator of a stock `Dropout` is no weight, most formats do not save it, and a training that
is resumed draws other masks than one that was not interrupted. What that does is the subject of the
family `keras_state`. In every other family it would hide whatever else is lost.
"""

import functools
import typing

from common.phase import Phase

NAME = "KeptDropout"


@functools.lru_cache(maxsize=None)
def of(keras: typing.Any, keras3: bool, session: bool) -> typing.Any:
    """The layer's class, for a Keras package.

    Its arguments are `rate`, and `seed`, a whole number. The weight is `drawn`, two numbers.
    """
    kept = _of_keras3(keras) if keras3 else _of_keras2(keras, session)
    kept.__name__ = kept.__qualname__ = NAME
    return kept


def of_phase(keras: typing.Any, phase: Phase) -> typing.Any:
    """The layer's class in a phase."""
    return of(keras, phase.keras3, phase.mode == "session")


def generators(model: typing.Any) -> typing.List[typing.Any]:
    """The variables of a model's dropouts that say how many masks they have drawn."""
    layers = [layer for layer in model.layers if type(layer).__name__ == NAME]
    return [layer.drawn for layer in layers]


def _of_keras3(keras: typing.Any) -> typing.Any:
    class KeptDropout(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, rate: float, seed: int = 0, **named: typing.Any) -> None:
            super().__init__(**named)
            self.rate = rate
            self.seed = seed
            self.seed_generator = keras.random.SeedGenerator(seed)
            # A variable that is an attribute of a layer is a weight of it.
            self.drawn = self.seed_generator.state

        def call(self, inputs: typing.Any, training: bool = False) -> typing.Any:
            if not training:
                return inputs
            return keras.random.dropout(inputs, self.rate, seed=self.seed_generator)

        def get_config(self) -> typing.Dict[str, typing.Any]:
            return dict(super().get_config(), rate=self.rate, seed=self.seed)

    return KeptDropout


def _of_keras2(keras: typing.Any, session: bool) -> typing.Any:
    import tensorflow.compat.v1 as tf

    class KeptDropout(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, rate: float, seed: int = 0, **named: typing.Any) -> None:
            super().__init__(**named)
            self.rate = rate
            self.seed = seed

        def build(self, input_shape: typing.Any) -> None:
            self.drawn = self.add_weight(
                name="drawn", shape=(2,), initializer="zeros", trainable=False
            )
            super().build(input_shape)

        def call(self, inputs: typing.Any, training: typing.Any = None) -> typing.Any:
            if not session:
                return self._dropped(inputs) if training else inputs
            drawn = tf.identity(self.drawn)
            # Read first: the two are of one step, in whatever order its operations run.
            with tf.control_dependencies([drawn]):
                self.add_update([tf.assign_add(self.drawn, [0.0, 1.0])])
            masked = self._masked(inputs, drawn)
            return keras.backend.in_train_phase(masked, inputs, training=training)

        def get_config(self) -> typing.Dict[str, typing.Any]:
            return dict(super().get_config(), rate=self.rate, seed=self.seed)

        def compute_output_shape(self, input_shape: typing.Any) -> typing.Any:
            return input_shape

        def _dropped(self, inputs: typing.Any) -> typing.Any:
            masked = self._masked(inputs, tf.identity(self.drawn))
            self.drawn.assign_add([0.0, 1.0])
            return masked

        def _masked(self, inputs: typing.Any, drawn: typing.Any) -> typing.Any:
            seed = tf.cast(drawn, "int64") + tf.constant([self.seed, 0], "int64")
            noise = tf.random.stateless_uniform(tf.shape(inputs), seed, dtype=inputs.dtype)
            kept = tf.cast(noise >= self.rate, inputs.dtype)
            return inputs * kept * (1.0 / (1.0 - self.rate))

    return KeptDropout
