"""Our own provider where models run as traced functions: edits each trace before it ends.

A `tf.function` calls its Python function once for each signature, and what that call adds to a
FuncGraph is the function. So the Python function is wrapped: the edit is the last thing that
happens in it. A function that was traced before LMS came is not touched by this, and says
nothing about it; Keras' are replaced by fresh ones.
"""

from . import graph as editor
from . import pretend
from .parameters import Parameters
from .report import announce, log


class FunctionEditor(object):
    """Edits what a model runs, whenever it is traced; a mixin of a callback.

    Set `is_training` to False before the first use where the model will only predict. Under a
    `tf.distribute` strategy all replicas are in one graph, and that is edited once.
    """

    def __init__(self, runtime, parameters, batch_size=None):
        """parameters: text of a JSON object. Raises ValueError with one line."""
        super(FunctionEditor, self).__init__()
        self.is_training = True
        self.parameters = Parameters.from_json(parameters)
        self.batch_size = batch_size
        self._runtime = runtime

    def set_model(self, model):
        """Called by Keras before training, or by a script before it loads weights or predicts.

        From now on the model's train function, or its predict function where `is_training` is
        False, is one whose traces are edited. One that was traced before is dropped, unless the
        phase asks for an edit in place.
        """
        super(FunctionEditor, self).set_model(model)
        name = "train" if self.is_training else "predict"
        phase = self._runtime.phase
        _turn_jit_compile_off(model)
        attach_to = attach_step if phase.keras3 else attach
        attach_to(model, name, self._traced, keep=phase.edit_in_place)

    def run(self, graph=None):
        """Raises NotImplementedError: without a model there is no function to edit."""
        raise NotImplementedError(
            "in function mode LMS needs the model, lms.set_model(model), or lms.function(...)"
        )

    def function(self, python_function, training=False, **options):
        """A `tf.function` of a Python function whose traces are edited.

        training: whether it trains; `options` are those of `tf.function`.

        Only the operations of the function itself are edited. What it calls as a function, such as
        a signature of a loaded SavedModel, is one operation (PartitionedCall) of its graph, and
        a tensor inside of that is out of reach.
        """
        return self._runtime.tf.function(self._traced(python_function, training), **options)

    def _traced(self, python_function, training):
        """The Python function, placed, and with the edit as the end of its trace."""
        tf, device = self._runtime.tf, self._runtime.phase.accelerator_device

        @tf.autograph.experimental.do_not_convert
        def placed():
            # A trace does not take over the device scope that it is started in. A strategy
            # places what is its own.
            return tf.device(None if tf.distribute.has_strategy() else device)

        @tf.autograph.experimental.do_not_convert
        def finish():
            self._edit(training)

        def traced(*arguments, **options):
            with placed():
                result = python_function(*arguments, **options)
            finish()
            return result

        return traced

    def _edit(self, training):
        graph = self._runtime.tf.compat.v1.get_default_graph()
        if hasattr(graph, "captures"):  # not where tf.functions are set to run eagerly
            self._apply(graph, training)

    def _apply(self, graph, training):
        phase, logger = self._runtime.phase, self._runtime.tf.get_logger()
        log(logger, "Editing function {} for LMS".format(graph.name))
        edit = editor.edit(
            pretend.copied(graph) if phase.pretend else graph,
            self.parameters if training else _nearer(self.parameters),
            accelerator="gpu" if phase.on_gpu else phase.accelerator_devices,
            host=phase.host_device,
            training=training,
            corrupt=phase.corrupt,
            batch_size=self.batch_size,
        )
        announce(logger, edit, self.parameters)


def _nearer(parameters):
    """A threshold one less: a forward pass is a chain, and has hardly a far consumer.

    In the graph of a session there are some, made by the switches of the learning phase.
    """
    return parameters._replace(swapout_threshold=parameters.swapout_threshold - 1)


def attach(model, name, traced, keep=False):
    """Lets a model make its `train` or `predict` function from a wrapped Python function.

    traced: gives the wrapped one, of a Python function and whether it trains. keep: leave a
        function that is there already.

    Keras makes the function again after `compile`, and then it is wrapped again.
    """
    maker, attribute = "make_{}_function".format(name), name + "_function"
    if hasattr(model.__dict__.get(maker), "lms_wraps"):
        return  # Keras calls set_model again when training starts
    original = getattr(model, maker)

    def make(force=False):
        made = getattr(model, attribute)
        if made is not None and not force:
            return made
        return _wrap(model, name, original(force=force), traced)

    make.lms_wraps = True
    # Past the model's own __setattr__, which would track it.
    model.__dict__[maker] = make
    if getattr(model, attribute) is not None and not keep:
        setattr(model, attribute, None)
        if name == "train":
            model.train_tf_function = None


def attach_step(model, name, traced, keep=False):
    """Lets a model of Keras 3 make its `train` or `predict` function from a wrapped step.

    The arguments are those of `attach`. What Keras 3 traces for a batch holds nothing but the step,
    and what it traces for an iterator calls that.
    """
    step, attribute = name + "_step", name + "_function"
    if hasattr(model.__dict__.get(step), "lms_wraps"):
        return
    wrapped = traced(getattr(model, step), name == "train")
    wrapped.lms_wraps = True
    model.__dict__[step] = wrapped
    if getattr(model, attribute) is not None and not keep:
        setattr(model, attribute, None)


def _wrap(model, name, made, traced):
    if not hasattr(made, "python_function"):
        from common import marker

        marker.emit("note", text="the model runs eagerly: LMS has no function to edit")
        return made
    import tensorflow as tf

    function = tf.function(traced(made.python_function, name == "train"), reduce_retracing=True)
    setattr(model, name + "_function", function)
    if name == "train":
        model.train_tf_function = function
    return function


def _turn_jit_compile_off(model):
    """XLA compiles what it is given as one, and knows no swap to another device."""
    from common import marker

    owners = ((model, "the model"), (getattr(model, "optimizer", None), "the optimizer"))
    for owner, words in owners:
        if getattr(owner, "jit_compile", None):
            owner.jit_compile = False
            marker.emit("note", text="jit_compile of {} is turned off for LMS".format(words))
