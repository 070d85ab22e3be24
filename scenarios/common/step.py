"""One step of a model as the framework's own records show it.

In session mode the step is run by the Keras function that trained or predicted before, in the same
session: the same fetches of the same graph. Where a graph was frozen before it was edited, the
session knows nothing of the swap operations, and none of them is in the record. In function
mode it is run by the traced function that ran before; see `function_step`. On torch and jax see
`backend_step`.
"""

import contextlib

from . import backend_step, function_step, marker, meter
from .runtime import SERIAL_POOL

# TensorFlow optimises the graph anew for each callable, and then orders independent operations in
# another way: a callable's steps all have one peak, the next callable's may have another. A peak
# this far above what one operation needs is measured again, and the lowest is the graph's.
_FAR_ABOVE_BOUND = 1.5
_REPETITIONS = 2


def trace_train(runtime, model, x, y, step_ms=None, run=None, callbacks=()):
    """Runs and marks one training step on a batch. It changes the weights: call it last.

    step_ms: wall time of an untraced step, if it is known. run: in function mode, what runs the
        step where the model was not trained by `fit(x, y)` of arrays; x and y are not used then.
        callbacks: those that swap in each step, and not in what it was made of before.

    Raises RuntimeError if the step is not run by the function that trained before.
    """
    run = run or (lambda: function_step.train(model, x, y, callbacks))
    if runtime.phase.backend != "tensorflow":
        _mark("train", backend_step.measure(runtime, "train", run), step_ms)
        return
    if runtime.phase.mode == "function":
        function = function_step.of_model(model, "train")
        trace_function(runtime, "train", function, run, step_ms)
        return
    _trace(runtime, "train", model, lambda: model.train_on_batch(x, y), step_ms)


def trace_predict(runtime, model, x, run=None):
    """Runs and marks one prediction of a batch.

    run: in function mode, what runs it where the model did not predict by `predict(x)` of arrays.

    Raises RuntimeError if it is not run by the function that predicted before.
    """
    run = run or (lambda: function_step.predict(model, x))
    if runtime.phase.mode != "session":
        run()  # there may have been no prediction yet
        step_ms = function_step.timed(run)
    if runtime.phase.backend != "tensorflow":
        _mark("predict", backend_step.measure(runtime, "predict", run), step_ms)
        return
    if runtime.phase.mode == "function":
        function = function_step.of_model(model, "predict")
        trace_function(runtime, "predict", function, run, step_ms)
        return
    model.predict_on_batch(x)  # the first run of a batch of this size optimises the graph
    step_ms = function_step.timed(lambda: model.predict_on_batch(x))
    _trace(runtime, "predict", model, lambda: model.predict_on_batch(x), step_ms)


def trace_function(runtime, name, function, run, step_ms=None):
    """Marks one step of a traced function, in function mode.

    name: `'train'` or `'predict'`, what it does. function: what `tf.function` or `lms.function`
        made, or a loaded signature; it has run before. run: runs it once. step_ms: as above.

    Raises RuntimeError if the run traces the function anew.
    """
    _mark(name, function_step.measure(runtime, function, run), step_ms)


def trace_session(runtime, function, run, step_ms=None):
    """Marks one step that a script runs in a session itself, without Keras.

    function: `'train'` or `'predict'`, what the step does. run: runs the step once; it is called
        as `run(options=..., run_metadata=...)`, the arguments of `Session.run`. step_ms: as above.
    """

    def measure():
        tf, metadata = runtime.tf, runtime.tf.RunMetadata()
        options = _options(tf, _pool(runtime.phase))
        for _ in range(1 + runtime.phase.on_gpu):
            run(options=options, run_metadata=metadata)
        return meter.measure(metadata, runtime.phase.accelerator_device, runtime.phase.host_device)

    _mark(function, _lowest(measure), step_ms)


def _trace(runtime, name, model, run, step_ms):
    function = getattr(model, name + "_function")
    measured = _lowest(lambda: _measure(runtime, function, run))
    if getattr(model, name + "_function") is not function:
        raise RuntimeError("Keras rebuilt the model's {} function".format(name))
    _mark(name, measured, step_ms)


def _lowest(measure):
    """What `measure` gives, measured again while its peak is far above the bound."""
    measured = measure()
    for _ in range(_REPETITIONS):
        if not _is_far_above_bound(measured):
            break
        measured = min(measured, measure(), key=_peak)
    return measured


def _mark(name, measured, step_ms):
    graph = {key: measured[key] for key in ("graph_swap_out", "graph_swap_in") if key in measured}
    marker.emit(
        "trace",
        function=name,
        meter=measured.get("meter", "allocations"),
        swap_out=measured["swap_out_executed"],
        swap_in=measured["swap_in_executed"],
        bytes_out=measured["swap_out_bytes"],
        bytes_in=measured["swap_in_bytes"],
        peak_accelerator=measured["accelerator_peak_bytes"],
        peak_host=measured["host_peak_bytes"],
        lower_bound=measured["accelerator_bound_bytes"],
        step_ms=step_ms,
        **graph,
    )


def _measure(runtime, function, run):
    """One traced step, as `meter.measure` gives it."""
    phase = runtime.phase
    with tracing(runtime.tf, function, _pool(phase)) as metadata:
        if phase.on_gpu:
            run()  # cuDNN tries its algorithms, and takes memory for them, in a first run
        run()
    return meter.measure(metadata, phase.accelerator_device, phase.host_device)


def _pool(phase):
    # With two threads the peak would depend on which operations happen to overlap.
    return 0 if phase.on_gpu else SERIAL_POOL


def _options(tf, pool):
    return tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE, inter_op_thread_pool=pool)


def _peak(measured):
    peak = measured["accelerator_peak_bytes"]
    return float("inf") if peak is None else peak


def _is_far_above_bound(measured):
    peak, bound = measured["accelerator_peak_bytes"], measured["accelerator_bound_bytes"]
    return bool(peak and bound) and peak > _FAR_ABOVE_BOUND * bound


@contextlib.contextmanager
def tracing(tf, function, pool=0):
    """Makes a function of Keras' backend fill the `RunMetadata` that this gives.

    pool: index of the session's thread pool that executes the operations.

    It holds the last call. Keras reads the attributes when it makes the callable of a session.
    """
    metadata = tf.RunMetadata()
    before = function.run_options, function.run_metadata
    function.run_options = _options(tf, pool)
    function.run_metadata = metadata
    function._callable_fn = None
    try:
        yield metadata
    finally:
        function.run_options, function.run_metadata = before
        function._callable_fn = None
