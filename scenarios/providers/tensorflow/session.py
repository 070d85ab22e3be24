"""Edits the graph of a session from a Keras callback, before anything runs it."""

import typing
import weakref

from common.runtime import Runtime
from providers import announcement
from providers.interface import Provider
from providers.tensorflow import graph as editor
from providers.tensorflow import renewal
from providers.tensorflow.insertion import Insertion, Maker


class SessionEditor(Provider):
    """Edits a model's graph once, before training or prediction runs it.

    make_insertion: makes what inserts swaps into the graph.
    """

    name = "builtin"
    modes = ("session",)
    backends = ("tensorflow",)
    make_insertion: Maker = Insertion

    def __init__(self, runtime: Runtime, batch_size: typing.Optional[int] = None) -> None:
        super().__init__(runtime, batch_size)
        self._edited: weakref.WeakSet[typing.Any] = weakref.WeakSet()

    def set_model(self, model: typing.Any) -> None:
        """Called by Keras before training, or by a script before it loads weights."""
        super().set_model(model)
        if self.is_training:
            # The backward operations have to be there to be edited.
            model._make_train_function()
        self._edit(self._runtime.tf.get_default_graph(), model)

    def run(self, graph: typing.Any = None) -> None:
        """Edits a graph, by default the default graph, without a model at hand."""
        self._edit(graph or self._runtime.tf.get_default_graph(), None)

    def edited(self, graph: typing.Any) -> typing.Any:
        """The graph that is edited: that which the session runs."""
        return graph

    def _edit(self, graph: typing.Any, model: typing.Any) -> None:
        # Keras calls set_model again when training starts.
        if graph in self._edited:
            return
        self._edited.add(graph)
        if self._runtime.phase.edit_in_place:
            self._apply(graph)
            return
        carried = renewal.renew(self._runtime.keras, graph, model)
        self._apply(graph)
        carried.restore()

    def _apply(self, graph: typing.Any) -> None:
        phase, logger = self._runtime.phase, self._runtime.tf.logging
        announcement.log(logger, "Editing model for LMS")
        edit = editor.edit(
            self.edited(graph),
            self.parameters,
            accelerator="gpu" if phase.on_gpu else phase.accelerator_device,
            host=phase.host_device,
            training=self.is_training,
            batch_size=self.batch_size,
            make=self.make_insertion,
        )
        announcement.edited(logger, self.name, self.told(edit.swaps), self.parameters)
