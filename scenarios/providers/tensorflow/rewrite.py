"""The edits of a `tf.Graph`, through private functions of TensorFlow.

Used: `Graph._create_op_internal`, `Operation._update_input`, `Operation._add_control_input`,
`Operation._set_device`, `Operation._remove_all_control_inputs`, `Operation._add_control_inputs`.
They exist with these signatures in TensorFlow 1.15.5, 2.15.1 and 2.21.0. The public ways
(`tf.identity`, `tf.contrib.graph_editor`) are absent in TensorFlow 2 or several times slower.
"""

import contextlib
import typing

# A tensor and an operation of a `tf.Graph`.
_Tensor = typing.Any
_Operation = typing.Any


class Rewriter:
    """Adds operations to a graph and reconnects its edges.

    graph: `tf.Graph` or FuncGraph. added: number of operations added so far.
    """

    def __init__(self, graph: typing.Any) -> None:
        import tensorflow.compat.v1 as tf

        self._tf = tf
        self._graph = graph
        self._zeros: typing.Dict[str, _Tensor] = {}
        self.added = 0
        # Grappler removes identities between devices unless this attribute is present.
        self._kept = tf.AttrValue(b=True)

    @contextlib.contextmanager
    def editing(self) -> typing.Iterator["Rewriter"]:
        """The scope of all edits: nothing of the caller's scopes reaches the added operations."""
        graph = self._graph
        with graph.as_default(), graph.name_scope(None), graph.control_dependencies(None):
            with graph.device(None):
                yield self

    def identity(self, tensor: _Tensor, device: str, name: str) -> _Tensor:
        """Adds an operation that hands on `tensor` on `device`; returns its output."""
        return self._create("Identity", [tensor], device, name)

    def copy(self, tensor: _Tensor, device: str, name: str) -> _Tensor:
        """Adds an operation that copies `tensor`, of rank 1 or more, into memory of `device`.

        A roll by zero never shares its input's buffer. DeepCopy does the same, but counts
        as stateful, and a function runs its stateful operations in the order of their creation.
        """
        if device not in self._zeros:
            with self._graph.device(device):
                self._zeros[device] = self._tf.constant(0, self._tf.int32, name="lms/zero")
            self.added += 1
        zero = self._zeros[device]
        return self._create("Roll", [tensor, zero, zero], device, name)

    def called(
        self, tensor: _Tensor, function: typing.Callable[[typing.Any], typing.Any], name: str
    ) -> _Tensor:
        """Adds an operation that hands a tensor to Python, as an array; returns what that gives.

        function: gives an array of the same shape and type. It runs on the host.
        """
        called = self._tf.py_func(function, [tensor], tensor.dtype, stateful=False, name=name)
        called.set_shape(tensor.shape)
        self.added += 1
        return called

    def negative(self, tensor: _Tensor, device: str, name: str) -> _Tensor:
        """Adds an operation that negates `tensor` on `device`; returns its output."""
        return self._create("Neg", [tensor], device, name)

    def _create(
        self, op_type: str, inputs: typing.List[_Tensor], device: str, name: str
    ) -> _Tensor:
        tf = self._tf
        attributes = {
            "T": tf.AttrValue(type=inputs[0].dtype.as_datatype_enum),
            "_grappler_do_not_remove": self._kept,
        }
        if op_type == "Roll":
            attributes["Tshift"] = attributes["Taxis"] = tf.AttrValue(
                type=tf.int32.as_datatype_enum
            )
        operation = self._graph._create_op_internal(
            op_type, inputs, dtypes=[inputs[0].dtype], name=name, attrs=attributes
        )
        operation._set_device(device)
        self.added += 1
        return operation.outputs[0]

    @staticmethod
    def reconnect(operation: _Operation, position: int, tensor: _Tensor) -> None:
        """Makes `tensor` the data input number `position` of `operation`."""
        operation._update_input(position, tensor)

    @staticmethod
    def run_after(operation: _Operation, control: _Operation) -> None:
        """Adds the control edge `control` -> `operation`."""
        operation._add_control_input(control)


class Wiring:
    """What the operations of a graph take and wait for, as it is now."""

    def __init__(self, graph: typing.Any) -> None:
        self._wired = [
            (operation, list(operation.inputs), list(operation.control_inputs))
            for operation in graph.get_operations()
        ]

    def restore(self) -> None:
        """Lets them take and wait for the same again; what was added since is left over."""
        for operation, inputs, controls in self._wired:
            for position, (tensor, now) in enumerate(zip(inputs, list(operation.inputs))):
                if now is not tensor:
                    Rewriter.reconnect(operation, position, tensor)
            if list(operation.control_inputs) != controls:
                operation._remove_all_control_inputs()
                operation._add_control_inputs(controls)
