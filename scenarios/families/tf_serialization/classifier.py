"""The family's model: does a row of ten numbers lie close together?

The seed shows a model by its tensors and by two answers, and not what it computes. This one is
trained to give those answers: the ten numbers 0 to 9 are spread out (false), ten fives are not
(true).
"""

import typing

FEATURES = 10
WIDTH = 128
HIDDEN = 3
DROPOUT = 0.2
# Standard deviations of a row: below and above them is far from the border, for a robust answer.
_CLOSE = (0.0, 0.5)
_SPREAD = (2.0, 4.0)

# The seed's two rows and what it shows as their answers.
ROWS = ((0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (5,) * 10)
ANSWERS = (False, True)

INPUTS = "Placeholder/inputs_placeholder:0"
SCORES = "Accuracy/scores:0"
PREDICTIONS = "Accuracy/predictions:0"
_TRAINING = "Placeholder/training:0"
_LABELS = "Placeholder/labels_placeholder:0"
_LOSS = "Train/loss:0"
_STEP = "Train/step"


class Model(typing.NamedTuple):
    """Tensors of the model in a graph.

    inputs: float32 [rows, 10]. scores: float32 [rows, 1], 0 to 1. predictions: bool [rows, 1].
    weights: variables, or the constants that they were frozen to, in the order of the layers.
    """

    inputs: typing.Any
    scores: typing.Any
    predictions: typing.Any
    weights: typing.List[typing.Any]


class Training(typing.NamedTuple):
    """What training needs on top: labels float32 [rows, 1], bool switch that turns dropout on."""

    labels: typing.Any
    switch: typing.Any
    loss: typing.Any
    step: typing.Any


def build(tf: typing.Any, training: typing.Optional[bool] = None) -> None:
    """Adds the model and its training to the default graph.

    training: by default a switch that is off unless it is fed; True builds dropout in for good.
    """
    with tf.name_scope("Placeholder"):
        inputs = tf.placeholder(tf.float32, [None, FEATURES], name="inputs_placeholder")
        labels = tf.placeholder(tf.float32, [None, 1], name="labels_placeholder")
        if training is None:
            switch = tf.placeholder_with_default(False, [], name="training")
        else:
            switch = tf.constant(training, name="training")
    rate = DROPOUT * tf.cast(switch, tf.float32)
    hidden = tf.nn.relu(_dense(tf, inputs / 10.0, 1, WIDTH))
    for number in range(2, HIDDEN + 1):
        update = tf.nn.relu(_dense(tf, hidden, number, WIDTH))
        hidden = hidden + tf.nn.dropout(update, rate=rate, seed=number)
    logits = _dense(tf, hidden, HIDDEN + 1, 1)
    with tf.name_scope("Accuracy"):
        scores = tf.sigmoid(logits, name="scores")
        tf.greater(scores, 0.5, name="predictions")
    with tf.name_scope("Train"):
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
        loss = tf.reduce_mean(losses, name="loss")
        tf.train.AdamOptimizer(0.002).minimize(loss, name="step")


def find(graph: typing.Any, prefix: str = "") -> Model:
    """The model's tensors in a graph that was built or imported.

    prefix: of an import, with its slash. Raises KeyError if the graph is of another model.
    """

    def tensor(name: str) -> typing.Any:
        return graph.get_tensor_by_name(prefix + name)

    variables = graph.get_collection("trainable_variables")
    constants = [] if variables else [tensor(name + ":0") for name in weight_names()]
    return Model(tensor(INPUTS), tensor(SCORES), tensor(PREDICTIONS), variables or constants)


def find_training(graph: typing.Any) -> Training:
    """What training needs, in a graph that was built or imported with it."""
    tensor = graph.get_tensor_by_name
    step = graph.get_operation_by_name(_STEP)
    return Training(tensor(_LABELS), tensor(_TRAINING), tensor(_LOSS), step)


def weight_names() -> typing.List[str]:
    """Names of the weights' operations, layer by layer."""
    layers = [f"Layer_{number}" for number in range(1, HIDDEN + 2)]
    return [f"{layer}/{name}" for layer in layers for name in ("kernel", "bias")]


def rows(count: int, seed: int) -> typing.Tuple[typing.Any, typing.Any]:
    """`(x, y)`: float32 [count, 10] rows and float32 [count, 1] labels, 1 for close together."""
    import numpy as np

    random = np.random.RandomState(seed)
    close = random.randint(2, size=(count, 1))
    deviation = np.where(
        close,
        random.uniform(_CLOSE[0], _CLOSE[1], (count, 1)),
        random.uniform(_SPREAD[0], _SPREAD[1], (count, 1)),
    )
    shape = random.normal(size=(count, FEATURES))
    shape = (shape - shape.mean(axis=1, keepdims=True)) / shape.std(axis=1, keepdims=True)
    centre = random.uniform(2.0, 8.0, (count, 1))
    return (centre + deviation * shape).astype(np.float32), close.astype(np.float32)


def fixed_batch() -> typing.Any:
    """float32 [16, 10]: the seed's two rows, and rows that no training has seen."""
    import numpy as np

    return np.concatenate([np.asarray(ROWS, np.float32), rows(14, seed=3)[0]])


def _dense(tf: typing.Any, values: typing.Any, number: int, width: int) -> typing.Any:
    with tf.variable_scope(f"Layer_{number}"):
        kernel = tf.get_variable(
            "kernel",
            [values.shape.as_list()[1], width],
            initializer=tf.glorot_uniform_initializer(seed=number),
        )
        bias = tf.get_variable("bias", [width], initializer=tf.zeros_initializer())
        return tf.nn.bias_add(tf.matmul(values, kernel), bias)
