"""Tiny models, one for each kind of state that a save has to restore."""

import typing

from families.keras_state import custom

if typing.TYPE_CHECKING:
    from families.keras_state.variant import Variant

BATCH_SIZE = 8
# Five steps an epoch.
EXAMPLES_TRAINED = 40
CLASSES = 3
_FEATURES, _LENGTH, _WORDS = 8, 6, 12
_SEED = 20190802

Model = typing.Any
Data = typing.Tuple[typing.Any, typing.Any]
Classes = typing.Dict[str, typing.Any]


def _random() -> typing.Any:
    import numpy as np

    # The numbers of a RandomState are the same in every version of numpy.
    return np.random.RandomState(_SEED)


def labels(seed: int = 0) -> typing.Any:
    """float32 [examples, classes], one-hot."""
    import numpy as np

    random = np.random.RandomState(_SEED + seed)
    return np.eye(CLASSES, dtype="float32")[random.randint(0, CLASSES, EXAMPLES_TRAINED)]


def vectors(variant: "Variant") -> Data:
    return _random().rand(EXAMPLES_TRAINED, _FEATURES).astype("float32"), labels()


def sequences(variant: "Variant") -> Data:
    return _random().rand(EXAMPLES_TRAINED, _LENGTH, 4).astype("float32"), labels()


def words(variant: "Variant") -> Data:
    return _random().randint(1, _WORDS, (EXAMPLES_TRAINED, _LENGTH)).astype("int32"), labels()


def texts(variant: "Variant") -> Data:
    """Sentences, as TensorFlow's strings: Keras takes no other."""
    import numpy as np

    vocabulary = np.array(["red", "green", "blue", "swap", "load", "save", "train"])
    drawn = vocabulary[_random().randint(0, len(vocabulary), (EXAMPLES_TRAINED, 4))]
    return variant.tf.constant([[" ".join(line)] for line in drawn]), labels()


def pairs(variant: "Variant") -> Data:
    first, target = vectors(variant)
    return [first, sequences(variant)[0]], [target, labels(1)]


def batchnorm(variant: "Variant") -> Model:
    layers = variant.keras.layers
    return variant.keras.models.Sequential(
        [
            layers.Dense(8, activation="relu", input_shape=(_FEATURES,)),
            layers.BatchNormalization(momentum=0.8),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )


def _dropout(variant: "Variant", **seed: int) -> Model:
    layers = variant.keras.layers
    return variant.keras.models.Sequential(
        [
            layers.Dense(16, activation="relu", input_shape=(_FEATURES,)),
            layers.Dropout(0.5, **seed),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )


def dropout(variant: "Variant") -> Model:
    return _dropout(variant)


def dropout_seeded(variant: "Variant") -> Model:
    return _dropout(variant, seed=7)


def rnn(variant: "Variant") -> Model:
    layers = variant.keras.layers
    return variant.keras.models.Sequential(
        [
            layers.LSTM(5, return_sequences=True, input_shape=(_LENGTH, 4)),
            layers.GRU(5),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )


def rnn_stateful(variant: "Variant") -> Model:
    """Its state goes on from batch to batch, and so from epoch to epoch."""
    keras, layers = variant.keras, variant.keras.layers
    inputs = keras.Input(batch_shape=(BATCH_SIZE, _LENGTH, 4))
    hidden = layers.LSTM(5, stateful=True)(inputs)
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(hidden))


def nested(variant: "Variant") -> Model:
    """A model in a model, a layer that is used twice, and layers that are frozen."""
    keras, layers = variant.keras, variant.keras.layers
    inner = keras.models.Sequential(
        [
            layers.Dense(6, activation="relu", input_shape=(_FEATURES,), name="inner_frozen"),
            layers.BatchNormalization(),
            layers.Dense(_FEATURES, activation="relu"),
        ],
        name="inner",
    )
    inner.layers[0].trainable = False
    shared = layers.Dense(_FEATURES, activation="tanh", name="shared")
    inputs = keras.Input(shape=(_FEATURES,))
    hidden = shared(inner(shared(inputs)))
    frozen = layers.Dense(6, activation="relu", name="frozen")
    frozen.trainable = False
    outputs = layers.Dense(CLASSES, activation="softmax")(frozen(hidden))
    return keras.Model(inputs, outputs)


def multi(variant: "Variant") -> Model:
    """Two inputs and two outputs, the losses with weights."""
    keras, layers = variant.keras, variant.keras.layers
    left = keras.Input(shape=(_FEATURES,), name="left")
    right = keras.Input(shape=(_LENGTH, 4), name="right")
    flat = layers.Flatten()(layers.Dense(3, activation="relu")(right))
    merged = layers.concatenate([layers.Dense(6, activation="relu")(left), flat])
    merged = layers.BatchNormalization()(merged)
    outputs = [
        layers.Dense(CLASSES, activation="softmax", name="first")(merged),
        layers.Dense(CLASSES, activation="softmax", name="second")(merged),
    ]
    return keras.Model([left, right], outputs)


def attention(variant: "Variant") -> Model:
    """An embedding, and attention: a layer of its own where the release has one."""
    keras, layers = variant.keras, variant.keras.layers
    inputs = keras.Input(shape=(_LENGTH,), dtype="int32")
    hidden = layers.Embedding(_WORDS, 8)(inputs)
    if hasattr(layers, "MultiHeadAttention"):
        attended = layers.MultiHeadAttention(num_heads=2, key_dim=4)(hidden, hidden)
        attended = layers.LayerNormalization()(layers.add([attended, hidden]))
    else:
        query, key, value = (layers.Dense(8)(hidden) for _ in range(3))
        scores = layers.Activation("softmax")(layers.dot([query, key], axes=2))
        attended = layers.add([layers.dot([scores, value], axes=(2, 1)), hidden])
    pooled = layers.GlobalAveragePooling1D()(attended)
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(pooled))


def preprocessing(variant: "Variant") -> Model:
    """Layers that have learned mean, variance and boundaries from the data."""
    keras, layers = variant.keras, variant.keras.layers
    normalization = layers.Normalization()
    normalization.adapt(variant.x)
    inputs = keras.Input(shape=(_FEATURES,))
    hidden = normalization(inputs)
    if variant.tf is not None:  # Keras learns boundaries with TensorFlow, whatever its backend is
        buckets = layers.Discretization(num_bins=4)
        buckets.adapt(variant.x)
        embedded = layers.Flatten()(layers.Embedding(5, 3)(buckets(inputs)))
        hidden = layers.concatenate([hidden, embedded])
    hidden = layers.Dense(8, activation="relu")(hidden)
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(hidden))


