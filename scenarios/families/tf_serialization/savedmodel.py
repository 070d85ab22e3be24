"""SavedModels: where the artifact is, its signature, loading one with LMS in between."""

import os

from common.phase import refuse

DIRECTORY = "savedmodel"
TAG = "serve"
SIGNATURE = "serving_default"


def save(tf, session, directory, model):
    """Writes a SavedModel of the session's graph with the seed's signature, for any device.

    model: `classifier.Model`.
    """
    tf.saved_model.simple_save(
        session,
        directory,
        inputs={"inputs_1": model.inputs},
        outputs={"output1": model.predictions},
    )


def variable_files(directory):
    """Names of the files with a SavedModel's variables."""
    path = os.path.join(directory, "variables")
    return sorted(os.listdir(path)) if os.path.isdir(path) else []


class Loader(object):
    """A SavedModel whose graph can be edited before a session restores its variables.

    `tf.saved_model.loader.load` does both in a session at once, which is too late for LMS; this
    does the same with the class that it is made of.
    """

    def __init__(self, directory):
        from tensorflow.python.saved_model.loader_impl import SavedModelLoader

        self._saver = None
        try:
            self._loader = SavedModelLoader(directory)
            signatures = self._loader.get_meta_graph_def_from_tags([TAG]).signature_def
        except (IOError, RuntimeError) as error:
            refuse(error)
        if SIGNATURE not in signatures:
            refuse("the SavedModel has no signature {}".format(SIGNATURE))
        self.signature = signatures[SIGNATURE]

    @property
    def meta_graphs(self):
        """Number of meta graphs in the SavedModel."""
        return len(self._loader.saved_model.meta_graphs)

    def load_graph(self, graph):
        """Imports the graph into this one."""
        self._saver, _ = self._loader.load_graph(graph, [TAG])

    def restore(self, session):
        """Gives the variables their values and runs what the SavedModel starts with."""
        self._loader.restore_variables(session, self._saver)
        self._loader.run_init_ops(session, [TAG])
