"""The foreign provider TFLMS: class `LMS` of the package `tensorflow_large_model_support` 2."""

import sys
import time
import typing

from common import graph_names
from common.runtime import Runtime
from providers import announcement
from providers.announcement import Swaps
from providers.interface import Provider
from providers.tensorflow.insertion import size
from providers.tensorflow.rewrite import Rewriter

_Operations = typing.List[typing.Any]


class Adapter(Provider):
    """Hands Keras' calls on to TFLMS, and reports what that added to the graph.

    The counts are taken from the graph, before and after. Where a CPU device stands in for the
    accelerator, TFLMS is made to see one in it, and its swaps to copy.
    """

    name = "tflms"
    modes = ("session",)
    backends = ("tensorflow",)

    def __init__(self, runtime: Runtime, batch_size: typing.Optional[int] = None) -> None:
        super().__init__(runtime, batch_size)
        lms, util = _load(runtime.phase.provider_path)
        # The import turned them off, by disable_v2_behavior: a model that is built from now on
        # would have reference variables, unlike its control.
        runtime.tf.enable_resource_variables()
        if not runtime.phase.on_gpu:
            _tell_apart(util, runtime.phase.accelerator_device)
        self._lms = lms(**self._arguments())
        self._lms.batch_size = batch_size

    @property
    def is_training(self) -> bool:
        """Whether the model will be trained."""
        return bool(self._lms.is_training)

    @is_training.setter
    def is_training(self, value: bool) -> None:
        self._lms.is_training = value

    def set_params(self, params: typing.Any) -> None:
        """Called by Keras."""
        super().set_params(params)  # type: ignore[misc]
        self._reporting(lambda: self._lms.set_params(params))

    def set_model(self, model: typing.Any) -> None:
        """Called by Keras before training, or by a script before it loads weights."""
        super().set_model(model)
        self._reporting(lambda: self._lms.set_model(model))

    def run(self, graph: typing.Any = None) -> None:
        """Edits a graph, by default the default graph, without a model at hand."""
        self._reporting(lambda: self._lms.run(graph=graph, keras=True), graph)

    def _arguments(self) -> typing.Dict[str, typing.Any]:
        phase = self._runtime.phase
        arguments: typing.Dict[str, typing.Any] = dict(self.parameters._asdict())
        arguments["cpu_device"] = "/cpu:0"
        if not phase.on_gpu:
            # As the model's operations have it. What has no device is placed on the host.
            arguments["gpu_device"] = phase.accelerator_device
        return arguments

    def _reporting(self, edit: typing.Callable[[], typing.Any], graph: typing.Any = None) -> None:
        graph = graph or self._runtime.tf.get_default_graph()
        before = len(graph.get_operations())
        started = time.perf_counter()
        edit()
        milliseconds = (time.perf_counter() - started) * 1000.0
        added = graph.get_operations()[before:]
        swap_out = [operation for operation in added if graph_names.SWAP_OUT in operation.name]
        swap_in = [operation for operation in added if graph_names.SWAP_IN in operation.name]
        if not swap_out and not swap_in:
            return
        if not self._runtime.phase.on_gpu:
            self._copy(graph, swap_out, swap_in)
        swaps = Swaps(
            swap_out=len(swap_out),
            swap_in=len(swap_in),
            bytes_out=self._bytes(swap_out),
            bytes_in=self._bytes(swap_in),
            operations=len(swap_out) + len(swap_in),
            milliseconds=milliseconds,
        )
        announcement.mark(self.name, swaps, self.parameters)

    def _copy(self, graph: typing.Any, swap_out: _Operations, swap_in: _Operations) -> None:
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

    def _bytes(self, operations: _Operations) -> typing.Optional[int]:
        """Bytes of the operations' outputs by their static shapes; None if a size is unknown."""
        total = 0
        for tensor in (output for operation in operations for output in operation.outputs):
            known = size(tensor, self.batch_size)
            if known is None:
                return None
            total += known
        return total


def _load(path: typing.Optional[str]) -> typing.Tuple[typing.Any, typing.Any]:
    """The class `LMS` and the module of its helpers."""
    if path is not None and path not in sys.path:
        sys.path.insert(0, path)
    try:
        from tensorflow_large_model_support import LMS, util
    except ImportError as error:
        where = f"in LMS_PATH {path!r} or the environment" if path else "installed"
        raise ImportError(f"provider tflms: tensorflow_large_model_support is not {where}: {error}")
    return LMS, util


def _tell_apart(util: typing.Any, accelerator: str) -> None:
    """Lets TFLMS see an accelerator in a CPU device.

    It takes every operation whose device holds "CPU" for one of the host, which it never swaps.
    """
    is_cpu_op = util.is_cpu_op

    def is_host_op(operation: typing.Any) -> bool:
        return bool(is_cpu_op(operation)) and operation.device.upper() != accelerator.upper()

    util.is_cpu_op = is_host_op
