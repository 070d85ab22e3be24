"""Our own provider: edits the graph of a session flavor from a Keras callback."""

import weakref

from . import graph as editor
from . import pretend, session
from .parameters import Parameters
from .report import announce, log


class SessionEditor(object):
    """Edits a model's graph once, before training or prediction runs it; a mixin of a callback.

    Set `is_training` to False before the first use where the model will only predict.
    """

    def __init__(self, runtime, parameters, batch_size=None):
        """parameters: text of a JSON object. Raises ValueError with one line."""
        super(SessionEditor, self).__init__()
        self.is_training = True
        self.parameters = Parameters.from_json(parameters)
        self.batch_size = batch_size
        self._runtime = runtime
        self._edited = weakref.WeakSet()

    def set_model(self, model):
        """Called by Keras before training, or by a script before it loads weights."""
        super(SessionEditor, self).set_model(model)
        if self.is_training:
            # The backward operations have to be there to be edited.
            model._make_train_function()
        self._edit(self._runtime.tf.get_default_graph(), model)

    def run(self, graph=None):
        """Edits a graph, by default the default graph, without a model at hand."""
        self._edit(graph or self._runtime.tf.get_default_graph(), None)

    def _edit(self, graph, model):
        # Keras calls set_model again when training starts.
        if graph in self._edited:
            return
        self._edited.add(graph)
        if self._runtime.phase.edit_in_place:
            self._apply(graph)
            return
        carried = session.renew(self._runtime.keras, graph, model)
        self._apply(graph)
        carried.restore()

    def _apply(self, graph):
        phase, logger = self._runtime.phase, self._runtime.tf.logging
        log(logger, "Editing model for LMS")
        edit = editor.edit(
            pretend.copied(graph) if phase.pretend else graph,
            self.parameters,
            accelerator="gpu" if phase.on_gpu else phase.accelerator_device,
            host=phase.host_device,
            training=self.is_training,
            corrupt=phase.corrupt,
            batch_size=self.batch_size,
        )
        announce(logger, edit, self.parameters)
