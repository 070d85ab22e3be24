"""Which tensors are swapped for which consumers, and what waits for what.

Pure: reads a topology and shapes, changes nothing.
"""

import typing

from providers.parameters import Parameters
from providers.tensorflow.roles import Roles
from providers.tensorflow.schedule import Schedule
from providers.tensorflow.topology import Topology

# A consumer and which of its inputs.
Edge = typing.Tuple[int, int]

# As consumers they set the state of a variable; most often they are initialisers, and those
# have run before the graph is edited.
_ASSIGN = frozenset(["Assign", "AssignVariableOp"])
# How many levels below the asked-for distance a trigger of an asynchronous swap-in is sought.
_TRIGGER_RANGE = 10


class SwapIn(typing.NamedTuple):
    """One swap-in: the `(consumer, input)` edges it feeds and the operations it waits for."""

    edges: typing.List[Edge]
    triggers: typing.List[int]


class Swap(typing.NamedTuple):
    """One tensor's way to the host and back.

    waiters: the operations that must not start before the swap-out is done.
    """

    producer: int
    output: int
    swap_ins: typing.List[SwapIn]
    waiters: typing.List[int]


class Selection:
    """Decides on swaps for one topology."""

    def __init__(
        self, topology: Topology, roles: Roles, schedule: Schedule, parameters: Parameters
    ) -> None:
        self._topology = topology
        self._roles = roles
        self._schedule = schedule
        self._parameters = parameters

    def swaps(self) -> typing.Iterator[Swap]:
        """Yields a `Swap` for each tensor that has consumers beyond the threshold."""
        topology, roles = self._topology, self._roles
        for producer in topology.order:
            if not roles.runs[producer] or roles.resident[producer]:
                continue
            if self._schedule.late[producer]:  # runs when its consumer does
                continue
            far: typing.Dict[int, typing.List[Edge]] = {}
            near = set()
            for output, consumer, position in topology.consumers[producer]:
                if self.is_far(producer, consumer):
                    far.setdefault(output, []).append((consumer, position))
                else:
                    near.add(consumer)
            for output in sorted(far):
                if not roles.is_swappable(producer, output):
                    continue
                swap_ins = [
                    SwapIn(edges, self._triggers(producer, edges))
                    for edges in self._groups(far[output])
                ]
                waiters = self._waiters(producer, output, near)
                yield Swap(producer, output, swap_ins, waiters)

    def is_far(self, producer: int, consumer: int) -> bool:
        """Whether a large tensor on this edge is swapped."""
        levels = self._schedule.levels
        return (
            levels[consumer] - levels[producer] > self._parameters.swapout_threshold
            and self._roles.runs[consumer]
            and not self._roles.are_apart(producer, consumer)
            and self._topology.types[consumer] not in _ASSIGN
        )

    def delays(self) -> typing.Iterator[typing.Tuple[int, typing.List[int]]]:
        """Yields `(late, triggers)`: the operations to put off and what they wait for."""
        if not self._parameters.synchronous_swapin:
            return
        schedule = self._schedule
        for operation in self._topology.order:
            if schedule.late[operation]:
                consumer = schedule.consumer_of_late(operation)
                yield operation, self._ready_with(consumer, [operation])

    def chain(self) -> typing.Iterator[typing.Tuple[int, int]]:
        """Yields `(before, after)`: consecutive memory-heavy operations of the schedule.

        Only operations with one and the same sink are chained, so that no run executes an
        operation that it did not execute before. These are those of the backward pass.
        """
        if self._parameters.sync_mode != 3:
            return
        topology, roles, schedule = self._topology, self._roles, self._schedule
        last: typing.Dict[typing.Tuple[int, str], int] = {}
        for operation in sorted(topology.order, key=schedule.ranks.__getitem__):
            sink = schedule.sinks[operation]
            if sink is None or not self._is_heavy(operation):
                continue
            # Each replica has a chain of its own, or none would run beside another.
            key = (sink, roles.units[operation])
            before = last.get(key)
            if before is not None:
                yield before, operation
            # A run that only fetches gradients must not come to apply them.
            if not roles.is_update(operation) and not topology.branches[operation]:
                last[key] = operation

    def _is_heavy(self, operation: int) -> bool:
        """Whether it allocates or holds a large tensor."""
        topology, roles = self._topology, self._roles
        if (
            not roles.runs[operation]
            or roles.resident[operation]
            or roles.is_alias(operation)
            or self._schedule.late[operation]
        ):
            return False
        return any(
            not roles.resident[producer] and roles.is_swappable(producer, output)
            for producer, output in topology.inputs[operation]
        )

    def _groups(self, edges: typing.List[Edge]) -> typing.List[typing.List[Edge]]:
        """Edges by their consumers' levels, those at most `swapin_groupby` apart together.

        Edges to one consumer are always together.
        """
        ranks, levels = self._schedule.ranks, self._schedule.levels
        groups: typing.List[typing.List[Edge]] = []
        for edge in sorted(edges, key=lambda edge: (levels[edge[0]], ranks[edge[0]], edge)):
            if groups:
                last = groups[-1][-1][0]
                gap = levels[edge[0]] - levels[last]
                if edge[0] == last or 0 < self._parameters.swapin_groupby >= gap:
                    groups[-1].append(edge)
                    continue
            groups.append([edge])
        return groups

    def _triggers(self, producer: int, edges: typing.List[Edge]) -> typing.List[int]:
        """What a swap-in waits for, all of it before its earliest consumer."""
        consumers = sorted({edge[0] for edge in edges}, key=self._schedule.ranks.__getitem__)
        if not self._is_run_together(consumers):
            return []
        if not self._parameters.synchronous_swapin:
            trigger = self._trigger_ahead(producer, consumers)
            if trigger is not None:
                return [trigger]
        return self._ready_with(consumers[0], consumers)

    def _is_run_together(self, consumers: typing.List[int]) -> bool:
        """Whether a run of one of them is a run of all."""
        sinks = {self._schedule.sinks[consumer] for consumer in consumers}
        return len(consumers) == 1 or (len(sinks) == 1 and None not in sinks)

    def _ready_with(self, consumer: int, alive_with: typing.List[int]) -> typing.List[int]:
        """The predecessors of `consumer` after which it lacks nothing but what is swapped or late.

        alive_with: operations that must be dead whenever one of those returned is.
        """
        late = self._schedule.late
        return sorted(
            other
            for other in set(self._topology.predecessors(consumer))
            if not late[other]
            and not self._roles.resident[other]
            and not self.is_far(other, consumer)
            and self._may_trigger(other, alive_with)
        )

    def _trigger_ahead(self, producer: int, consumers: typing.List[int]) -> typing.Optional[int]:
        """An operation more than `swapin_ahead` levels before the earliest consumer.

        It is sought on the longest path that leads to the consumer, so it is one that the
        consumer waits for anyway. Looks at most `swapin_ahead` + 10 levels back.
        """
        levels = self._schedule.levels
        current = consumers[0]
        latest = levels[current] - self._parameters.swapin_ahead - 1
        earliest = max(levels[producer] + 1, latest - _TRIGGER_RANGE + 1)
        while True:
            before = list(self._topology.predecessors(current))
            if not before:
                return None
            current = max(before, key=levels.__getitem__)
            if levels[current] < earliest:
                return None
            if (
                levels[current] <= latest
                and self._roles.runs[current]
                and self._may_trigger(current, consumers)
            ):
                return current

    def _may_trigger(self, operation: int, alive_with: typing.List[int]) -> bool:
        """Whether a control edge from `operation` makes none of `alive_with` dead."""
        topology = self._topology
        return not topology.in_loop[operation] and all(
            topology.branches[operation] <= topology.branches[other] for other in alive_with
        )

    def _waiters(self, producer: int, output: int, near: typing.Set[int]) -> typing.List[int]:
        """Those of the near consumers that wait for the swap-out of an output."""
        if not self._parameters.synchronous_swapout:
            return []
        topology = self._topology
        # One output of a Switch is dead, and so is its swap-out.
        branches = topology.branches_of_output(producer, output)
        return sorted(
            consumer
            for consumer in near
            if self._roles.runs[consumer]
            and not topology.is_merge(consumer)
            and branches <= topology.branches[consumer]
        )
