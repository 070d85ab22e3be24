import keras
import numpy as np

keras.utils.set_random_seed(1)
x, y = np.random.rand(64, 8), 9 * np.random.rand(64, 1)
fit = dict(x=x, y=y, batch_size=16, shuffle=False, verbose=0)
model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
model.compile("sgd", keras.losses.Huber(delta=5.0))
model.fit(epochs=2, **fit)
model.save("/tmp/huber.keras")
resumed = keras.models.load_model("/tmp/huber.keras")
losses = [float(m.evaluate(x, y, verbose=0)) for m in (model, resumed)]
print("keras", keras.__version__, "loss of the same data:", *losses)
for loss in (keras.losses.Huber(delta=5.0), keras.losses.CosineSimilarity(axis=1)):
    print(type(loss).__name__, "config:", loss.get_config())
model.fit(epochs=1, **fit)
resumed.fit(epochs=1, **fit)
worst = max(np.abs(a - b).max() for a, b in zip(model.get_weights(), resumed.get_weights()))
print("largest difference of weights after one more epoch:", worst)
print("lost: the loss's arguments (delta)" if losses[0] != losses[1] else "nothing lost")
