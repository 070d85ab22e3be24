"""A subclassed model, and a layer, whose layers are in lists and dicts, as in research code."""

import typing


def classes(keras: typing.Any) -> typing.Dict[str, typing.Any]:
    """The classes, by their names; they are of the Keras that runs."""
    layers = keras.layers

    class Scale(layers.Layer):  # type: ignore[misc, name-defined]
        """A factor for each feature, and a count of the calls in training."""

        def build(self, input_shape: typing.Any) -> None:
            size = (int(input_shape[-1]),)
            self.scale = self.add_weight(name="scale", shape=size, initializer="ones")
            self.calls = self.add_weight(
                name="calls", shape=(), initializer="zeros", trainable=False
            )
            super().build(input_shape)

        def call(self, inputs: typing.Any, training: typing.Any = None) -> typing.Any:
            if training:
                self.calls.assign(self.calls + 1.0)
            return inputs * self.scale

    class Tower(keras.Model):  # type: ignore[misc]
        """Layers in a list, in a dict, and in a list of lists."""

        def __init__(self, outputs: int, **more: typing.Any) -> None:
            super().__init__(**more)
            self.outputs_asked = outputs
            self.stack = [layers.Dense(8, activation="relu"), layers.BatchNormalization()]
            self.heads = {
                "wide": layers.Dense(6, activation="relu"),
                "deep": layers.Dense(6, activation="tanh"),
            }
            self.blocks = [[layers.Dense(6), Scale()], [layers.Dense(6), Scale()]]
            self.last = layers.Dense(outputs, activation="softmax")

        def call(self, inputs: typing.Any, training: typing.Any = None) -> typing.Any:
            hidden = self.stack[1](self.stack[0](inputs), training=training)
            hidden = self.heads["wide"](hidden) + self.heads["deep"](hidden)
            for dense, scale in self.blocks:
                hidden = scale(dense(hidden), training=training)
            return self.last(hidden)

        def get_config(self) -> typing.Dict[str, typing.Any]:
            return {"outputs": self.outputs_asked}

    class Blocks(layers.Layer):  # type: ignore[misc, name-defined]
        """Layers in a list of lists of a layer: no model lists them beside it."""

        def __init__(self, **more: typing.Any) -> None:
            super().__init__(**more)
            self.blocks = [
                [layers.Dense(6, activation="relu"), layers.Dense(8)],
                [layers.Dense(6, activation="tanh"), layers.Dense(8)],
            ]

        def call(self, inputs: typing.Any) -> typing.Any:
            hidden = inputs
            for narrow, wide in self.blocks:
                hidden = hidden + wide(narrow(hidden))
            return hidden

    return {"Scale": Scale, "Tower": Tower, "Blocks": Blocks}
