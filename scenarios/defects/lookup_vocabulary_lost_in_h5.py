import keras
import numpy as np
import tensorflow as tf

words = tf.constant([["a"], ["b"], ["c"], ["d"]])


def build(adapt):
    lookup = keras.layers.StringLookup()
    if adapt:
        lookup.adapt(words)
    inputs = keras.Input((1,), dtype="string")
    return keras.Model(inputs, keras.layers.Embedding(8, 2)(lookup(inputs)))


model, lost = build(adapt=True), []
for name in ("lookup.keras", "lookup.h5", "lookup.weights.h5"):
    if name.endswith(".weights.h5"):
        model.save_weights("/tmp/" + name)
        loaded = build(adapt=False)
        loaded.load_weights("/tmp/" + name)
    else:
        model.save("/tmp/" + name)
        loaded = keras.models.load_model("/tmp/" + name)
    try:
        told = np.abs(model.predict(words, verbose=0) - loaded.predict(words, verbose=0)).max()
    except Exception as problem:
        told = type(problem).__name__
    print(
        keras.__version__,
        name,
        "vocabulary",
        len(model.layers[1].get_vocabulary()),
        "->",
        len(loaded.layers[1].get_vocabulary()),
        "difference of predictions:",
        told,
    )
    lost += [name] * bool(told)
print("lost: the vocabulary, in " + ", ".join(lost) if lost else "nothing lost")
