"""The inference function of a loaded SavedModel, written out where LMS can edit it.

A restored function is a graph of its own, and what is traced holds one operation that calls it:
LMS would find nothing to swap. So the graph of the function, the functions that it calls
included, is imported operation by operation into the function that is being traced.
"""

import typing


class Built:
    """What stands in for a loaded SavedModel in a reference: a Keras model as code makes it.

    signatures, variables, trainable_variables: as there, with the one signature of Keras.
    """

    def __init__(self, model: typing.Any) -> None:
        self.signatures = {"serving_default": _Forward(model)}
        self.variables = list(model.variables)
        self.trainable_variables = list(model.trainable_variables)


class _Forward:
    """A model's forward pass; called like a signature, it gives a dict with its one output."""

    def __init__(self, model: typing.Any) -> None:
        self._model = model

    def __call__(self, batch: typing.Any) -> typing.Dict[str, typing.Any]:
        return {"output": self.forward(batch)}

    def forward(self, batch: typing.Any) -> typing.Any:
        return self._model(batch, training=False)


def body(tf: typing.Any, inference_func: typing.Any) -> typing.Callable[[typing.Any], typing.Any]:
    """A Python function of one batch that does what the loaded function does, to be traced.

    inference_func: a `ConcreteFunction` of `tf.saved_model.load` with one input and one output, or
        one of `Built`, which is such a Python function.

    In the scope of a strategy it has to be run by it: each replica reads its own variables.
    """
    if isinstance(inference_func, _Forward):
        return inference_func.forward
    inline = _inline()
    graph_def = inline(inference_func, lower_control_flow=False, aggressive_inlining=False)
    names = [tensor.name for tensor in inference_func.graph.inputs]
    (output,) = inference_func.outputs

    def forward(batch: typing.Any) -> typing.Any:
        graph = tf.compat.v1.get_default_graph()
        # A variable of several replicas has, inside one, the handle of that one.
        handles = [getattr(held, "handle", held) for held in inference_func.captured_inputs]
        values = [batch] + [graph.capture(handle) for handle in handles]
        (result,) = tf.graph_util.import_graph_def(
            graph_def, input_map=dict(zip(names, values)), return_elements=[output.name], name=""
        )
        return result

    return forward


def _inline() -> typing.Any:
    # Freezing a function begins with the same inlining; no public name gives it without the rest.
    from tensorflow.python.framework import convert_to_constants

    return convert_to_constants._run_inline_graph_optimization
