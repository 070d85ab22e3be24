"""Where the operations of a function run and what they read, by the names of the runtime.

The runtime inlines what a function calls as a function: an operation's name is then that of the
call, a slash, and the operation's own name in the function that is called. A `tf.cond` puts the
branch between the two, as in `cond/then/_7/`.
"""

import re
import typing

from common.graph_names import unit

# A `FunctionDef` of TensorFlow's, and a node of one.
Definition = typing.Any
_Node = typing.Any
_Found = typing.Tuple[typing.Optional[_Node], typing.Optional[str]]
_BRANCH = re.compile(r"(?:then|else|branch\w*|body|cond)/_\d+/")


class Placement:
    """The operations of a function, and of the functions that it calls."""

    def __init__(self, definition: Definition, lookup: typing.Callable[[str], Definition]) -> None:
        """definition: a `FunctionDef`. lookup: gives the one of a name."""
        self._definition = definition
        self._lookup = lookup
        self._nodes: typing.Dict[str, typing.Dict[str, _Node]] = {}
        self._found: typing.Dict[str, _Found] = {}

    def device(self, operation: str) -> typing.Optional[str]:
        """`'CPU:1'` of an operation; of one without a device of its own, that of its call.

        None of one that TensorFlow made itself and placed unseen.
        """
        return self._at(operation)[1]

    def name(self, operation: str) -> typing.Optional[str]:
        """An operation's own name in its function; None of one that is in none."""
        node = self._at(operation)[0]
        return node.name if node is not None else None

    def inputs(self, operation: str) -> typing.Set[str]:
        """Names of the operations of the same function whose outputs an operation reads."""
        node, _ = self._at(operation)
        if node is None:
            return set()
        prefix = operation[: len(operation) - len(node.name)]
        return {prefix + name.split(":")[0] for name in node.input if not name.startswith("^")}

    def _at(self, operation: str) -> _Found:
        """The node of an operation, or None, and its device, or that of the nearest call."""
        if operation not in self._found:
            self._found[operation] = self._search(self._definition, operation)
        return self._found[operation]

    def _search(self, definition: Definition, name: str) -> _Found:
        nodes = self._nodes_of(definition)
        if name in nodes:
            return nodes[name], unit(nodes[name].device) or None
        call = name.rpartition("/")[0]
        while call and call not in nodes:
            call = call.rpartition("/")[0]
        if not call:
            return None, None
        device = unit(nodes[call].device) or None
        inner = _BRANCH.sub("", name[len(call) + 1 :], count=1)
        for function in _called(nodes[call]):
            node, placed = self._search(self._lookup(function), inner)
            if node is not None or placed is not None:
                return node, placed or device
        return None, device

    def _nodes_of(self, definition: Definition) -> typing.Dict[str, _Node]:
        key = definition.signature.name
        if key not in self._nodes:
            self._nodes[key] = {node.name: node for node in definition.node_def}
        return self._nodes[key]


def _called(node: _Node) -> typing.List[str]:
    return [attribute.func.name for attribute in node.attr.values() if attribute.func.name]
