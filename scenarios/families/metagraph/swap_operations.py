"""The swap operations of a graph, told by their names: in a session's graph and in a file."""

import typing

from common.graph_names import SWAP_IN, SWAP_OUT


def of_graph(graph: typing.Any) -> str:
    """`"<out> out, <in> in"`: how many swap operations a `tf.Graph` has."""
    return _counted(operation.name for operation in graph.get_operations())


def of_meta_graph(meta_graph: typing.Any) -> str:
    """The same of a `MetaGraphDef`."""
    return _counted(node.name for node in meta_graph.graph_def.node)


def read(tf: typing.Any, path: str) -> typing.Any:
    """The `MetaGraphDef` in a `.meta` file."""
    meta_graph = tf.MetaGraphDef()
    with open(path, "rb") as file:
        meta_graph.ParseFromString(file.read())
    return meta_graph


def _counted(names: typing.Iterable[str]) -> str:
    listed = list(names)
    swap_out, swap_in = (
        sum(name.startswith(prefix) for name in listed) for prefix in (SWAP_OUT, SWAP_IN)
    )
    return f"{swap_out} out, {swap_in} in"
