import os

import numpy as np

if os.environ.get(
    "TF_KERAS"
):  # Keras 2: TF_KERAS=1 (and TF_USE_LEGACY_KERAS=1 from TensorFlow 2.16 on)
    import tensorflow as tf

    keras = tf.keras
else:
    import keras


@keras.saving.register_keras_serializable()
class Blocks(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.blocks = [[keras.layers.Dense(8), keras.layers.Dense(8)], [keras.layers.Dense(8)]]

    def build(self, shape):
        for layer in sum(self.blocks, []):
            layer.build((None, 8))
        self.built = True

    def call(self, x):
        for layer in sum(self.blocks, []):
            x = layer(x)
        return x


x, inputs = np.random.rand(16, 8), keras.Input((8,))
model = keras.Model(inputs, Blocks()(inputs))
model.save("/tmp/nested.keras")
loaded = keras.models.load_model("/tmp/nested.keras")
worst = np.abs(model.predict(x, verbose=0) - loaded.predict(x, verbose=0)).max()
print("largest difference of predictions after loading:", worst)
print("lost: weights of layers in nested lists" if worst > 1e-6 else "nothing lost")
