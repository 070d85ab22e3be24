import os

import numpy as np

if os.environ.get(
    "TF_KERAS"
):  # Keras 2: TF_KERAS=1 (and TF_USE_LEGACY_KERAS=1 from TensorFlow 2.16 on)
    import tensorflow as tf

    keras = tf.keras
else:
    import keras
x, y = np.random.RandomState(0).rand(64, 8, 4), np.random.RandomState(1).rand(64, 1)
inputs = keras.Input((8, 4), batch_size=16)
model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.GRU(4, stateful=True)(inputs)))
model.compile("sgd", keras.losses.MeanSquaredError())
fit = dict(x=x, y=y, batch_size=16, shuffle=False, verbose=0)
model.fit(epochs=1, **fit)
lost = []
for name in ("state.keras", "state.h5"):
    model.save(name)
    loaded = keras.models.load_model(name)
    states = [np.array(m.layers[1].states[0]) for m in (model, loaded)]
    print(
        name, "largest value of the state:", np.abs(states[0]).max(), "->", np.abs(states[1]).max()
    )
    lost += [name] * bool(np.abs(states[0] - states[1]).max())
print("lost: the state of a stateful RNN, in " + ", ".join(lost) if lost else "nothing lost")
