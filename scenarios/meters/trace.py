"""One step of a model as the framework's own records show it, marked as `series` and `trace`.

Which meter reads the records follows from how the phase's models run:

    in a session        `session`, of TensorFlow's RunMetadata
    as a function       `function`, of TensorFlow's profiler
    on torch            `torch_allocator`, of torch's allocator and profiler
    on jax              `jax_program`, of the compiled program, and where a scenario asks for it
                        `target`, of the same step compiled for a GPU that is not there
"""

import typing

from common import marker, steps
from common.runtime import Runtime
from meters import function as function_meter
from meters import jax_program, torch_allocator
from meters import session as session_meter
from meters.measurement import Measurement
from meters.target import program

_ALLOCATIONS = "allocations"
_PROGRAM = "compiled program"

Run = typing.Callable[..., typing.Any]
Measuring = typing.Optional[typing.ContextManager[typing.Any]]
Milliseconds = typing.Optional[float]
Examples = typing.Optional[int]


def train(
    runtime: Runtime,
    model: typing.Any,
    x: typing.Any,
    y: typing.Any,
    step_ms: Milliseconds = None,
    run: typing.Optional[Run] = None,
    callbacks: typing.Iterable[typing.Any] = (),
    batch: Examples = None,
) -> None:
    """Runs and marks one training step on a batch. It changes the weights: call it last.

    step_ms: wall time of an untraced step, if it is known. run: where models are functions of
        TensorFlow, what runs the step of a model that was not trained by `fit(x, y)` of arrays; x
        and y are not used then. callbacks: those that swap in each step that they are called in.
    batch: examples in the step, where it is not run on x.

    Raises RuntimeError if the step is not run by the function that trained before.
    """
    if runtime.phase.mode == "session":
        on_batch = runtime.steps.counted("train", lambda: model.train_on_batch(x, y))
        measured = session_meter.measure_keras(runtime, model, "train", on_batch)
        _mark(runtime, "train", measured, step_ms, len(x))
        return

    def two_steps(measuring: Measuring = None) -> None:
        steps.train(runtime.keras, model, x, y, callbacks, measuring)

    counted = runtime.steps.counted("train", run or two_steps, steps=1 if run else 2)
    examples = len(x) if batch is None else batch
    # Where it is run by something else x and y are none of its data.
    data = None if run else (x, y)
    _model(runtime, model, "train", counted, step_ms, examples, data)


def predict(
    runtime: Runtime, model: typing.Any, x: typing.Any, run: typing.Optional[Run] = None
) -> None:
    """Runs and marks one prediction of a batch.

    run: where models run in no session, what runs it where the model did not predict by
        `predict(x)` of arrays.

    Raises RuntimeError if it is not run by the function that predicted before.
    """
    if runtime.phase.mode == "session":
        run = runtime.steps.counted("predict", lambda: model.predict_on_batch(x))
        run()  # the first run of a batch of this size optimises the graph
        step_ms = steps.timed(run)
        measured = session_meter.measure_keras(runtime, model, "predict", run)
        _mark(runtime, "predict", measured, step_ms, len(x))
        return
    run = runtime.steps.counted("predict", run or (lambda: steps.predict(model, x)))
    run()  # there may have been no prediction yet
    _model(runtime, model, "predict", run, steps.timed(run), len(x))


def function(
    runtime: Runtime,
    name: str,
    traced: typing.Any,
    run: Run,
    step_ms: Milliseconds = None,
    batch: Examples = None,
) -> None:
    """Marks one step of a traced function, in function mode on TensorFlow.

    name: `'train'` or `'predict'`, what it does. traced: what `tf.function` or the provider's
        `function` made, or a loaded signature; it has run before. run: runs it once.
    step_ms: as above. batch: examples in the step, if it is known.

    Raises RuntimeError if the run traces the function anew, and LookupError if it is not called.
    """
    _function(runtime, name, traced, runtime.steps.counted(name, run), step_ms, batch)


