"""Benchmark of the graph editor: editing time, peak memory and step time.

Run it inside a flavor environment with TensorFlow 1.15.5: `python benchmarks/lms.py`; with
`--json` the last line is one JSON object. A full run takes a few minutes on two cores, and
`--quick` leaves out ResNet152.

The model is that of the ResNet50 training test of TFLMS: keras.applications, 15 classes,
rmsprop, categorical crossentropy. It is on the virtual accelerator, a second CPU device.
TFLMS 2.0.2 at maximum swapping, for comparison: 4.1 s and 41.7 s to edit ResNet50 and ResNet152;
peak 122.5 MiB with it (138.0 MiB on this very graph and meter) and 647.0 MiB without; step time
+3 % to +15 %.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "scenarios"))

import numpy as np
import tensorflow.compat.v1 as tf

from frameworks.resources import Resources
from frameworks.session import config
from meters.run_metadata import measure
from providers.parameters import Parameters
from providers.tensorflow.graph import edit

ACCELERATOR, HOST = "/device:CPU:1", "/device:CPU:0"
BATCH_SIZE, IMAGE_SIZE, CLASSES = 8, 224, 15
REPETITIONS = 5
MIB = 1024.0**2


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="leave out ResNet152")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON as well")
    arguments = parser.parse_args()
    tf.disable_v2_behavior()
    tf.logging.set_verbosity(tf.logging.ERROR)
    figures = {}
    for name in ["ResNet50"] if arguments.quick else ["ResNet50", "ResNet152"]:
        figures[name] = editing_time(name)
        print(
            "{}: {operations} operations; edit {wall_ms:.0f} ms wall, {cpu_ms:.0f} ms CPU, "
            "{cpu_ms_per_1000_operations:.1f} ms CPU per 1000 operations; "
            "{swap_out} swap-outs, {swap_in} swap-ins".format(name, **figures[name]),
            flush=True,
        )
    figures["step"] = step = compare_steps()
    print(
        "ResNet50, batch {}: peak {control_peak_mib:.1f} MiB without LMS, {lms_peak_mib:.1f} MiB "
        "with, {peak_to_bound:.2f} of the lower bound {bound_mib:.1f} MiB; host "
        "{host_peak_mib:.1f} MiB; step {control_step_s:.2f} s without, {lms_step_s:.2f} s with, "
        "ratio {step_ratio:.2f}".format(BATCH_SIZE, **step)
    )
    if arguments.json:
        print(json.dumps(figures))


def editing_time(name):
    """Median editing time of a training graph, in milliseconds."""
    with tf.Graph().as_default() as graph:
        build(name)
        definition = graph.as_graph_def()
    tf.keras.backend.clear_session()
    wall, cpu = [], []
    for _ in range(REPETITIONS):
        # A copy, because a graph can be edited once only.
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(definition, name="")
        started = time.process_time()
        done = edit(graph, Parameters(), accelerator=ACCELERATOR, host=HOST)
        cpu.append((time.process_time() - started) * 1000.0)
        wall.append(done.milliseconds)
    operations = len(definition.node)
    return {
        "operations": operations,
        "wall_ms": statistics.median(wall),
        "cpu_ms": statistics.median(cpu),
        "cpu_ms_per_1000_operations": statistics.median(cpu) / operations * 1000.0,
        "swap_out": done.swap_out,
        "swap_in": done.swap_in,
    }


def compare_steps():
    """Peak memory and step time of ResNet50 with and without LMS."""
    runs = {False: TrainingStep(lms=False), True: TrainingStep(lms=True)}
    seconds = {False: [], True: []}
    for _ in range(2):
        for run in runs.values():
            run()
    for _ in range(REPETITIONS):  # alternately, so that a busy machine slows both
        for lms, run in runs.items():
            started = time.perf_counter()
            run()
            seconds[lms].append(time.perf_counter() - started)
    control, lms = runs[False].trace(), runs[True].trace()
    step = {key: statistics.median(values) for key, values in seconds.items()}
    return {
        "control_peak_mib": control.accelerator_peak_bytes / MIB,
        "lms_peak_mib": lms.accelerator_peak_bytes / MIB,
        "retained_mib": lms.accelerator_retained_bytes / MIB,
        "bound_mib": lms.accelerator_bound_bytes / MIB,
        "peak_to_bound": lms.accelerator_peak_bytes / lms.accelerator_bound_bytes,
        "host_peak_mib": lms.host_peak_bytes / MIB,
        "swap_out_executed": lms.swap_out_executed,
        "swap_in_executed": lms.swap_in_executed,
        "swapped_out_mib": lms.swap_out_bytes / MIB,
        "swapped_in_mib": lms.swap_in_bytes / MIB,
        "control_step_s": step[False],
        "lms_step_s": step[True],
        "step_ratio": step[True] / step[False],
    }


class TrainingStep:
    """A training step of ResNet50 in a graph and session of its own."""

    def __init__(self, lms):
        self._graph = tf.Graph()
        with self._graph.as_default():
            # A constant phase: with the phase fed, TensorFlow 1.15 adds a gradient of zeros
            # for the other branch of every batch normalisation, which makes the control larger.
            tf.keras.backend.set_learning_phase(1)
            tf.set_random_seed(1)
            model = build("ResNet50")
            initializer = tf.global_variables_initializer()
            if lms:
                edit(self._graph, Parameters(), accelerator=ACCELERATOR, host=HOST)
        devices = config(tf, Resources(on_gpu=False))
        self._session = tf.Session(graph=self._graph, config=devices)
        self._session.run(initializer)
        random = np.random.RandomState(1)
        labels = np.eye(CLASSES)[random.randint(0, CLASSES, BATCH_SIZE)]
        function = model.train_function
        images = random.rand(BATCH_SIZE, IMAGE_SIZE, IMAGE_SIZE, 3).astype("float32")
        self._feeds = {model.inputs[0]: images, model._targets[0]: labels}
        self._fetches = [function.outputs[0], function.updates_op]
        for endpoint in model._training_endpoints:
            if endpoint.sample_weight is not None:
                self._feeds[endpoint.sample_weight] = np.ones(BATCH_SIZE, "float32")

    def __call__(self, **options):
        """Runs one step; the options are those of `Session.run`."""
        return self._session.run(self._fetches, self._feeds, **options)

    def trace(self):
        """What the meter says about one step."""
        options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
        metadata = tf.RunMetadata()
        for _ in range(2):  # the first run with other options optimises the graph again
            self(options=options, run_metadata=metadata)
        return measure(metadata, ACCELERATOR, HOST)


def build(name):
    with tf.device(ACCELERATOR):
        model = getattr(tf.keras.applications, name)(
            weights=None, input_shape=(IMAGE_SIZE, IMAGE_SIZE, 3), classes=CLASSES
        )
        model.compile(optimizer="rmsprop", loss="categorical_crossentropy")
        model._make_train_function()
    return model


if __name__ == "__main__":
    main()
