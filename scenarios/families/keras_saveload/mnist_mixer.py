"""A model of matrix products alone, for providers that a convolution or a dropout is not for.

An MLP-Mixer (Tolstikhin et al., 2021) whose tokens are the rows of an image: no convolution, and
no layer that keeps anything from one step to the next, such as a count of masks.
"""

import typing

from common import data
from families.keras_saveload.mnist_cnn import MnistCnn

_ROWS = 28
_CHANNELS, _BLOCKS = 128, 2
_TOKENS_HIDDEN, _CHANNELS_HIDDEN = 64, 256


class MnistMixer(MnistCnn):
    """The model, on the data of `MnistCnn`; of Keras 3."""

    def make(self, compiled: bool = True, optimizer: typing.Any = None) -> typing.Any:
        """As in `MnistCnn`."""
        layers = self.keras.layers
        images = self.keras.Input((_ROWS, _ROWS, 1))
        values = layers.Dense(_CHANNELS)(layers.Reshape((_ROWS, _ROWS))(images))
        for _ in range(_BLOCKS):
            tokens = layers.Permute((2, 1))(layers.LayerNormalization()(values))
            tokens = layers.Dense(_ROWS)(layers.Dense(_TOKENS_HIDDEN, activation="gelu")(tokens))
            values = layers.Add()([values, layers.Permute((2, 1))(tokens)])
            channels = layers.LayerNormalization()(values)
            channels = layers.Dense(_CHANNELS_HIDDEN, activation="gelu")(channels)
            values = layers.Add()([values, layers.Dense(_CHANNELS)(channels)])
        values = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(values))
        model = self.keras.Model(images, layers.Dense(data.CLASSES, activation="softmax")(values))
        if compiled:
            model.compile(
                loss="categorical_crossentropy",
                optimizer=optimizer or self.keras.optimizers.Adam(),
                metrics=["accuracy"],
            )
        return model