def text(variant: "Variant") -> Model:
    """A vocabulary and the weights of its words, learned from the data."""
    keras, layers = variant.keras, variant.keras.layers
    counted = layers.TextVectorization(output_mode="tf_idf")
    counted.adapt(variant.x)
    numbered = layers.TextVectorization(output_sequence_length=4)
    numbered.adapt(variant.x)
    inputs = keras.Input(shape=(1,), dtype="string")
    embedded = layers.Flatten()(layers.Embedding(12, 4)(numbered(inputs)))
    hidden = layers.Dense(8, activation="relu")(
        layers.concatenate([layers.Flatten()(counted(inputs)), embedded])
    )
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(hidden))


def spectral(variant: "Variant") -> Model:
    """Spectral normalisation keeps a vector that each step of the training renews."""
    layers = variant.keras.layers
    return variant.keras.models.Sequential(
        [
            layers.Input(shape=(_FEATURES,)),
            layers.SpectralNormalization(layers.Dense(8, activation="relu")),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )


def subclassed(variant: "Variant") -> Model:
    """A class of its own, which has to be called before it has weights."""
    model = custom.classes(variant.keras)["Tower"](CLASSES)
    model(variant.x[:BATCH_SIZE])
    return model


def layer_lists(variant: "Variant") -> Model:
    """A layer of its own whose layers are in a list of lists."""
    keras, layers = variant.keras, variant.keras.layers
    inputs = keras.Input(shape=(_FEATURES,))
    hidden = custom.classes(keras)["Blocks"](name="blocks")(inputs)
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(hidden))


def subclassed_classes(variant: "Variant") -> Classes:
    return custom.classes(variant.keras)


def remat(variant: "Variant") -> Model:
    keras, layers = variant.keras, variant.keras.layers
    inputs = keras.Input(shape=(_FEATURES,))
    with keras.RematScope(mode="full"):
        hidden = layers.Dense(8, activation="relu", name="first")(inputs)
        hidden = layers.Dense(8, activation="relu", name="second")(hidden)
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(hidden))


def lora(variant: "Variant") -> Model:
    model = _dense(variant)
    model.layers[0].enable_lora(rank=2)
    return model


def quantized(variant: "Variant") -> Model:
    """Its kernels are 8-bit integers, which nothing trains: biases are, and the last layer."""
    model = _dense(variant)
    model.layers[0].quantize("int8")
    return model


def _dense(variant: "Variant") -> Model:
    layers = variant.keras.layers
    return variant.keras.models.Sequential(
        [
            layers.Input(shape=(_FEATURES,)),
            layers.Dense(8, activation="relu"),
            layers.BatchNormalization(),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )


def _no_classes(variant: "Variant") -> Classes:
    return {}


class Example(typing.NamedTuple):
    """A model and its data.

    build, data: make them. classes: those that loading needs. compile: arguments beside the
    optimizer. remembers: whether a prediction changes what the next one gives, so that none is made
    before training goes on. rematerialises: whether layers are in a remat scope.
    """

    build: typing.Callable[["Variant"], Model]
    data: typing.Callable[["Variant"], Data] = vectors
    classes: typing.Callable[["Variant"], Classes] = _no_classes
    compile: typing.Dict[str, typing.Any] = {
        "loss": "categorical_crossentropy",
        "metrics": ["accuracy"],
    }
    remembers: bool = False
    rematerialises: bool = False


EXAMPLES = {
    "batchnorm": Example(batchnorm),
    "dropout_seeded": Example(dropout_seeded),
    "dropout": Example(dropout),
    "rnn": Example(rnn, sequences),
    "rnn_stateful": Example(rnn_stateful, sequences, remembers=True),
    "nested": Example(nested),
    "multi": Example(
        multi,
        pairs,
        compile={
            "loss": ["categorical_crossentropy"] * 2,
            "loss_weights": [1.0, 0.25],
            "metrics": {"first": "accuracy", "second": "accuracy"},
        },
    ),
    "attention": Example(attention, words),
    "preprocessing": Example(preprocessing),
    "text": Example(text, texts),
    "spectral": Example(spectral),
    "subclassed": Example(subclassed, classes=subclassed_classes),
    "layer_lists": Example(layer_lists, classes=subclassed_classes),
    "remat": Example(remat, rematerialises=True),
    "lora": Example(lora),
    "quantized": Example(quantized),
}
