import numpy as np
import tensorflow as tf  # with TF_USE_LEGACY_KERAS=1 where tf.keras is Keras 3

keras = tf.keras
x, y, lost = np.random.rand(64, 8), np.random.rand(64, 1), []
fit = dict(x=x, y=y, batch_size=16, shuffle=False, verbose=0)
for name in ("scale.keras", "scale.h5", "scale"):
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
    model.compile(
        keras.mixed_precision.LossScaleOptimizer(
            keras.optimizers.SGD(0.01), dynamic_growth_steps=3
        ),
        "mse",
    )
    model.fit(epochs=2, **fit)
    model.save(name, **({} if "." in name else {"save_format": "tf"}))
    resumed = keras.models.load_model(name)
    scales = [float(m.optimizer.loss_scale) for m in (model, resumed)]
    counters = [int(m.optimizer.dynamic_counter) for m in (model, resumed)]
    print(name, "loss_scale %g -> %g" % tuple(scales), "dynamic_counter %d -> %d" % tuple(counters))
    lost += [name] * (scales[0] != scales[1])
print("lost: the dynamic loss scale, in " + ", ".join(lost) if lost else "nothing lost")
