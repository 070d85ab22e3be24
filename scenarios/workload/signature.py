"""The inference function of a loaded SavedModel, written out where LMS can edit it.

A restored function is a graph of its own, and what is traced holds one operation that calls it:
LMS would find nothing to swap. So the graph of the function, the functions that it calls
included, is imported operation by operation into the function that is being traced.
"""

import typing


class Built:
    """What stands in for a loaded SavedModel in a reference: a Keras model as code makes it.

    signatures, variables, trainable_variables: as there. As in a saved one, the function of the
    signature does nothing but call that of the model, for batches of any size.
    """

    def __init__(self, tf: typing.Any, model: typing.Any) -> None:
        self.variables = list(model.variables)
        self.trainable_variables = list(model.trainable_variables)
        forward = tf.function(model)
        shape = (None, *model.input_shape[1:])

        @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32)])  # type: ignore[untyped-decorator]
        def serve(images: typing.Any) -> typing.Dict[str, typing.Any]:
            return {"output": forward(images, training=False)}

        self.signatures = {"serving_default": serve.get_concrete_function()}


def body(tf: typing.Any, inference_func: typing.Any) -> typing.Callable[[typing.Any], typing.Any]:
    """A Python function of one batch that does what the loaded function does, to be traced.

    inference_func: a `ConcreteFunction` of `tf.saved_model.load`, or of `Built`, with one input and
        one output.

    In the scope of a strategy it has to be run by it: each replica reads its own variables.
    """
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
