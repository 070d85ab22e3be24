"""keras-team Keras 2.2.4: the variables that debias the moving averages of batch normalisation are in no weights, and in no file."""

import numpy as np
import tensorflow.compat.v1 as tf

tf.enable_resource_variables()
import keras
from keras import backend as K
from keras import layers, models

x, y = np.random.RandomState(0).rand(40, 8), np.random.RandomState(1).rand(40, 1)
model = models.Sequential(
    [layers.Dense(4, input_shape=(8,)), layers.BatchNormalization(momentum=0.8), layers.Dense(1)]
)
model.compile("sgd", "mse")
model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
model.save("bn.h5")


def show(name):
    hidden = [v for v in tf.global_variables() if "moving_mean/" in v.name]
    print(
        keras.__version__,
        name,
        [(v.name.split("/")[-1], np.round(K.get_value(v), 4).tolist()) for v in hidden]
        or "no hidden variables",
    )


show("before the save")
weights = [w.name for w in model.weights]
K.clear_session()
loaded = models.load_model("bn.h5")
show("after the load")
