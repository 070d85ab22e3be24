"""The foreign provider TFLMS: class `LMS` of the package `tensorflow_large_model_support` 2."""

import sys
import time

from .parameters import Parameters
from .rewrite import Rewriter

_SWAP_OUT = "lms/swapout"
_SWAP_IN = "lms/swapin"


class Adapter(object):
    """Hands Keras' calls on to TFLMS, and reports what that added to the graph.

    A mixin of a callback. The counts are taken from the graph, before and after. Where a CPU device
    stands in for the accelerator, TFLMS is made to see one in it, and its swaps to copy.
    """

    def __init__(self, runtime, parameters, batch_size=None):
        """parameters: text of a JSON object. Raises ValueError or ImportError with one line."""
        super(Adapter, self).__init__()
        self.parameters = Parameters.from_json(parameters)
        self._runtime = runtime
        lms, util = _load(runtime.phase.provider_path)
        # The import turned them off, by disable_v2_behavior: a model that is built from now on
        # would have reference variables, unlike its control.
        runtime.tf.enable_resource_variables()
        if not runtime.phase.on_gpu:
            _tell_apart(util, runtime.phase.accelerator_device)
        self._lms = lms(**self._arguments())
        self._lms.batch_size = batch_size
        self._batch_size = batch_size

    @property
    def is_training(self):
        """Whether the model will be trained."""
        return self._lms.is_training

    @is_training.setter
    def is_training(self, value):
        self._lms.is_training = value

    def set_params(self, params):
        """Called by Keras."""
        super(Adapter, self).set_params(params)
        self._reporting(lambda: self._lms.set_params(params))

    def set_model(self, model):
        """Called by Keras before training, or by a script before it loads weights."""
        super(Adapter, self).set_model(model)
        self._reporting(lambda: self._lms.set_model(model))

    def run(self, graph=None):
        """Edits a graph, by default the default graph, without a model at hand."""
        self._reporting(lambda: self._lms.run(graph=graph, keras=True), graph)

    def _arguments(self):
        phase = self._runtime.phase
        arguments = dict(self.parameters._asdict())
        arguments["cpu_device"] = "/cpu:0"
        if not phase.on_gpu:
            # As the model's operations have it. What has no device is placed on the host.
            arguments["gpu_device"] = phase.accelerator_device
        return arguments

    def _reporting(self, edit, graph=None):
        graph = graph or self._runtime.tf.get_default_graph()
        before = len(graph.get_operations())
        started = time.perf_counter()
        edit()
        milliseconds = (time.perf_counter() - started) * 1000.0
        added = graph.get_operations()[before:]
        swap_out = [operation for operation in added if _SWAP_OUT in operation.name]
        swap_in = [operation for operation in added if _SWAP_IN in operation.name]
        if not swap_out and not swap_in:
            return
        if not self._runtime.phase.on_gpu:
            self._copy(graph, swap_out, swap_in)
        from common import marker

        marker.emit(
            "lms_edited",
            provider="tflms",
            operations=len(swap_out) + len(swap_in),
            swap_out=len(swap_out),
            swap_in=len(swap_in),
            bytes_out=self._bytes(swap_out),
            bytes_in=self._bytes(swap_in),
            ms=milliseconds,
            parameters=self.parameters._asdict(),
        )

    def _copy(self, graph, swap_out, swap_in):
        """Adds a copy to the host before each swap-out, and one back after each swap-in.

        TFLMS swaps by identities, and those share buffers between CPU devices. What waits for a
        swap-out waits for its copy as well. The names are ones that neither TFLMS nor the meter
        takes for further swaps.
        """
        phase = self._runtime.phase
        with Rewriter(graph).editing() as rewriter:
            for operation in swap_out:
                name = operation.name + "/copy"
                copied = rewriter.copy(operation.inputs[0], phase.host_device, name)
                rewriter.reconnect(operation, 0, copied)
            for operation in swap_in:
                tensor = operation.outputs[0]
                uses = [
                    (consumer, position)
                    for consumer in tensor.consumers()
                    for position, value in enumerate(consumer.inputs)
                    if value is tensor
                ]
                name = operation.name + "/copy"
                copied = rewriter.copy(tensor, phase.accelerator_device, name)
                for consumer, position in uses:
                    rewriter.reconnect(consumer, position, copied)

    def _bytes(self, operations):
        """Bytes of the operations' outputs by their static shapes; None if a size is unknown."""
        total = 0
        for tensor in (output for operation in operations for output in operation.outputs):
            shape = tensor.shape.as_list() if tensor.shape.ndims is not None else [None, None]
            if shape and shape[0] is None:
                shape[0] = self._batch_size
            if None in shape:
                return None
            size = tensor.dtype.size
            for dimension in shape:
                size *= dimension
            total += size
        return total


def _load(path):
    """The class `LMS` and the module of its helpers."""
    if path is not None and path not in sys.path:
        sys.path.insert(0, path)
    try:
        from tensorflow_large_model_support import LMS, util
    except ImportError as error:
        where = "in LMS_PATH {!r} or the environment".format(path) if path else "installed"
        raise ImportError(
            "provider tflms: tensorflow_large_model_support is not {}: {}".format(where, error)
        )
    return LMS, util


def _tell_apart(util, accelerator):
    """Lets TFLMS see an accelerator in a CPU device.

    It takes every operation whose device holds "CPU" for one of the host, which it never swaps.
    """
    is_cpu_op = util.is_cpu_op

    def is_host_op(operation):
        return is_cpu_op(operation) and operation.device.upper() != accelerator.upper()

    util.is_cpu_op = is_host_op
