"""Keras 3 on TensorFlow: layers in a list of lists are in no tf.train.Checkpoint."""

import keras
import numpy as np
import tensorflow as tf


class Count(keras.layers.Layer):
    def build(self, shape):
        self.factor = self.add_weight(name="factor", shape=(1,), initializer="ones")

    def call(self, x):
        return x * self.factor


class Tower(keras.Model):
    def __init__(self):
        super().__init__()
        self.one, self.flat, self.named, self.deep = (
            Count(),
            [Count()],
            {"a": Count()},
            [[Count()], [Count()]],
        )

    def call(self, x):
        return self.deep[1][0](self.deep[0][0](self.named["a"](self.flat[0](self.one(x)))))


def make():
    m = Tower()
    m(np.zeros((1, 2), "f"))
    return m


saved, loaded = make(), make()
for w in saved.weights:
    w.assign([7.0])
path = tf.train.Checkpoint(model=saved).save("nested/ck")
tf.train.Checkpoint(model=loaded).restore(path).assert_existing_objects_matched()
for where, c in (
    ("attribute", loaded.one),
    ("list", loaded.flat[0]),
    ("dict", loaded.named["a"]),
    ("list in a list", loaded.deep[0][0]),
):
    print(keras.__version__, where, "saved 7, restored", float(c.factor[0]))
