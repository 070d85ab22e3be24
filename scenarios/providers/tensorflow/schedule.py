"""The order in which the operations of a step are best executed, and what can be put off.

All control edges of the editor go upwards in the ranks of this order. A schedule that respects
all edges exists by construction, so the edited graph has no cycle and no search has to show it.
"""

import heapq
import typing

from providers.tensorflow.roles import Roles
from providers.tensorflow.topology import Topology

# Between the ranks of two scheduled operations there is room for every operation that is put
# off until just before the second, and for the swap operations of all of them.
_ROOM_PER_OPERATION = 4
# Stateful by their definition; without a reader nobody runs them.
_READS = frozenset(["Placeholder", "ReadVariableOp", "VarHandleOp"])
_SEVERAL, _UNUSED, _CALL = -1, -2, -3


class Schedule:
    """A topological order with little memory alive at a time.

    late: per operation, whether it can be put off until just before its only consumer without
        keeping a large tensor alive, because all its large inputs are resident or late as well.
        Zeros of a shape, random masks and decayed optimizer slots are such operations.
    levels: per operation, its level in the topological order, late operations not counted, as
        they run when their consumer does.
    ranks: per operation, its position in the schedule.
    sinks: per operation, the one operation without successors that it leads to, or None if it
        leads to several or to none that is run. Whoever runs that one runs all operations that
        lead to it. In a function all that has an effect or is a result is one: a call runs it all.
    """

    def __init__(self, topology: Topology, roles: Roles) -> None:
        self._topology = topology
        self._roles = roles
        self._successors: typing.List[typing.List[int]] = [[] for _ in topology.operations]
        for operation in topology.order:
            for predecessor in set(topology.predecessors(operation)):
                self._successors[predecessor].append(operation)
        self.late = self._find_late()
        self.levels = self._find_levels()
        self.sinks = self._find_sinks()
        self.ranks = self._rank()

    def consumer_of_late(self, operation: int) -> int:
        """The operation just before which a late operation is to run, itself not late."""
        while self.late[operation]:
            operation = self._successors[operation][0]
        return operation

    def _find_late(self) -> typing.List[bool]:
        topology, roles = self._topology, self._roles
        late = [False] * len(topology.operations)
        for operation in topology.order:
            late[operation] = (
                roles.runs[operation]
                and not roles.resident[operation]
                and len(self._successors[operation]) == 1
                and not topology.in_loop[self._successors[operation][0]]
                and not roles.is_update(operation)
                and all(
                    roles.resident[producer]
                    or roles.inactive[producer]
                    or late[producer]
                    or roles.is_small(producer, output)
                    for producer, output in topology.inputs[operation]
                )
                and any(
                    roles.is_swappable(operation, output)
                    for output in range(len(topology.operations[operation].outputs))
                )
            )
        return late

    def _find_levels(self) -> typing.List[int]:
        topology = self._topology
        levels = list(topology.levels)
        for operation in topology.order:
            deepest = max([levels[other] for other in topology.predecessors(operation)] or [-1])
            levels[operation] = max(deepest, 0) if self.late[operation] else deepest + 1
        return levels

    def _find_sinks(self) -> typing.List[typing.Optional[int]]:
        topology = self._topology
        sinks = [_UNUSED] * len(topology.operations)
        for operation in reversed(topology.order):
            if self._is_run_by_call(operation):
                sinks[operation] = _CALL
            elif self._successors[operation]:
                reached = {sinks[successor] for successor in self._successors[operation]}
                reached.discard(_UNUSED)
                if len(reached) > 1:
                    sinks[operation] = _SEVERAL
                else:
                    sinks[operation] = reached.pop() if reached else _UNUSED
            elif self._is_by_product(operation):
                sinks[operation] = _UNUSED
            else:
                sinks[operation] = operation
        return [None if sink in (_SEVERAL, _UNUSED) else sink for sink in sinks]

    def _is_run_by_call(self, operation: int) -> bool:
        """Whether a call of the function runs an operation for its own sake."""
        topology = self._topology
        return topology.is_function and (
            operation in topology.results
            or (
                topology.operations[operation].op_def.is_stateful
                and topology.types[operation] not in _READS
            )
        )

    def _is_by_product(self, operation: int) -> bool:
        """Whether an operation without successors was made for nobody.

        Every assignment comes with a read of the variable, and the gradients with one of the
        model's input. What a step is run for is a scalar, such as the loss, or has no output.
        """
        if self._topology.is_function:
            return True
        if not self._topology.operations[operation].outputs:
            return False
        return self._topology.types[operation] in _READS or (
            self._roles.runs[operation] and self._roles.is_swappable(operation, 0)
        )

    def _rank(self) -> typing.List[int]:
        """List scheduling: of the operations that are ready, the one nearest to the end first.

        So a gradient is applied as soon as it is there, and of two branches the short one is
        finished before the long one is begun, which keeps the working sets of both from being
        alive at once.
        """
        topology = self._topology
        room = _ROOM_PER_OPERATION * (len(topology.operations) + 1)
        heights = self._heights()
        waiting = [0] * len(topology.operations)
        for operation in topology.order:
            for successor in self._successors[operation]:
                waiting[successor] += 1
        ranks = [-1] * len(topology.operations)
        ready = [
            (self._priority(operation, heights), operation)
            for operation in topology.order
            if not waiting[operation]
        ]
        heapq.heapify(ready)
        scheduled = 0
        while ready:
            _, operation = heapq.heappop(ready)
            scheduled += 1
            ranks[operation] = scheduled * room
            for successor in self._successors[operation]:
                waiting[successor] -= 1
                if not waiting[successor]:
                    heapq.heappush(ready, (self._priority(successor, heights), successor))
        for operation in reversed(topology.order):
            if self.late[operation]:
                ranks[operation] = ranks[self._successors[operation][0]] - _ROOM_PER_OPERATION
        return ranks

    def _priority(self, operation: int, heights: typing.List[int]) -> int:
        # Late operations get their rank from their consumer and must not hold it up.
        return -1 if self.late[operation] else heights[operation]

    def _heights(self) -> typing.List[int]:
        """Per operation, the length of the longest path from it."""
        heights = [0] * len(self._topology.operations)
        for operation in reversed(self._topology.order):
            for successor in self._successors[operation]:
                heights[operation] = max(heights[operation], heights[successor] + 1)
        return heights
