"""A whole-model HDF5 file of tf-keras 2.21 with an optimizer's state, trained on with Keras 3. Run `save` with tf-keras, then `load`."""

import sys

import numpy as np

x, y = np.random.RandomState(0).rand(40, 8).astype("f"), np.eye(3, dtype="f")[np.arange(40) % 3]
if sys.argv[1] == "save":
    import tf_keras as keras

    model = keras.Sequential([keras.layers.Dense(3, activation="softmax", input_shape=(8,))])
    model.compile("adam", "categorical_crossentropy")
    model.fit(x, y, verbose=0)
    model.save("k2.h5")
else:
    import keras

    loaded = keras.models.load_model("k2.h5")
    try:
        loaded.fit(x, y, verbose=0)
        print(keras.__version__, "trained")
    except Exception as e:
        print(keras.__version__, keras.backend.backend(), type(e).__name__, str(e)[:160])
