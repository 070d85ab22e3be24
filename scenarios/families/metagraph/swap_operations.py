"""The swap operations of a graph, told by their names: in a session's graph and in a file."""

SWAP_OUT = "lms/swapout_"
SWAP_IN = "lms/swapin_"


def of_graph(graph):
    """`"<out> out, <in> in"`: how many swap operations a `tf.Graph` has."""
    return _counted(operation.name for operation in graph.get_operations())


def of_meta_graph(meta_graph):
    """The same of a `MetaGraphDef`."""
    return _counted(node.name for node in meta_graph.graph_def.node)


def read(tf, path):
    """The `MetaGraphDef` in a `.meta` file."""
    meta_graph = tf.MetaGraphDef()
    with open(path, "rb") as file:
        meta_graph.ParseFromString(file.read())
    return meta_graph


def _counted(names):
    names = list(names)
    swap_out, swap_in = (
        sum(name.startswith(prefix) for name in names) for prefix in (SWAP_OUT, SWAP_IN)
    )
    return "{} out, {} in".format(swap_out, swap_in)
