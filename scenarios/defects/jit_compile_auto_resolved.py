import json
import zipfile

import keras  # save with KERAS_BACKEND=tensorflow on CPUs or torch, load with jax

model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
model.compile("sgd", keras.losses.MeanSquaredError(), jit_compile="auto")
model.save("auto.keras")
with zipfile.ZipFile("auto.keras") as archive:
    saved = json.loads(archive.read("config.json"))["compile_config"]["jit_compile"]
print(
    "keras",
    keras.__version__,
    keras.backend.backend(),
    "compile(jit_compile='auto') is saved as",
    saved,
)
print(
    "lost: 'auto'; a backend or device that would choose otherwise is told %s" % saved
    if saved != "auto"
    else "nothing lost"
)
