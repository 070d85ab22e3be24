"""One step of a traced function, as TensorFlow's profiler shows it.

The function that is looked at is the one that ran before: while it is measured none may be traced.
Which of its traces was executed is told by the runtime, and that one's graph is counted.
"""

import time
import typing

from common.runtime import Runtime
from meters import function_call, profiler
from meters.measurement import Measurement


def measure(
    runtime: Runtime, function: typing.Any, run: typing.Callable[[], typing.Any]
) -> Measurement:
    """What one call of a function did.

    function: what `tf.function` made, or a loaded signature. run: makes it run, once or several
        times; the last is measured.

    Raises RuntimeError if it is traced anew, and LookupError if it is not called.
    """
    from tensorflow.python.eager import context

    phase = runtime.phase
    before = traces(function)
    with profiler.recorded(runtime.tf) as events:
        if phase.on_gpu:
            run()  # cuDNN tries its algorithms, and takes memory for them, in a first run
        began = time.monotonic()
        run()
    if traces(function) != before:
        raise RuntimeError(
            "the function was traced anew: the step has other shapes or types than those before"
        )
    return function_call.measure(
        events,
        before,
        context.context().get_function_def,
        phase.accelerator_device,
        phase.host_device,
    ).began(began)


def traces(function: typing.Any) -> typing.Set[str]:
    """Names under which the runtime knows the traces of a function."""
    # Not public, and there in TensorFlow 2.15 to 2.21. A loaded signature is one trace itself.
    listed = getattr(function, "_list_all_concrete_functions", None)
    concrete = listed() if listed else [function]
    return {_text(entry.name) for entry in concrete}


def of_model(model: typing.Any, name: str) -> typing.Any:
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
    raise LookupError(f"the model's {name} function is no traced function")


def traceable(function: typing.Any) -> bool:
    """Whether it is what `tf.function` made."""
    return hasattr(function, "python_function")


def _text(name: typing.Union[bytes, str]) -> str:
    return name.decode("ascii") if isinstance(name, bytes) else name
