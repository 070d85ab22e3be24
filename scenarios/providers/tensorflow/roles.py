"""What an operation is to swapping: where it runs, and what its outputs are made of."""

import typing

from common.graph_names import unit
from providers.tensorflow.topology import Branches, Topology

# Devices of the accelerator: `'gpu'` for all that is no CPU, one device, or several.
Accelerator = typing.Union[str, typing.Tuple[str, ...]]

# Their output is no memory of the step: variables and constants stay on the device, a
# placeholder is fed.
_RESIDENT = frozenset(
    [
        "AutoReloadVariable",
        "Const",
        "GuaranteeConst",
        "ImmutableConst",
        "Placeholder",
        "PlaceholderV2",
        "PlaceholderWithDefault",
        "ReadVariableOp",
        "TemporaryVariable",
        "VarHandleOp",
        "Variable",
        "VariableV2",
        "_Arg",
    ]
)
# Their output shares the buffer of their first input.
_ALIAS = frozenset(
    [
        "Enter",
        "ExpandDims",
        "Identity",
        "PreventGradient",
        "RefIdentity",
        "Reshape",
        "Snapshot",
        "Squeeze",
        "StopGradient",
        "Switch",
    ]
)
# What the types of operations that set a variable have in their names.
_UPDATES = ("Apply", "Assign", "Scatter")


class Roles:
    """Roles of the operations of a topology; each attribute is a list, one bool an operation.

    runs: it runs on the accelerator, outside of loops, in a branch that training (or inference)
        takes, so that it can take part in swapping.
    resident: its outputs are not allocated by the step, or share a buffer that is not.
    units: per operation, its device as `unit` gives it; empty without one.
    """

    def __init__(self, topology: Topology, accelerator: Accelerator, training: bool) -> None:
        self._topology = topology
        self._ranks: typing.Dict[typing.Tuple[int, int], typing.Optional[int]] = {}
        on_accelerator = _on_device(topology.devices, accelerator)
        units = {device: unit(device) for device in set(topology.devices)}
        self.units = [units[device] for device in topology.devices]
        inactive = _inactive(topology, training)
        self.runs = [
            on_accelerator[operation]
            and topology.levels[operation] >= 0
            and not topology.in_loop[operation]
            and not inactive[operation]
            for operation in range(len(topology.operations))
        ]
        self.inactive = inactive
        self.resident = _resident(topology)

    def are_apart(self, one: int, other: int) -> bool:
        """Whether two operations are on devices of their own; one without a device is anywhere."""
        ours, theirs = self.units[one], self.units[other]
        return bool(ours and theirs and ours != theirs)

    def is_swappable(self, producer: int, output: int) -> bool:
        """Whether an output is a plain value of rank 2 or more."""
        rank = self._rank(producer, output)
        return rank is not None and rank >= 2

    def is_small(self, producer: int, output: int) -> bool:
        """Whether an output is known to be of rank 1 at most, or is no plain value."""
        rank = self._rank(producer, output)
        return rank is not None and rank < 2

    def _rank(self, producer: int, output: int) -> typing.Optional[int]:
        """Rank of an output; None if unknown, 0 for a handle or reference."""
        key = (producer, output)
        if key not in self._ranks:
            tensor = self._topology.operations[producer].outputs[output]
            self._ranks[key] = tensor.shape.ndims if _is_plain(tensor.dtype) else 0
        return self._ranks[key]

    def is_alias(self, operation: int) -> bool:
        """Whether its output shares the buffer of its first input."""
        return self._topology.types[operation] in _ALIAS

    def is_update(self, operation: int) -> bool:
        """Whether it sets a variable."""
        name = self._topology.types[operation]
        return any(word in name for word in _UPDATES)


def _on_device(devices: typing.List[str], accelerator: Accelerator) -> typing.List[bool]:
    """Per operation, whether its device is the accelerator."""
    if accelerator == "gpu":
        chosen = {device: "cpu" not in device.lower() for device in set(devices)}
    else:
        several = accelerator if isinstance(accelerator, tuple) else (accelerator,)
        wanted = {unit(device) for device in several}
        chosen = {device: unit(device) in wanted for device in set(devices)}
    return [chosen[device] for device in devices]


def _is_plain(dtype: typing.Any) -> bool:
    return not dtype._is_ref_dtype and bool(
        dtype.is_floating or dtype.is_integer or dtype.is_bool or dtype.is_complex
    )


def _resident(topology: Topology) -> typing.List[bool]:
    resident = [False] * len(topology.operations)
    for operation in topology.order:
        name = topology.types[operation]
        if name in _RESIDENT:
            resident[operation] = True
        elif name in _ALIAS and topology.inputs[operation]:
            resident[operation] = resident[topology.inputs[operation][0][0]]
    return resident


def _inactive(topology: Topology, training: bool) -> typing.List[bool]:
    """Marks the operations in the untaken branch of Keras' learning phase."""
    phases = [
        number
        for number, name in enumerate(topology.types)
        if name == "PlaceholderWithDefault"
        and topology.operations[number].name.endswith("keras_learning_phase")
    ]
    untaken = {((phase, 0), 0 if training else 1) for phase in phases}
    dead: typing.Dict[Branches, bool] = {
        branches: not branches.isdisjoint(untaken) for branches in set(topology.branches)
    }
    return [dead[branches] for branches in topology.branches]
