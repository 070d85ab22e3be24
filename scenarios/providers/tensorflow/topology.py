"""A graph read once into plain lists: edges, levels, frames and branches.

Everything here is linear in operations plus edges. An operation is its index in
`graph.get_operations()`; an edge is `(producer, output)` in the consumer's list of inputs.
"""

import typing

_BACK_EDGE = frozenset(["NextIteration", "RefNextIteration"])
_ENTER = frozenset(["Enter", "RefEnter"])
_EXIT = frozenset(["Exit", "RefExit"])
_MERGE = frozenset(["Merge", "RefMerge"])
_SWITCH = frozenset(["Switch", "RefSwitch"])

# A producer and which of its outputs.
Source = typing.Tuple[int, int]
# A predicate, or a Merge, and its outcome.
Branches = typing.FrozenSet[typing.Tuple[typing.Any, typing.Any]]

ALWAYS: Branches = frozenset()


class Topology:
    """Operations of a graph in topological order.

    graph: the graph. operations: `tf.Operation`, in the graph's order.
    types, devices: one string an operation.
    inputs: per operation, a list of `(producer, output)`, in the order of its data inputs.
    controls: per operation, a list of the indices of its control inputs.
    is_function: whether the graph is a FuncGraph.
    results: of a function, the operations whose outputs it gives.
    effects: for a function, the operations that it will make an operation wait for because of
        their side effects; see `_order_of_effects`.
    consumers: per operation, a list of `(output, consumer, input)`.
    order: indices in topological order; an operation on a cycle that is no while loop is absent.
    levels: per operation, the length of the longest path that leads to it; -1 if not in `order`.
    in_loop: per operation, whether it is in a while loop, its Enter and Exit included.
    branches: per operation, the set of `(predicate, outcome)` under all of which it is alive;
        empty for one that always executes. See `branches_of`.
    """

    def __init__(self, graph: typing.Any, results: typing.Iterable[str] = ()) -> None:
        """results: names of operations."""
        operations = graph.get_operations()
        index = {operation: number for number, operation in enumerate(operations)}
        self.graph = graph
        self.operations = operations
        self.types: typing.List[str] = [operation.type for operation in operations]
        self.devices: typing.List[str] = [operation.device for operation in operations]
        self.inputs: typing.List[typing.List[Source]] = [
            [(index[tensor.op], tensor.value_index) for tensor in operation.inputs]
            for operation in operations
        ]
        self.controls = [
            [index[control] for control in operation.control_inputs] for operation in operations
        ]
        self.is_function = hasattr(graph, "captures")
        self.results = {index[graph.get_operation_by_name(name)] for name in results}
        self.effects: typing.Dict[int, typing.List[int]] = (
            self._order_of_effects() if self.is_function else {}
        )
        self.consumers: typing.List[typing.List[typing.Tuple[int, int, int]]] = [
            [] for _ in operations
        ]
        for consumer, inputs in enumerate(self.inputs):
            for position, (producer, output) in enumerate(inputs):
                self.consumers[producer].append((output, consumer, position))
        self.order, self.levels = self._sort()
        self.in_loop = self._find_loops()
        self.branches = branches_of(self)

    @property
    def depth(self) -> int:
        """The number of levels."""
        return max(self.levels) + 1 if self.levels else 0

    def predecessors(self, operation: int) -> typing.Iterator[int]:
        """Whatever an operation waits for: producers of its inputs, control inputs, effects.

        The back edges of loops are left out.
        """
        for producer, _ in self.inputs[operation]:
            if self.types[producer] not in _BACK_EDGE:
                yield producer
        for producer in self.controls[operation]:
            yield producer
        for producer in self.effects.get(operation, ()):
            yield producer

    def is_merge(self, operation: int) -> bool:
        """Whether it joins branches, so that one dead input does not make it dead."""
        return self.types[operation] in _MERGE

    def branches_of_output(self, operation: int, output: int) -> Branches:
        """The branches that one output of an operation is in."""
        return _of_output(self, self.branches, operation, output)

    def _sort(self) -> typing.Tuple[typing.List[int], typing.List[int]]:
        """Kahn's algorithm: a topological order and the level of each operation."""
        count = len(self.operations)
        successors: typing.List[typing.List[int]] = [[] for _ in range(count)]
        waiting = [0] * count
        for operation in range(count):
            for predecessor in self.predecessors(operation):
                successors[predecessor].append(operation)
                waiting[operation] += 1
        levels = [-1] * count
        order = [operation for operation in range(count) if not waiting[operation]]
        for operation in order:
            levels[operation] = 0
        for operation in order:  # grows while it is walked
            level = levels[operation] + 1
            for successor in successors[operation]:
                if levels[successor] < level:
                    levels[successor] = level
                waiting[successor] -= 1
                if not waiting[successor]:
                    order.append(successor)
        for operation in range(count):
            if waiting[operation]:
                levels[operation] = -1
        return order, levels

    def _order_of_effects(self) -> typing.Dict[int, typing.List[int]]:
        """The control edges that the automatic control dependencies of a function come to.

        TensorFlow adds them when the trace ends, that is after the edit: operations on one
        resource keep the order of their creation, reads among themselves excepted, and so do
        stateful operations without a resource. Here every operation but a plain read of a
        variable counts as a write, which asks for more than TensorFlow does and never for less.
        """
        effects: typing.Dict[int, typing.List[int]] = {}
        last_write: typing.Dict[typing.Optional[Source], int] = {}
        reads: typing.Dict[typing.Optional[Source], typing.List[int]] = {}
        for operation in range(len(self.operations)):
            handles: typing.Set[typing.Optional[Source]] = {
                edge
                for edge in self.inputs[operation]
                if self.operations[edge[0]].outputs[edge[1]].dtype.name == "resource"
            }
            if not handles and self.operations[operation].op_def.is_stateful:
                handles = {None}
            waits_for: typing.Set[int] = set()
            for handle in handles:
                if handle in last_write:
                    waits_for.add(last_write[handle])
                if self.types[operation] == "ReadVariableOp":
                    reads.setdefault(handle, []).append(operation)
                else:
                    waits_for.update(reads.pop(handle, ()))
                    last_write[handle] = operation
            if waits_for:
                effects[operation] = sorted(waits_for)
        return effects

    def _find_loops(self) -> typing.List[bool]:
        """Marks what lies between an Enter and the Exit of its frame, both ends included."""
        in_loop = [False] * len(self.operations)
        if not any(name in _ENTER for name in self.types):
            return in_loop
        depths = [0] * len(self.operations)
        for operation in self.order:
            depth = max([depths[other] for other in self.predecessors(operation)] or [0])
            in_loop[operation] = depth > 0
            if self.types[operation] in _ENTER:
                in_loop[operation] = True
                depth += 1
            elif self.types[operation] in _EXIT:
                depth -= 1
            depths[operation] = depth
        return in_loop


