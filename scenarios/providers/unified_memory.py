"""CUDA's managed memory: the GPU's driver moves pages when memory is short, and nobody else does.

TensorFlow and XLA take managed memory with `TF_FORCE_UNIFIED_MEMORY` (TensorFlow's `gpu_device.cc`,
XLA's `gpu_helpers.cc`), and more of it than the GPU has with a fraction above 1: of jax
`XLA_PYTHON_CLIENT_MEM_FRACTION`, of TensorFlow `per_process_gpu_memory_fraction` or the limit of a
logical device, which `frameworks` sets. GPUs before Pascal cannot have more than they hold.

No record of either framework shows a page that moved, so nothing can be measured in a step: a
ceiling proves it (`harness prove`). Much more managed memory than a GPU holds can make it hang.
"""

import typing

from providers.announcement import Swaps
from providers.interface import Provider


class UnifiedMemory(Provider):
    """Changes nothing of a model: the environment does it, before the framework starts."""

    name = "unified_memory"
    modes = ("session", "function")
    backends = ("tensorflow", "jax")
    accelerators = ("gpu",)
    effect = "pages"
    variables = {"TF_FORCE_UNIFIED_MEMORY": "1", "XLA_PYTHON_CLIENT_MEM_FRACTION": "2.0"}

    def set_model(self, model: typing.Any) -> None:
        """Says that pages may move both ways; how many, only the driver knows."""
        super().set_model(model)
        self.run()

    def run(self, graph: typing.Any = None) -> None:
        """The same, for a script that has no Keras model at hand."""
        if not getattr(self, "_announced", False):
            self._announced = True
            self.announce(Swaps(1, 1, None, None))

    def function(
        self,
        python_function: typing.Callable[..., typing.Any],
        training: bool = False,
        **options: typing.Any,
    ) -> typing.Any:
        """A plain `tf.function`."""
        self.run()
        return self._runtime.tf.function(python_function, **options)
