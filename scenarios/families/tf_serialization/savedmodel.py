"""SavedModels: where the artifact is, its signature, loading one with LMS in between."""

import os
import typing

from common import marker
from common.errors import refuse
from families.tf_serialization import classifier

DIRECTORY = "savedmodel"
TAG = "serve"
SIGNATURE = "serving_default"
INPUT, OUTPUT = "inputs_1", "output1"
# Those of a model that has variables.
VARIABLE_FILES = "variables.data-00000-of-00001 variables.index"


def save(tf: typing.Any, session: typing.Any, directory: str, model: classifier.Model) -> None:
    """Writes a SavedModel of the session's graph with the seed's signature, for any device."""
    tf.saved_model.simple_save(
        session,
        directory,
        inputs={INPUT: model.inputs},
        outputs={OUTPUT: model.predictions},
    )


def claim_variable_files(directory: str, expected: str) -> None:
    """Claims the names of the files with a SavedModel's variables, with spaces between."""
    path = os.path.join(directory, "variables")
    found = sorted(os.listdir(path)) if os.path.isdir(path) else []
    marker.claim("the files of the variables", expected, " ".join(found))


class Loader:
    """A SavedModel whose graph can be edited before a session restores its variables.

    `tf.saved_model.loader.load` does both in a session at once, which is too late for LMS; this
    does the same with the class that it is made of.

    signature: the `SignatureDef` that is served. A directory that holds no SavedModel with one ends
    the process with exit code 2 and one line.
    """

    def __init__(self, directory: str) -> None:
        from tensorflow.python.saved_model.loader_impl import SavedModelLoader

        self._saver: typing.Any = None
        try:
            self._loader = SavedModelLoader(directory)
            signatures = self._loader.get_meta_graph_def_from_tags([TAG]).signature_def
        except (OSError, RuntimeError) as error:
            refuse(error)
        if SIGNATURE not in signatures:
            refuse(f"the SavedModel has no signature {SIGNATURE}")
        self.signature = signatures[SIGNATURE]

    @property
    def meta_graphs(self) -> int:
        """Number of meta graphs in the SavedModel."""
        return len(self._loader.saved_model.meta_graphs)

    def load_graph(self, graph: typing.Any) -> None:
        """Imports the graph into this one."""
        self._saver, _ = self._loader.load_graph(graph, [TAG])

    def restore(self, session: typing.Any) -> None:
        """Gives the variables their values and runs what the SavedModel starts with."""
        self._loader.restore_variables(session, self._saver)
        self._loader.run_init_ops(session, [TAG])


class InitialLoader(Loader):
    """A SavedModel whose variables get their initial values: its graph is loaded, and no value."""

    def restore(self, session: typing.Any) -> None:
        """Gives the variables their initial values."""
        import tensorflow.compat.v1 as tf

        session.run(tf.variables_initializer(tf.global_variables()))


class Built:
    """What stands in for a `Loader` in a reference: the model as code makes it.

    signature: as there, after `load_graph`.
    """

    signature: typing.Any
    meta_graphs = 1

    def load_graph(self, graph: typing.Any) -> None:
        """Builds the model in this graph, which is the default one."""
        import tensorflow.compat.v1 as tf

        classifier.build(tf)
        model = classifier.find(graph)
        self.signature = tf.saved_model.signature_def_utils.predict_signature_def(
            {INPUT: model.inputs}, {OUTPUT: model.predictions}
        )

    def restore(self, session: typing.Any) -> None:
        """Gives the variables their initial values."""
        import tensorflow.compat.v1 as tf

        session.run(tf.variables_initializer(tf.global_variables()))
