import os

if os.environ.get(
    "TF_KERAS"
):  # Keras 2: TF_KERAS=1 (and TF_USE_LEGACY_KERAS=1 from TensorFlow 2.16 on)
    import tensorflow as tf

    keras = tf.keras
else:
    import keras


def options(model):
    steps = getattr(model, "steps_per_execution", None) or model._steps_per_execution
    return {
        "steps_per_execution": int(steps),
        "run_eagerly": model.run_eagerly,
        "jit_compile": getattr(model, "jit_compile", getattr(model, "_jit_compile", None)),
    }


model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
lost = set()
for chosen in (
    {"steps_per_execution": 4, "jit_compile": False},
    {"run_eagerly": True},
    {"jit_compile": True},
):
    for name in ("options.keras", "options.h5"):
        model.compile("sgd", keras.losses.MeanSquaredError(), **chosen)
        model.save("/tmp/" + name)
        before, after = options(model), options(keras.models.load_model("/tmp/" + name))
        gone = [key for key in chosen if before[key] != after[key]]
        lost |= {key + " in " + name[8:] for key in gone}
        print(name, {key: (before[key], after[key]) for key in chosen})
print("lost: " + ", ".join(sorted(lost)) if lost else "nothing lost")