def session(
    runtime: Runtime,
    name: str,
    run: typing.Callable[..., typing.Any],
    step_ms: Milliseconds = None,
    batch: Examples = None,
) -> None:
    """Marks one step that a script runs in a session itself, without Keras.

    name: `'train'` or `'predict'`, what the step does. run: runs the step once; it is called
        as `run(options=..., run_metadata=...)`, the arguments of `Session.run`.
    step_ms, batch: as above.
    """
    measured = session_meter.measure(runtime, runtime.steps.counted(name, run))
    _mark(runtime, name, measured, step_ms, batch)


def plain_torch(
    runtime: Runtime,
    name: str,
    run: torch_allocator.Run,
    steps: int,
    step_ms: Milliseconds = None,
    batch: Examples = None,
) -> None:
    """Marks one step of a model of torch's own modules.

    The peak is of all that is on the accelerator, with what was there before the step: that is
    where the state of an optimizer is, or is not.

    run: runs steps, that many; the one to measure within the context that it is given.
    step_ms, batch: as above.
    """
    counted = runtime.steps.counted(name, run, steps)
    measured = torch_allocator.measure(counted, runtime.phase.on_gpu)
    resident, peak = measured.accelerator_resident_bytes, measured.accelerator_peak_bytes
    whole = None if resident is None or peak is None else resident + peak
    measured = measured._replace(accelerator_peak_bytes=whole)
    _mark(runtime, name, measured, step_ms, batch)


def _model(
    runtime: Runtime,
    model: typing.Any,
    name: str,
    run: Run,
    step_ms: Milliseconds,
    batch: Examples,
    data: typing.Optional[typing.Tuple[typing.Any, typing.Any]] = None,
) -> None:
    """Marks one step of a Keras model that runs in no session; `run` counts its steps.

    data: of a training step, numpy.
    """
    phase = runtime.phase
    if phase.backend == "torch":
        with_context = torch_allocator.within(run) if name == "predict" else run
        measured = torch_allocator.measure(with_context, phase.on_gpu)
        _mark(runtime, name, measured, step_ms, batch)
    elif phase.backend == "jax":
        measured = jax_program.measure(run, phase.on_gpu, function=name + "_step")
        if data is not None and phase.compile_for_gpu and not (phase.on_gpu or phase.reference):
            compiled = program.measure(model, *data, scale=phase.compile_for_gpu)
            measured = measured._replace(compiled=compiled)
        _mark(runtime, name, measured, step_ms, batch, meter=_PROGRAM)
    else:
        _function(runtime, name, function_meter.of_model(model, name), run, step_ms, batch)


def _function(
    runtime: Runtime,
    name: str,
    traced: typing.Any,
    run: Run,
    step_ms: Milliseconds,
    batch: Examples,
) -> None:
    """Marks one step of a traced function; `run` counts its steps."""
    _mark(runtime, name, function_meter.measure(runtime, traced, run), step_ms, batch)


def _mark(
    runtime: Runtime,
    name: str,
    measured: Measurement,
    step_ms: Milliseconds,
    batch: Examples,
    meter: str = _ALLOCATIONS,
) -> None:
    if measured.series is not None:
        marker.emit("series", function=name, meter=meter, **measured.series.fields())
    known = {
        "graph_swap_out": measured.graph_swap_out,
        "graph_swap_in": measured.graph_swap_in,
        "allocator_peak": measured.allocator_peak_bytes,
        "allocator_pool": measured.allocator_pool_bytes,
    }
    marker.emit(
        "trace",
        function=name,
        batch=batch,
        steps=runtime.steps.of(name),
        meter=meter,
        swap_out=measured.swap_out_executed,
        swap_in=measured.swap_in_executed,
        bytes_out=measured.swap_out_bytes,
        bytes_in=measured.swap_in_bytes,
        peak_accelerator=measured.accelerator_peak_bytes,
        peak_host=measured.host_peak_bytes,
        lower_bound=measured.accelerator_bound_bytes,
        step_ms=step_ms,
        **{key: count for key, count in known.items() if count is not None},
        **(measured.compiled.fields() if measured.compiled else {}),
    )
