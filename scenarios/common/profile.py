"""What TensorFlow 2's profiler saw while something ran: operations and allocations.

Eager TensorFlow 2 fills no `RunMetadata`, but its profiler records each kernel, and each buffer
that an allocator with statistics hands out and takes back.
"""

import contextlib
import glob
import os
import shutil
import tempfile
import typing

# The plain CPU allocator records nothing. This lets TensorFlow use the one of its GPUs for CPUs;
# it is read when the devices are made.
ALLOCATOR_VARIABLE = "TF_CPU_ALLOCATOR_USE_BFC"


class Event(
    typing.NamedTuple(
        "Event",
        [("name", str), ("start", int), ("end", int), ("thread", typing.Any), ("stats", dict)],
    )
):
    """Something that happened.

    start, end: picoseconds, on one clock. thread: equal for events of one thread. stats: what the
        event says of itself, name to value.
    """

    __slots__ = ()


@contextlib.contextmanager
def recorded(tf):
    """Records what happens in the block; gives a list that holds its `Event`s after it, in order.

    tf: TensorFlow 2.
    """
    events = []
    directory = tempfile.mkdtemp(prefix="profile-")
    try:
        tf.profiler.experimental.start(directory)
        try:
            yield events
        finally:
            tf.profiler.experimental.stop()
        events.extend(_read(directory))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _read(directory):
    # Not public, and there in TensorFlow 2.15 to 2.21.
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    events = []
    for path in glob.glob(os.path.join(directory, "**", "*.xplane.pb"), recursive=True):
        space = xplane_pb2.XSpace()
        with open(path, "rb") as file:
            space.ParseFromString(file.read())
        for plane in space.planes:
            for line in plane.lines:
                thread = (plane.name, line.id)
                events.extend(_event(plane, line, thread, event) for event in line.events)
    return sorted(events, key=lambda event: event.start)


def _event(plane, line, thread, event):
    start = line.timestamp_ns * 1000 + event.offset_ps
    stats = {
        plane.stat_metadata[stat.metadata_id].name: _value(plane, stat) for stat in event.stats
    }
    name = plane.event_metadata[event.metadata_id].name
    return Event(name, start, start + event.duration_ps, thread, stats)


def _value(plane, stat):
    kind = stat.WhichOneof("value")
    if kind == "ref_value":
        return plane.stat_metadata[stat.ref_value].name
    return getattr(stat, kind) if kind else None
