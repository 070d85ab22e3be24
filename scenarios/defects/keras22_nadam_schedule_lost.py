import keras  # keras-team Keras 2.2.4, TensorFlow 1.15
import numpy as np
from keras import backend as K


def loss(
    labels, predictions
):  # its gradient is 1, so that a step shows what the optimizer makes of it
    return K.mean(predictions, axis=-1)


class Steps(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.weights = [float(self.model.get_weights()[0])]

    def on_batch_end(self, batch, logs=None):
        self.weights.append(float(self.model.get_weights()[0]))


def steps(model):
    seen, ones = Steps(), np.ones((4, 1))
    model.fit(ones, ones, batch_size=1, verbose=0, callbacks=[seen])
    return [round(step, 6) for step in np.diff(seen.weights)]


model = keras.models.Sequential([keras.layers.Dense(1, use_bias=False, input_shape=(1,))])
model.compile(keras.optimizers.Nadam(lr=0.01), loss)
steps(model)
model.save("nadam22.h5")
resumed = keras.models.load_model("nadam22.h5", custom_objects={"loss": loss})
schedules = [float(K.get_value(m.optimizer.m_schedule)) for m in (model, resumed)]
straight, after_load = steps(model), steps(resumed)
print("keras", keras.__version__, "m_schedule", schedules[0], "->", schedules[1])
print(
    "steps straight:",
    straight,
    "resumed:",
    after_load,
    "largest difference:",
    max(abs(a - b) for a, b in zip(straight, after_load)),
)
print("lost: Nadam's m_schedule" if schedules[0] != schedules[1] else "nothing lost")