def branches_of(topology: Topology) -> typing.List[Branches]:
    """The branches of `tf.cond` that each operation is in.

    The executor propagates deadness: an operation with a dead input or control input is dead,
    except a Merge, which is alive as soon as one of its data inputs is. So an operation is
    alive exactly if every `(predicate, outcome)` of its set holds, and a control edge from `a`
    to `b` changes nothing if the set of `a` is a subset of the set of `b`.

    A Merge of both outcomes of one predicate leaves the branch. Any other Merge gets a token of
    its own, because nothing is known about when it is alive.
    """
    branches = [ALWAYS] * len(topology.operations)
    if not any(name in _SWITCH for name in topology.types):
        return branches
    interned: typing.Dict[Branches, Branches] = {}
    for operation in topology.order:
        if topology.is_merge(operation):
            found = _merged(topology, branches, operation)
        else:
            found = ALWAYS
            for producer, output in topology.inputs[operation]:
                found = _union(found, _of_output(topology, branches, producer, output))
            for control in topology.controls[operation]:
                found = _union(found, branches[control])
        branches[operation] = interned.setdefault(found, found)
    return branches


def predicate_of(topology: Topology, switch: int) -> Source:
    """The `(producer, output)` that decides a Switch, seen through identities."""
    source = topology.inputs[switch][1]
    while topology.types[source[0]] == "Identity":
        source = topology.inputs[source[0]][0]
    return source


def _union(one: Branches, other: Branches) -> Branches:
    # Nearly always both are the same interned object, or one is empty.
    if one is other or not other:
        return one
    return one | other if one else other


def _of_output(
    topology: Topology, branches: typing.List[Branches], producer: int, output: int
) -> Branches:
    if topology.types[producer] in _SWITCH and not topology.in_loop[producer]:
        return branches[producer] | {(predicate_of(topology, producer), output)}
    return branches[producer]


def _merged(topology: Topology, branches: typing.List[Branches], merge: int) -> Branches:
    sides = [
        _of_output(topology, branches, producer, output)
        for producer, output in topology.inputs[merge]
    ]
    if topology.in_loop[merge]:
        return sides[0]
    if len(sides) == 2:
        apart = dict(sides[0] ^ sides[1])
        outcomes = {outcome for _, outcome in sides[0] ^ sides[1]}
        if len(apart) == 1 and outcomes == {0, 1}:
            return sides[0] & sides[1]
    return frozenset([(merge, "merge")])
