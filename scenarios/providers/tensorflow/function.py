"""Our own provider where models run as traced functions: edits each trace before it ends.

A `tf.function` calls its Python function once for each signature, and what that call adds to a
FuncGraph is the function. So the Python function is wrapped: the edit is the last thing that
happens in it. A function that was traced before LMS came is not touched by this, and says
nothing about it; Keras' are replaced by fresh ones.
"""

import typing

from common import marker
from providers import announcement
from providers.interface import Provider
from providers.parameters import Parameters
from providers.tensorflow import graph as editor
from providers.tensorflow.insertion import Insertion, Maker

PythonFunction = typing.Callable[..., typing.Any]
# Gives the wrapped one of a Python function, and of whether it trains.
_Wrap = typing.Callable[[PythonFunction, bool], PythonFunction]
# Marks what wraps a model's own method.
_WRAPPED = "lms_wraps"


class FunctionEditor(Provider):
    """Edits what a model runs, whenever it is traced.

    Under a `tf.distribute` strategy all replicas are in one graph, and that is edited once.

    make_insertion: makes what inserts swaps into a graph.
    """

    name = "builtin"
    modes = ("function",)
    backends = ("tensorflow",)
    make_insertion: Maker = Insertion

    def set_model(self, model: typing.Any) -> None:
        """Called by Keras before training, or by a script before it loads weights or predicts.

        From now on the model's train function, or its predict function where `is_training` is
        False, is one whose traces are edited. One that was traced before is dropped, unless the
        phase asks for an edit in place.
        """
        super().set_model(model)
        name = "train" if self.is_training else "predict"
        phase = self._runtime.phase
        _turn_jit_compile_off(model)
        attach_to = attach_step if phase.keras3 else attach
        attach_to(model, name, self._traced, keep=phase.edit_in_place)

    def function(
        self, python_function: PythonFunction, training: bool = False, **options: typing.Any
    ) -> typing.Any:
        """A `tf.function` of a Python function whose traces are edited.

        training: whether it trains; `options` are those of `tf.function`.

        Only the operations of the function itself are edited. What it calls as a function, such as
        a signature of a loaded SavedModel, is one operation (PartitionedCall) of its graph, and
        a tensor inside of that is out of reach.
        """
        return self._runtime.tf.function(self._traced(python_function, training), **options)

    def _traced(self, python_function: PythonFunction, training: bool) -> PythonFunction:
        """The Python function, placed, and with the edit as the end of its trace."""
        tf, device = self._runtime.tf, self._runtime.phase.accelerator_device

        @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
        def placed() -> typing.Any:
            # A trace does not take over the device scope that it is started in. A strategy
            # places what is its own.
            return tf.device(None if tf.distribute.has_strategy() else device)

        @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
        def finish(result: typing.Any) -> None:
            self._edit(training, result)

        def traced(*arguments: typing.Any, **options: typing.Any) -> typing.Any:
            with placed():
                result = python_function(*arguments, **options)
            finish(result)
            return result

        return traced

    def edited(self, graph: typing.Any) -> typing.Any:
        """The graph that is edited: that of the trace."""
        return graph

    def _edit(self, training: bool, result: typing.Any) -> None:
        tf = self._runtime.tf
        graph = tf.compat.v1.get_default_graph()
        if hasattr(graph, "captures"):  # not where tf.functions are set to run eagerly
            values = tf.nest.flatten(result, expand_composites=True)
            of_graph = [value for value in values if getattr(value, "graph", None) is graph]
            self._apply(graph, training, [value.op.name for value in of_graph])

    def _apply(self, graph: typing.Any, training: bool, results: typing.Sequence[str]) -> None:
        phase, logger = self._runtime.phase, self._runtime.tf.get_logger()
        announcement.log(logger, f"Editing function {graph.name} for LMS")
        parameters = self.parameters if training else _nearer(self.parameters)
        edit = editor.edit(
            self.edited(graph),
            parameters,
            accelerator="gpu" if phase.on_gpu else phase.accelerator_devices,
            host=phase.host_device,
            training=training,
            # Each replica has its part of a batch.
            batch_size=self.batch_size and self.batch_size // phase.replicas,
            results=results,
            make=self.make_insertion,
        )
        announcement.edited(logger, self.name, self.told(edit.swaps), parameters)


def _nearer(parameters: Parameters) -> Parameters:
    """A threshold one less: a forward pass is a chain, and has hardly a far consumer.

    In the graph of a session there are some, made by the switches of the learning phase.
    """
    return parameters._replace(swapout_threshold=parameters.swapout_threshold - 1)


def attach(model: typing.Any, name: str, traced: _Wrap, keep: bool = False) -> None:
    """Lets a model make its `train` or `predict` function from a wrapped Python function.

    traced: gives the wrapped one, of a Python function and whether it trains. keep: leave a
        function that is there already.

    Keras makes the function again after `compile`, and then it is wrapped again.
    """
    maker, attribute = f"make_{name}_function", name + "_function"
    if hasattr(model.__dict__.get(maker), _WRAPPED):
        return  # Keras calls set_model again when training starts
    original = getattr(model, maker)

    def make(force: bool = False) -> typing.Any:
        made = getattr(model, attribute)
        if made is not None and not force:
            return made
        return _wrap(model, name, original(force=force), traced)

    setattr(make, _WRAPPED, True)
    # Past the model's own __setattr__, which would track it.
    model.__dict__[maker] = make
    if getattr(model, attribute) is not None and not keep:
        setattr(model, attribute, None)
        if name == "train":
            model.train_tf_function = None


def attach_step(model: typing.Any, name: str, traced: _Wrap, keep: bool = False) -> None:
    """Lets a model of Keras 3 make its `train` or `predict` function from a wrapped step.

    The arguments are those of `attach`. What Keras 3 traces for a batch holds nothing but the step,
    and what it traces for an iterator calls that.
    """
    step, attribute = name + "_step", name + "_function"
    if hasattr(model.__dict__.get(step), _WRAPPED):
        return
    wrapped = traced(getattr(model, step), name == "train")
    setattr(wrapped, _WRAPPED, True)
    model.__dict__[step] = wrapped
    if getattr(model, attribute) is not None and not keep:
        setattr(model, attribute, None)


def _wrap(model: typing.Any, name: str, made: typing.Any, traced: _Wrap) -> typing.Any:
    if not hasattr(made, "python_function"):
        marker.note("the model runs eagerly: LMS has no function to edit")
        return made
    import tensorflow as tf

    function = tf.function(traced(made.python_function, name == "train"), reduce_retracing=True)
    setattr(model, name + "_function", function)
    if name == "train":
        model.train_tf_function = function
    return function


def _turn_jit_compile_off(model: typing.Any) -> None:
    """XLA compiles a function as one program, and knows no swap to another device."""
    optimizer: typing.Any = getattr(model, "optimizer", None)
    owners = ((model, "the model"), (optimizer, "the optimizer"))
    for owner, words in owners:
        if getattr(owner, "jit_compile", None):
            owner.jit_compile = False
            marker.note(f"jit_compile of {words} is turned off for LMS")
