"""What TensorFlow 2's profiler saw while something ran: operations and allocations.

Eager TensorFlow 2 fills no `RunMetadata`, but its profiler records each kernel, and each buffer
that an allocator with statistics hands out and takes back. On CPUs that is one which
`frameworks.function` chooses.
"""

import contextlib
import glob
import os
import shutil
import tempfile
import typing


class Event(typing.NamedTuple):
    """Something that happened.

    start, end: picoseconds, on one clock. thread: equal for events of one thread. stats: what the
        event says of itself, name to value.
    """

    name: str
    start: int
    end: int
    thread: typing.Any
    stats: typing.Dict[str, typing.Any]


@contextlib.contextmanager
def recorded(tf: typing.Any) -> typing.Iterator[typing.List[Event]]:
    """Records what happens in the block; gives a list that holds its `Event`s after it, in order.

    tf: TensorFlow 2.
    """
    events: typing.List[Event] = []
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


def _read(directory: str) -> typing.List[Event]:
    # Not public, and there in TensorFlow 2.15 to 2.21.
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    events: typing.List[Event] = []
    for path in glob.glob(os.path.join(directory, "**", "*.xplane.pb"), recursive=True):
        space = xplane_pb2.XSpace()
        with open(path, "rb") as file:
            space.ParseFromString(file.read())
        for plane in space.planes:
            for line in plane.lines:
                thread = (plane.name, line.id)
                events.extend(_event(plane, line, thread, event) for event in line.events)
    return sorted(events, key=lambda event: event.start)


def _event(plane: typing.Any, line: typing.Any, thread: typing.Any, event: typing.Any) -> Event:
    start = line.timestamp_ns * 1000 + event.offset_ps
    stats = {
        plane.stat_metadata[stat.metadata_id].name: _value(plane, stat) for stat in event.stats
    }
    name = plane.event_metadata[event.metadata_id].name
    return Event(name, start, start + event.duration_ps, thread, stats)


def _value(plane: typing.Any, stat: typing.Any) -> typing.Any:
    kind = stat.WhichOneof("value")
    if kind == "ref_value":
        return plane.stat_metadata[stat.ref_value].name
    return getattr(stat, kind) if kind else None
