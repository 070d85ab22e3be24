"""What a provider is: the one interface between a phase and whatever swaps.

**The callback.** A provider is a class that `registry.create` mixes with the Callback class of the
flavor's Keras, or with `Callback` here where there is no Keras. A model is trained with it like
with any other callback; `set_model` is called by Keras when training starts, and by a script
earlier, before the model's values are set. What has to be there while a model is made is in
`building`. Where there is no Keras the optimizer that is trained with is what `optimizer` makes.

**What it announces.** What it did, or will do in each step, once, by `announce`; an edit of a graph
by `announcement.edited`, which writes TFLMS's own lines as well.

**What measures it.** Nothing here: a meter reads the framework's own records (`meters.trace`). In
TensorFlow it knows swap operations by their names (`common.graph_names`), on torch a swap by a copy
between page-locked memory and the device, on jax by a copy in the compiled program; without a GPU,
by a copy between the framework's allocator and memory of somebody else.

**What it needs.** The attributes below. The driver reads them from the text of the file, so each is
a literal; a phase that has other values is refused before it starts.

A provider is found by the name that `LMS_PROVIDER` has: a module here of that name with a class of
that `name`, or a package with a function `choose(phase)` that gives the class for a phase. Or it is
anywhere, as `path/to/file.py:Class`. `builtin` is the package of the phase's backend, `off` its
control.
"""

import contextlib
import typing

from common.runtime import Runtime
from providers import announcement
from providers.announcement import Swaps
from providers.fault import Fault
from providers.parameters import Parameters


class Callback:
    """What stands for Keras' Callback class where there is no Keras: the training loop is ours."""

    model: typing.Any = None

    def set_model(self, model: typing.Any) -> None:
        """Called as training starts, and by a script before it sets values."""
        self.model = model

    def on_train_batch_begin(self, batch: int, logs: typing.Any = None) -> None:
        """Called before each step of an epoch."""

    def on_train_batch_end(self, batch: int, logs: typing.Any = None) -> None:
        """Called after each step of an epoch."""

    def on_train_end(self, logs: typing.Any = None) -> None:
        """Called after the last step."""


class Provider:
    """Swaps what a model computes; the base of every provider, and a mixin of a Keras callback.

    A subclass sets the first three, and the others where they are not as here.

    name: what it is called in commands, ids and the marker `lms_edited`: `[a-z0-9_-]+`.
        In this folder it is its module's, with `-` and more behind it where a module has several.
    modes, backends: the values of EXECUTION_MODE and KERAS_BACKEND that it can work in.
    accelerators: the values of ACCELERATOR.
    packages: distributions that it imports beside those of every flavor of its backends.
    requires: features of a flavor (`features` in its `flavor.toml`) without which it cannot work.
    roles: the roles of phases in which it has something to do: `'train'`, `'predict'`.
    effect: what it does to memory: `'moves'` tensors to the host and back, `'recomputes'` them and
        moves nothing, or has the GPU's driver move `'pages'`.
    rounds: whether sums are made in another order with it, so that results are not the control's
        to the last bit.
    variables: environment variables of its phases, which their controls do not have. They are there
        before the framework is imported.

    is_training: whether the model will be trained; set it to False before the first use where it
        will only predict.
    parameters: `Parameters` of the phase. batch_size: of training, for sizes in announcements.
    """

    name: str
    modes: typing.Tuple[str, ...]
    backends: typing.Tuple[str, ...]
    accelerators: typing.Tuple[str, ...] = ("virtual", "gpu")
    packages: typing.Tuple[str, ...] = ()
    requires: typing.Tuple[str, ...] = ()
    roles: typing.Tuple[str, ...] = ("train", "predict")
    effect: str = "moves"
    rounds: bool = False
    variables: typing.Mapping[str, str] = {}

    is_training: bool = True

    def __init__(self, runtime: Runtime, batch_size: typing.Optional[int] = None) -> None:
        """Raises ValueError, or ImportError where a library is missing, with one line."""
        super().__init__()
        self.parameters = Parameters.from_json(runtime.phase.parameters)
        self.batch_size = batch_size
        self._runtime = runtime

    @classmethod
    def building(cls, runtime: Runtime) -> typing.ContextManager[typing.Any]:
        """Context in which a script makes the layers of a model; a loaded model is made outside."""
        return contextlib.ExitStack()

    def set_model(self, model: typing.Any) -> None:
        """Called by Keras when training starts, or by a script before it sets values or predicts.

        Raises ValueError where the model is compiled in a way that cannot be swapped.
        """
        # That of Keras' callback, which comes next in the order of the mixed classes.
        super().set_model(model)  # type: ignore[misc]

    def optimizer(
        self,
        made: typing.Callable[..., typing.Any],
        parameters: typing.Iterable[typing.Any],
        **options: typing.Any,
    ) -> typing.Any:
        """The optimizer of a model without Keras, before its state is loaded.

        made: torch's own class of it; parameters, options: its arguments.
        """
        return made(parameters, **options)

    def run(self, graph: typing.Any = None) -> None:
        """Swaps for a script that has no Keras model at hand: in a graph, by default the default.

        Raises NotImplementedError where there is no graph to edit.
        """
        raise NotImplementedError(f"provider {self.name} needs the model: set_model(model)")

    def function(
        self,
        python_function: typing.Callable[..., typing.Any],
        training: bool = False,
        **options: typing.Any,
    ) -> typing.Any:
        """A `tf.function` of a Python function that swaps; `options` are those of `tf.function`.

        training: whether it trains. Raises NotImplementedError where functions are not traced.
        """
        raise NotImplementedError(f"provider {self.name} traces no functions in this mode")

    def announce(self, swaps: Swaps) -> None:
        """Says what each step moves, or computes again, and marks it."""
        announcement.moving(self.name, self.told(swaps), self.parameters)

    def told(self, swaps: Swaps) -> Swaps:
        """What is announced of the swaps: all of them, unless the phase asks for that fault."""
        text = self._runtime.phase.fault
        return swaps if text is None else swaps.times(Fault.parse(text).reported)
