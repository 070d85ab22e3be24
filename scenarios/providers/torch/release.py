"""Lets go of a layer's output when the last layer that takes it has it.

A functional model of Keras 3 keeps every output of its graph until the forward pass is over: the
memory of a tensor that is out would not be free before, and the peak would stay at the sum.
"""

import typing

# The arguments of an operation of Keras', and keys of the outputs that no later operation takes.
_Dead = typing.Tuple[typing.Any, typing.List[int]]


class ReleasingGraph:
    """For one step, the graphs of a model and of the models in it."""

    def __init__(self, model: typing.Any) -> None:
        self._dead = _dead_after_use(_graphs(model))

    def __enter__(self) -> "ReleasingGraph":
        for arguments, dead in self._dead:
            arguments.fill_in = _releasing(arguments.fill_in, dead)
        return self

    def __exit__(self, *raised: typing.Any) -> None:
        for arguments, _ in self._dead:
            # The instance's attribute hid the method of its class.
            del arguments.fill_in


def _releasing(
    fill_in: typing.Callable[[typing.Any], typing.Any], dead: typing.List[int]
) -> typing.Callable[[typing.Any], typing.Any]:
    def releasing(tensors: typing.Any) -> typing.Any:
        filled = fill_in(tensors)
        for name in dead:
            # Keras asks whether the key is there: the operation has run.
            tensors[name] = None
        return filled

    return releasing


def _graphs(model: typing.Any) -> typing.List[typing.Any]:
    found = {}
    for layer in model._flatten_layers():
        # A sequential model has its graph in an attribute.
        for graph in (layer, getattr(layer, "_functional", None)):
            if hasattr(graph, "_nodes_by_depth"):
                found[id(graph)] = graph
    return list(found.values())


def _dead_after_use(graphs: typing.Iterable[typing.Any]) -> typing.List[_Dead]:
    """For the arguments of each operation, keys of the outputs that no later one takes."""
    dead: typing.Dict[int, _Dead] = {}
    shared = set()
    for graph in graphs:
        # The order in which Keras runs them.
        nodes = [
            node
            for depth in sorted(graph._nodes_by_depth, reverse=True)
            for node in graph._nodes_by_depth[depth]
            if node.operation and not node.is_input
        ]
        last = {id(tensor): node for node in nodes for tensor in node.input_tensors}
        for tensor in graph.outputs:
            last.pop(id(tensor), None)
        for node in nodes:
            key = id(node.arguments)
            if key in dead:
                shared.add(key)  # an operation of two graphs, with other ends
            dead[key] = (
                node.arguments,
                [name for name, user in last.items() if user is node],
            )
    return [entry for key, entry in dead.items() if key not in shared and entry[1]]
