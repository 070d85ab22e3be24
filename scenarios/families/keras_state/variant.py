"""One combination of a model, an optimizer and a format, as the environment names it."""

import os
import typing

from common import digest, metrics
from common.errors import refuse
from common.phase import Phase
from common.runtime import Runtime
from families.keras_state import models, optimizers
from providers import registry
from providers.interface import Provider
from workload.workload import Workload

# A tensor as it is marked: its name and its value, numpy.
Named = typing.Tuple[str, typing.Any]

_PREDICTED = 8


class Variant(Workload):
    """A tiny model with the state that is asked about, its data, and its optimizer.

    saved_after: epochs before the save. epochs: those of the whole training, VARIANT_EPOCHS.
    format: the value of VARIANT_FORMAT; None in a straight training, which saves nothing.
    averages: whether the optimizer overwrites the weights by their average when `fit` ends.
    """

    batch_size = models.BATCH_SIZE
    saved_after = 1
    epochs = 2

    def __init__(self, started: Runtime) -> None:
        super().__init__(started)
        self.example = _chosen("VARIANT_MODEL", models.EXAMPLES)
        self._optimizer = _chosen("VARIANT_OPTIMIZER", optimizers.OPTIMIZERS)
        self.format = os.environ.get("VARIANT_FORMAT")
        self.epochs = int(os.environ.get("VARIANT_EPOCHS") or type(self).epochs)
        self.averages = self._optimizer is optimizers.adam_ema
        self.x, self.y = self.example.data(self)
        if self._optimizer is optimizers.loss_scale:
            # At the head of both scripts, as the guide of mixed precision has it.
            self.keras.mixed_precision.set_global_policy("mixed_float16")
        started.report(data="generated")

    @property
    def generation(self) -> str:
        """Which Keras this is; see `generation`."""
        return generation(self.phase)

    def built(self) -> typing.Any:
        """The model as code makes it, with initial weights, not compiled."""
        with registry.building(self.runtime):
            return self.example.build(self)

    def compiled(self) -> typing.Any:
        """The model as code makes it, with initial weights, and with the optimizer."""
        return self.compile(self.built())

    def compile(self, model: typing.Any) -> typing.Any:
        """The model, compiled with the optimizer."""
        model.compile(optimizer=self._optimizer(self), **self.example.compile)
        return model

    def custom_objects(self) -> typing.Dict[str, typing.Any]:
        """The classes that loading the model needs."""
        classes: typing.Dict[str, typing.Any] = self.example.classes(self)
        return classes

    def train(
        self,
        model: typing.Any,
        lms: Provider,
        until: int,
        begin: int = 0,
        more: typing.Iterable[typing.Any] = (),
    ) -> None:
        """Trains from an epoch to another, in the order of the data, and marks the metrics.

        more: further callbacks.
        """
        history = metrics.history(self.keras, self.runtime.steps)
        model.fit(
            self.x,
            self.y,
            batch_size=self.batch_size,
            initial_epoch=begin,
            epochs=until,
            shuffle=False,
            verbose=0,
            callbacks=[lms, *more, history],
        )

    def mark(self, model: typing.Any, stage: str) -> None:
        """Marks weights, the optimizer's state, that of random generators, and predictions.

        stage: as of a digest. Predictions come last: the first one makes a function.
        """
        # Keras 2 has the vocabulary of a lookup among the weights: a table, which is no variable.
        variables = [weight for weight in model.weights if hasattr(weight, "dtype")]
        self._mark("weights", stage, variables)
        self._mark("optimizer", stage, self._optimizer_state(model), empty=True)
        self._mark("random", stage, random_state(self.runtime, model))
        if stage == "final" or not self.example.remembers:
            digest.predictions(self.predicted(model), stage)
            self.runtime.steps.ran("predict")

    def predicted(self, model: typing.Any) -> typing.Any:
        """What the model predicts for the first examples: numpy [examples, outputs]."""
        import numpy as np

        first = [array[:_PREDICTED] for array in self.x] if self.several else self.x[:_PREDICTED]
        outputs = self._predict(model, first)
        if not isinstance(outputs, (list, tuple)):
            return outputs
        return np.concatenate(outputs, axis=1)

    def _optimizer_state(self, model: typing.Any) -> typing.List[typing.Any]:
        """The optimizer's variables, without a rate that follows from its steps by a schedule.

        With the loss scale, which Keras 2 has beside them.
        """
        variables = list(digest.optimizer_variables(model))
        if hasattr(model.optimizer, "dynamic_counter") and self.generation == "tf2":
            variables += [model.optimizer.loss_scale, model.optimizer.dynamic_counter]
        schedules = getattr(self.keras.optimizers, "schedules", None)
        rate = getattr(model.optimizer, "_learning_rate", None)
        if schedules is None or not isinstance(rate, schedules.LearningRateSchedule):
            return variables
        current = model.optimizer.learning_rate
        return [variable for variable in variables if variable is not current]

    @property
    def several(self) -> bool:
        """Whether the model has several inputs."""
        return isinstance(self.x, list)

    def _predict(self, model: typing.Any, x: typing.Any) -> typing.Any:
        if self.phase.mode == "session":
            return model.predict_on_batch(x)
        if self.phase.backend == "jax":
            return model.predict(x, batch_size=_PREDICTED, verbose=0)
        # Tracing what `predict` runs takes longer than the one batch; on jax it is what is faster.
        outputs = model(x, training=False)
        several = isinstance(outputs, (list, tuple))
        return [self._numpy(one) for one in outputs] if several else self._numpy(outputs)

    def _numpy(self, tensor: typing.Any) -> typing.Any:
        return self.keras.ops.convert_to_numpy(tensor) if self.phase.keras3 else tensor.numpy()

    def _mark(
        self, of: str, stage: str, variables: typing.Sequence[typing.Any], empty: bool = False
    ) -> None:
        """Marks what variables hold. empty: also that there are none."""
        if variables or empty:
            digest.tensors(of, stage, digest.of_variables(self.runtime, variables))


def generation(phase: Phase) -> str:
    """Which Keras a phase has.

    `'keras2'` is that of keras-team, `'tf1'` and `'tf2'` are those of TensorFlow 1 and 2, and
    `'keras3'` is Keras 3.
    """
    if phase.keras3:
        return "keras3"
    if phase.keras == "keras":
        return "keras2"
    return "tf1" if phase.mode == "session" else "tf2"


def random_state(runtime: Runtime, model: typing.Any) -> typing.List[typing.Any]:
    """The states of the model's random generators, where the framework shows them: Keras 3 does."""
    if not runtime.phase.keras3:
        return []
    return [
        variable
        for variable in model.non_trainable_variables
        if variable.name == "seed_generator_state"
    ]


def _chosen(name: str, values: typing.Mapping[str, typing.Any]) -> typing.Any:
    """The value that a variable names; another one ends the process with exit code 2."""
    value = os.environ.get(name)
    if value is None or value not in values:
        refuse(f"{name} is {value!r}; it must be one of {', '.join(sorted(values))}")
    return values[value]
