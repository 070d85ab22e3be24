import keras  # keras-team Keras 2.2.4, TensorFlow 1.15
import numpy as np
from keras import backend as K

x, y, lost = np.random.rand(64, 8), np.random.rand(64, 1), []
fit = dict(x=x, y=y, batch_size=16, shuffle=False, verbose=0)
for name in ("SGD", "RMSprop", "Adagrad", "Adadelta", "Adam", "Adamax"):
    K.clear_session()
    model = keras.models.Sequential(
        [keras.layers.Dense(8, activation="tanh", input_shape=(8,)), keras.layers.Dense(1)]
    )
    model.compile(getattr(keras.optimizers, name)(lr=0.01, decay=0.1), "mse")
    model.fit(epochs=2, **fit)
    model.save("decay22.h5")
    saved = int(K.get_value(model.optimizer.iterations))
    model.fit(epochs=1, **fit)
    straight = model.get_weights()
    K.clear_session()
    resumed = keras.models.load_model("decay22.h5")
    loaded = int(K.get_value(resumed.optimizer.iterations))
    resumed.fit(epochs=1, **fit)
    worst = max(np.abs(a - b).max() for a, b in zip(straight, resumed.get_weights()))
    print(
        "keras",
        keras.__version__,
        name,
        "iterations",
        saved,
        "->",
        loaded,
        "largest difference of weights after one more epoch:",
        worst,
    )
    lost += [name] * (saved != loaded)
print(
    "lost: iterations, and so the learning rate's decay, of " + ", ".join(lost)
    if lost
    else "nothing lost"
)
