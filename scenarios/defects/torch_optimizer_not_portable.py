import os
import sys

import keras  # first with KERAS_BACKEND=torch, then with KERAS_BACKEND=jax where torch is not installed

model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
model.compile(keras.optimizers.Adam(0.01), "mean_squared_error")
print(
    "keras",
    keras.__version__,
    keras.backend.backend(),
    "class in the config:",
    keras.optimizers.serialize(model.optimizer)["module"],
)
path = "saved-on-torch.keras"
if keras.backend.backend() == "torch":
    model.optimizer.build(model.trainable_variables)
    model.save(path)
    gone = keras.optimizers.serialize(model.optimizer)["module"] != "keras.optimizers"
elif os.path.exists(path):
    try:
        loaded = keras.models.load_model(path)
        gone = False
    except TypeError as problem:
        print("load_model:", str(problem)[:160])
        gone = True
    print("jit_compile that this backend would choose: %s" % model.jit_compile)
else:
    sys.exit("save with KERAS_BACKEND=torch first")
print("lost: the optimizer's class, for the other backends" if gone else "nothing lost")
