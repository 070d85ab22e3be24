"""One step in a session, as TensorFlow's `RunMetadata` shows it.

The step of a Keras model is run by the Keras function that trained or predicted before, in the same
session: the same fetches of the same graph. Where a graph was frozen before it was edited, the
session knows nothing of the swap operations, and none of them is in the record.
"""

import contextlib
import time
import typing

from common.runtime import Runtime
from meters import run_metadata
from meters.measurement import Measurement

# TensorFlow optimises the graph anew for each callable, and then orders independent operations in
# another way: a callable's steps all have one peak, the next callable's may have another. A peak
# this far above what one operation needs is measured again, and the lowest is the graph's. Of
# TensorFlow 1.15's callables six in ten are not of the lowest: that thirty of them miss it is one
# case in four million.
_ABOVE_BOUND = 1.02
_REPETITIONS = 29
# A step that moves nothing is only asked whether it is above one that does.
_REPETITIONS_UNSWAPPED = 2


def measure_keras(
    runtime: Runtime, model: typing.Any, name: str, run: typing.Callable[[], typing.Any]
) -> Measurement:
    """What one step of a Keras model did.

    name: `'train'` or `'predict'`. run: runs the step once, by the model's function of that name.

    Raises RuntimeError if Keras makes another function for the step.
    """
    phase = runtime.phase
    function = getattr(model, name + "_function")

    def measure() -> Measurement:
        with tracing(runtime.tf, function) as metadata:
            if phase.on_gpu:
                run()  # cuDNN tries its algorithms, and takes memory for them, in a first run
            began = time.monotonic()
            run()
        devices = phase.accelerator_device, phase.host_device
        return run_metadata.measure(metadata, *devices).began(began)

    measured = _lowest(measure, optimised=_is_optimised(runtime))
    if getattr(model, name + "_function") is not function:
        raise RuntimeError(f"Keras rebuilt the model's {name} function")
    return measured


def measure(runtime: Runtime, run: typing.Callable[..., typing.Any]) -> Measurement:
    """What one step did that a script runs in a session itself, without Keras.

    run: runs the step once; it is called as `run(options=..., run_metadata=...)`, the arguments of
        `Session.run`.
    """
    phase = runtime.phase

    def once() -> Measurement:
        tf, metadata = runtime.tf, runtime.tf.RunMetadata()
        options = _options(tf)
        for _ in range(1 + phase.on_gpu):
            began = time.monotonic()
            run(options=options, run_metadata=metadata)
        devices = phase.accelerator_device, phase.host_device
        return run_metadata.measure(metadata, *devices).began(began)

    return _lowest(once, optimised=True)


@contextlib.contextmanager
def tracing(tf: typing.Any, function: typing.Any) -> typing.Iterator[typing.Any]:
    """Makes a function of Keras' backend fill the `RunMetadata` that this gives.

    It holds the last call. Keras reads the attributes when it makes the callable of a session.
    """
    metadata = tf.RunMetadata()
    before = function.run_options, function.run_metadata
    function.run_options = _options(tf)
    function.run_metadata = metadata
    function._callable_fn = None
    try:
        yield metadata
    finally:
        function.run_options, function.run_metadata = before
        function._callable_fn = None


def _options(tf: typing.Any) -> typing.Any:
    return tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)


def _is_optimised(runtime: Runtime) -> bool:
    """Whether the session optimises graphs; without that all callables run one order."""
    config = runtime.session._config
    return config is None or not config.graph_options.rewrite_options.disable_meta_optimizer


def _lowest(measure: typing.Callable[[], Measurement], optimised: bool) -> Measurement:
    """What `measure` gives, measured again while its peak is above the bound.

    optimised: the graph is optimised for each callable; else one measurement is as good as many.
    """
    measured = measure()
    if not optimised:
        return measured
    for _ in range(_REPETITIONS if measured.swap_out_executed else _REPETITIONS_UNSWAPPED):
        if not _is_above_bound(measured):
            break
        measured = min(measured, measure(), key=_peak)
    return measured


def _peak(measured: Measurement) -> float:
    peak = measured.accelerator_peak_bytes
    return float("inf") if peak is None else peak


def _is_above_bound(measured: Measurement) -> bool:
    peak, bound = measured.accelerator_peak_bytes, measured.accelerator_bound_bytes
    return bool(peak and bound and peak > _ABOVE_BOUND * bound)
