"""One step of a traced function, as TensorFlow's profiler shows it.

The function that is looked at is the one that ran before: while it is measured none may be traced.
Which of its traces was executed is told by the runtime, and that one's graph is counted.
"""

import time

from . import function_meter, profile


def measure(runtime, function, run):
    """What one call of a function did, as `function_meter.measure` gives it.

    function: what `tf.function` made, or a loaded signature. run: makes it run, once or several
        times; the last is measured.

    Raises RuntimeError if it is traced anew, and LookupError if it is not called.
    """
    from tensorflow.python.eager import context

    phase = runtime.phase
    before = traces(function)
    with profile.recorded(runtime.tf) as events:
        if phase.on_gpu:
            run()  # cuDNN tries its algorithms, and takes memory for them, in a first run
        run()
    if traces(function) != before:
        raise RuntimeError(
            "the function was traced anew: the step has other shapes or types than those before"
        )
    return function_meter.measure(
        events,
        before,
        context.context().get_function_def,
        phase.accelerator_device,
        phase.host_device,
    )


def traces(function):
    """Names under which the runtime knows the traces of a function."""
    # Not public, and there in TensorFlow 2.15 to 2.21. A loaded signature is one trace itself.
    listed = getattr(function, "_list_all_concrete_functions", None)
    concrete = listed() if listed else [function]
    return {_text(entry.name) for entry in concrete}


def of_model(model, name):
    """The `tf.function` that a Keras model trains or predicts with; name: `'train'`, `'predict'`.

    Keras 3 trains with a Python function that calls the traced one, of an iterator.
    """
    function = getattr(model, name + "_function")
    if traceable(function):
        return function
    for cell in getattr(function, "__closure__", None) or ():
        # The one of a single batch is called by that of the iterator, and wrapped once more.
        if traceable(cell.cell_contents):
            return cell.cell_contents
    raise LookupError("the model's {} function is no traced function".format(name))


def traceable(function):
    """Whether it is what `tf.function` made."""
    return hasattr(function, "python_function")


def timed(run):
    """Runs, and gives the wall time in milliseconds."""
    started = time.perf_counter()
    run()
    return (time.perf_counter() - started) * 1000.0


def train(model, x, y, callbacks=()):
    """One training step of a Keras model on a batch, of the same shapes and types as `fit` has.

    `train_on_batch` would have another: it knows the size of its batch.
    """
    # Keras 3 leaves the epoch on the model at which BackupAndRestore resumed.
    done = getattr(model, "_initial_epoch", None) or 0
    model.fit(
        x,
        y,
        batch_size=len(x),
        epochs=done + 1,
        shuffle=False,
        verbose=0,
        callbacks=list(callbacks) or None,
    )


def predict(model, x):
    """The prediction of a batch, numpy, by a function that takes batches of any size.

    Keras knows the size of the batches where they come out even, and it would be in the trace.
    """
    return model.predict(x, batch_size=len(x) + 1, verbose=0)


def _text(name):
    return name.decode("ascii") if isinstance(name, bytes) else name
