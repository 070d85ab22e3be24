"""A stand-in for TFLMS 2: its interface and log lines over the simplest edit that swaps.

Like TFLMS it edits the graph where it is, whether a session has run it or not.
"""

import time

import tensorflow.compat.v1 as tf

from tensorflow_large_model_support import util

tf.disable_v2_behavior()  # as TFLMS does, and what turns resource variables off

_SWAPPED = ("Relu", "MaxPool")


class LMS(tf.keras.callbacks.Callback):
    """Swaps the outputs of activations and pooling, for the backward pass if there is one."""

    def __init__(
        self,
        swapout_threshold=-1,
        swapin_groupby=-1,
        swapin_ahead=-1,
        sync_mode=0,
        serialization=(),
        serialization_by_size=0,
        debug=False,
        debug_level=1,
        cpu_device="/cpu:0",
        gpu_device=None,
    ):
        super().__init__()
        self.is_training = True
        self.batch_size = None
        self._cpu_device = cpu_device
        self._gpu_device = gpu_device

    def set_model(self, model):
        super().set_model(model)
        self._run_for_keras()

    def set_params(self, params):
        super().set_params(params)
        self._run_for_keras()

    def _run_for_keras(self):
        if self._is_edited(tf.get_default_graph()):
            return
        if self.is_training and self.model.train_function is None:
            self.model._make_train_function()
        self.run(keras=True)

    def run(self, graph=None, keras=False):
        graph = graph or tf.get_default_graph()
        started = time.time()
        _log("Editing model for LMS")
        sources = [op for op in graph.get_operations() if self._is_source(op)]
        outs = ins = 0
        with graph.as_default(), tf.device(self._cpu_device):
            for source in sources:
                tensor = source.outputs[0]
                backward = [op for op in tensor.consumers() if "gradients" in op.name]
                consumers = backward if self.is_training else tensor.consumers()
                if not consumers:
                    continue
                name = tensor.name.replace("/", "_").replace(":", "_")
                swapped_out = _identity(tensor, "lms/swapout_" + name)
                swapped_in = _identity(swapped_out, "lms/swapin_" + name)
                outs, ins = outs + 1, ins + 1
                for consumer in consumers:
                    for position, value in enumerate(consumer.inputs):
                        if value is tensor:
                            consumer._update_input(position, swapped_in)
        _log(
            f"Added {outs + ins} operations to the model ({outs} swap-out operations (0.01 GiB)"
            f" and {ins} swap-in operations (0.01 GiB))"
        )
        _log(f"Editing model for LMS, took: {(time.time() - started) * 1000} ms")

    def _is_source(self, op):
        return op.type in _SWAPPED and not util.is_cpu_op(op) and self._is_gpu_op(op)

    def _is_gpu_op(self, op):
        if self._gpu_device is None:
            return not util.is_cpu_op(op)
        return op.device.upper() == self._gpu_device.upper()  # the whole name, as in TFLMS

    def _is_edited(self, graph):
        outs = [op for op in graph.get_operations() if "lms/swapout" in op.name]
        return any(self._is_gpu_op(op.inputs[0].op) for op in outs)


def _identity(tensor, name):
    output = tf.identity(tensor, name=name)
    output.op._set_attr("_grappler_do_not_remove", tf.AttrValue(b=True))
    return output


def _log(text):
    tf.logging.info("[LMS][0] " + text)
