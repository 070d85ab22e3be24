"""For a canary: LMS announces what it would swap, and the graph that runs is not edited."""

import typing


def copied(graph: typing.Any) -> typing.Any:
    """A graph of the same operations that nobody runs, for an edit to announce.

    graph: a `tf.Graph`, or a FuncGraph that is being traced.
    """
    import tensorflow.compat.v1 as tf

    scratch = tf.Graph()
    with scratch.as_default():
        tf.import_graph_def(graph.as_graph_def(), name="")
    for operation in graph.get_operations():
        copy = scratch.get_operation_by_name(operation.name)
        for original, output in zip(operation.outputs, copy.outputs):
            # Those of a variable's value are not in the definition.
            output.set_shape(original.shape)
    return scratch
