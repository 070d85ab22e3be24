"""The edits of a `tf.Graph`, through private functions of TensorFlow.

Used: `Graph._create_op_internal`, `Operation._update_input`, `Operation._add_control_input`,
`Operation._set_device`.
They exist with these signatures in TensorFlow 1.15.5, 2.15.1 and 2.21.0. The public ways
(`tf.identity`, `tf.contrib.graph_editor`) are absent in TensorFlow 2 or several times slower.
"""

import contextlib


class Rewriter(object):
    """Adds operations to a graph and reconnects its edges.

    graph: `tf.Graph` or FuncGraph.
    """

    def __init__(self, graph):
        import tensorflow.compat.v1 as tf

        self._tf = tf
        self._graph = graph
        # Grappler removes identities between devices unless this attribute is present.
        self._kept = tf.AttrValue(b=True)

    @contextlib.contextmanager
    def editing(self):
        """The scope of all edits: nothing of the caller's scopes reaches the added operations."""
        graph = self._graph
        with graph.as_default(), graph.name_scope(None), graph.control_dependencies(None):
            with graph.device(None):
                yield self

    def unary(self, op_type, tensor, device, name):
        """Adds `op_type(tensor)`, an operation that keeps shape and dtype; returns its output."""
        attributes = {
            "T": self._tf.AttrValue(type=tensor.dtype.as_datatype_enum),
            "_grappler_do_not_remove": self._kept,
        }
        operation = self._graph._create_op_internal(
            op_type, [tensor], dtypes=[tensor.dtype], name=name, attrs=attributes
        )
        operation._set_device(device)
        return operation.outputs[0]

    @staticmethod
    def reconnect(operation, position, tensor):
        """Makes `tensor` the data input number `position` of `operation`."""
        operation._update_input(position, tensor)

    @staticmethod
    def run_after(operation, control):
        """Adds the control edge `control` -> `operation`."""
        operation._add_control_input(control)
