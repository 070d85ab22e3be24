"""The convolutional net of the seed, made of TensorFlow's own operations.

`tf.contrib.slim`, which the seed builds it with, is absent in TensorFlow 2. Layers, names and
shapes are those that slim gives: two convolutions of 16 filters, each with a pooling, and three
dense layers.
"""

import typing

from common import marker

CLASSES = 10
SIDE = 28
LEARNING_RATE = 2e-3

# Names that a script which loads the graph asks for.
IMAGES = "images:0"
LABELS = "labels:0"
LOGITS = "fully_connected_2/BiasAdd:0"
ACCURACY = "accuracy_op:0"
CROSS_ENTROPY = "cross_entropy_op:0"
TRAIN = "train_op"
INITIALISE = "init_op"

# What the seed prints: the tensor after each layer and its shape, "?" for the size of the batch.
SHAPES = (
    (IMAGES, "(?, 28, 28, 1)"),
    ("Conv/Relu:0", "(?, 28, 28, 16)"),
    ("MaxPool2D/MaxPool:0", "(?, 14, 14, 16)"),
    ("Conv_1/Relu:0", "(?, 14, 14, 16)"),
    ("MaxPool2D_1/MaxPool:0", "(?, 7, 7, 16)"),
    ("Flatten/flatten/Reshape:0", "(?, 784)"),
    ("fully_connected/Relu:0", "(?, 100)"),
    ("fully_connected_1/Relu:0", "(?, 100)"),
    (LOGITS, "(?, 10)"),
)


def build(tf: typing.Any) -> None:
    """Adds the net, its loss, accuracy, training step and initialisation to the default graph.

    Placeholders: `images`, float32 [n, 28, 28, 1] in 0..1; `labels`, int32 [n]. Operations:
    `accuracy_op` and `cross_entropy_op`, float32 scalars, means over the batch; `train_op`, one
    step of Adam; `init_op`.
    """
    images = tf.placeholder(tf.float32, [None, SIDE, SIDE, 1], name="images")
    labels = tf.placeholder(tf.int32, [None], name="labels")
    value = _pool(tf, _convolution(tf, images, 16, "Conv"), "MaxPool2D")
    value = _pool(tf, _convolution(tf, value, 16, "Conv_1"), "MaxPool2D_1")
    value = _flatten(tf, value)
    value = tf.nn.relu(_dense(tf, value, 100, "fully_connected"), name="fully_connected/Relu")
    value = tf.nn.relu(_dense(tf, value, 100, "fully_connected_1"), name="fully_connected_1/Relu")
    logits = _dense(tf, value, CLASSES, "fully_connected_2")
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    loss = tf.reduce_mean(losses, name="cross_entropy_op")
    hits = tf.equal(tf.argmax(logits, axis=1, output_type=tf.int32), labels)
    tf.reduce_mean(tf.cast(hits, tf.float32), name="accuracy_op")
    tf.train.AdamOptimizer(LEARNING_RATE).minimize(loss, name=TRAIN)
    tf.group(tf.global_variables_initializer(), name=INITIALISE)


def claim_shapes(graph: typing.Any) -> None:
    """Prints the tensor after each layer, and claims that it has the seed's shape."""
    for name, shape in SHAPES:
        tensor = graph.get_tensor_by_name(name)
        dimensions = ["?" if size is None else str(size) for size in tensor.shape.as_list()]
        found = f"({', '.join(dimensions)})"
        print(f'Tensor("{name}", shape={found}, dtype={tensor.dtype.name})')
        marker.claim(f"shape of {name}", expected=shape, found=found)


def _convolution(tf: typing.Any, value: typing.Any, filters: int, name: str) -> typing.Any:
    with tf.variable_scope(name):
        channels = value.shape.as_list()[-1]
        weights = tf.get_variable("weights", [3, 3, channels, filters])
        biases = tf.get_variable("biases", [filters], initializer=tf.zeros_initializer())
    value = tf.nn.conv2d(value, weights, [1, 1, 1, 1], "SAME", name=name + "/Conv2D")
    value = tf.nn.bias_add(value, biases, name=name + "/BiasAdd")
    return tf.nn.relu(value, name=name + "/Relu")


def _pool(tf: typing.Any, value: typing.Any, name: str) -> typing.Any:
    step = [1, 2, 2, 1]
    return tf.nn.max_pool(value, step, step, "VALID", name=name + "/MaxPool")


def _flatten(tf: typing.Any, value: typing.Any) -> typing.Any:
    """[n, ...] to [n, the product]; each step asks the tensor for its n, as slim does."""
    size = 1
    for dimension in value.shape.as_list()[1:]:
        size *= dimension
    with tf.name_scope("Flatten/flatten/"):
        return tf.reshape(value, tf.stack([tf.shape(value)[0], size]), name="Reshape")


def _dense(tf: typing.Any, value: typing.Any, units: int, name: str) -> typing.Any:
    with tf.variable_scope(name):
        weights = tf.get_variable("weights", [value.shape.as_list()[-1], units])
        biases = tf.get_variable("biases", [units], initializer=tf.zeros_initializer())
    value = tf.matmul(value, weights, name=name + "/MatMul")
    return tf.nn.bias_add(value, biases, name=name + "/BiasAdd")
