"""What every family's phase is made of: a model, its data, and what the checks need of it."""

import typing

from common import digest, runtime
from common.digest import Tensors
from common.phase import Phase
from common.runtime import Runtime
from common.steps import batches
from providers import registry
from providers.interface import Provider

_LEAST_BATCHES = 6  # of a training on a GPU

W = typing.TypeVar("W", bound="Workload")


class Workload:
    """A model and its data in one phase; the base of each family's own.

    A family says what its model holds and does: `weights`, `optimizer_state`, `predictions` and
    `trace`. What the checks need is made of these, in the same order everywhere.

    runtime: `Runtime`. tf, keras: as there.
    batch_size: of training; a family gives its own, and a phase has it times its batch scale.
    step_ms: wall time of a step before it is traced, in milliseconds, if it is known.
    placed: whether all of a script is in the accelerator's device scope; see `runtime.execute`.

    `model` is a Keras model, or the session of a graph without Keras.
    """

    batch_size = 1
    step_ms: typing.Optional[float] = None
    placed = True

    def __init__(self, started: Runtime) -> None:
        self.runtime = started
        self.tf = started.tf
        self.keras = started.keras
        self.batch_size = type(self).batch_size * self.phase.batch_scale

    @classmethod
    def run(cls: typing.Type[W], script: typing.Callable[[W], typing.Any]) -> None:
        """Runs `script(workload)` as a phase; see `runtime.execute`."""
        runtime.execute(lambda started: script(cls(started)), cls.placed)

    @property
    def phase(self) -> Phase:
        """The contract's variables."""
        return self.runtime.phase

    def input(self, *names: str) -> str:
        """Path of an artifact of the earlier phase."""
        return self.phase.input(*names)

    def output(self, *names: str) -> str:
        """Path for an artifact of this phase."""
        return self.phase.output(*names)

    def examples(self, array: typing.Any) -> typing.Any:
        """Examples of a data set, numpy; with a batch scale whole batches of them, six at least.

        They are repeated for that. A smaller batch at the end would move fewer bytes than a step,
        and the time of a step is known by those after the first.
        """
        import numpy as np

        if self.phase.batch_scale == 1:
            return array
        array = np.concatenate([array] * batches(_LEAST_BATCHES * self.batch_size, len(array)))
        return array[: len(array) // self.batch_size * self.batch_size]

    def lms(self, training: bool = True) -> Provider:
        """The phase's provider, a Keras callback; `training=False` where a model only predicts."""
        return registry.create(self.runtime, training=training, batch_size=self.batch_size)

    def digest(self, model: typing.Any, stage: str, optimizer: bool = False) -> None:
        """Marks what the session holds: weights, the optimizer's state, predictions.

        stage: `'saved'` or `'restored'`. optimizer: whether the file holds the optimizer's state,
            if it has any: the same script loads files with and without.
        """
        if not self.phase.measure:
            return
        self.digest_state(model, stage, optimizer)
        self._digest_predictions(model, stage)

    def digest_state(self, model: typing.Any, stage: str, optimizer: bool = True) -> None:
        """Marks weights, states of the optimizer and of random generators; runs nothing."""
        if not self.phase.measure:
            return
        digest.tensors("weights", stage, self.weights(model))
        held = self.optimizer_state(model) if optimizer else None
        for of, told in (("optimizer", held), ("random", self.random_state(model))):
            if told is not None and told.values:
                digest.tensors(of, stage, told)

    def finish(self, model: typing.Any, role: str = "train") -> None:
        """Marks the final predictions and, of a training, state; then the record of one step.

        That step changes the weights.

        role: `'train'` or `'predict'`, what the phase did with the model.
        """
        if not self.phase.measure:
            return
        self.finish_straight(model, role)
        self.trace(model, role)

    def finish_straight(self, model: typing.Any, role: str = "train") -> None:
        """As `finish`, without the record of a step: for a training that is only compared with."""
        if not self.phase.measure:
            return
        if role == "train":
            self.digest_state(model, "final")
        self._digest_predictions(model, "final")

    def _digest_predictions(self, model: typing.Any, stage: str) -> None:
        digest.predictions(self.predictions(model), stage)
        self.runtime.steps.ran("predict")

    def weights(self, model: typing.Any) -> Tensors:
        """The weights, in the order of the model."""
        raise NotImplementedError

    def optimizer_state(self, model: typing.Any) -> Tensors:
        """The optimizer's variables; none where it has none."""
        raise NotImplementedError

    def random_state(self, model: typing.Any) -> typing.Optional[Tensors]:
        """The states of the model's random generators; None where it has none that can be seen."""
        return None

    def predictions(self, model: typing.Any) -> typing.Any:
        """What one step predicts for the batch that is compared: numpy [images, classes]."""
        raise NotImplementedError

    def trace(self, model: typing.Any, role: str) -> None:
        """Marks the record of one step; see `meters.trace`."""
        raise NotImplementedError
