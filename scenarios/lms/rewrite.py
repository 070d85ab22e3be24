"""The edits of a `tf.Graph`, through private functions of TensorFlow.

Used: `Graph._create_op_internal`, `Operation._update_input`, `Operation._add_control_input`.
They exist with these signatures in TensorFlow 1.15.5, 2.15.1 and 2.21.0. The public ways
(`tf.identity`, `tf.contrib.graph_editor`) are absent in TensorFlow 2 or several times slower.
"""

import contextlib


class Rewriter(object):
    """Adds operations to a graph and reconnects its edges.

    graph: `tf.Graph` or FuncGraph. device: where the added operations are placed.
    """

    def __init__(self, graph, device):
        import tensorflow.compat.v1 as tf

        self._graph = graph
        self._device = device
        # Grappler removes identities between devices unless this attribute is present.
        self._attributes = {"_grappler_do_not_remove": tf.AttrValue(b=True)}

    @contextlib.contextmanager
    def editing(self):
        """The scope of all edits: no name scope, control inputs or control flow of the caller."""
        import tensorflow.compat.v1 as tf

        graph = self._graph
        with graph.as_default(), graph.name_scope(None), graph.control_dependencies(None):
            # None first: a device function or scope of the caller must not be merged in.
            with tf.device(None), tf.device(self._device):
                yield self

    def unary(self, op_type, tensor, name):
        """Adds `op_type(tensor)`, an operation that keeps the shape and dtype; its output."""
        operation = self._graph._create_op_internal(
            op_type,
            [tensor],
            dtypes=[tensor.dtype],
            name=name,
            attrs=self._attributes_for(tensor),
        )
        return operation.outputs[0]

    def no_op(self, name):
        """Adds an operation without inputs and outputs, for control edges to meet in."""
        return self._graph._create_op_internal("NoOp", [], dtypes=[], name=name)

    @staticmethod
    def reconnect(operation, position, tensor):
        """Makes `tensor` the data input number `position` of `operation`."""
        operation._update_input(position, tensor)

    @staticmethod
    def run_after(operation, control):
        """Adds the control edge `control` -> `operation`."""
        operation._add_control_input(control)

    def _attributes_for(self, tensor):
        import tensorflow.compat.v1 as tf

        attributes = dict(self._attributes)
        attributes["T"] = tf.AttrValue(type=tensor.dtype.as_datatype_enum)
        return attributes
