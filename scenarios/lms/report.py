"""What an edit did, in TFLMS's own log lines and as a marker."""

import sys

GIB = 1024.0**3


def announce(logger, edit, parameters):
    """Says what an edit of our own provider did.

    logger: has `info`. edit: `graph.Edit`. parameters: `Parameters`.
    """
    from common import marker

    log(logger, summary(edit))
    log(logger, "Editing model for LMS, took: {} ms".format(edit.milliseconds))
    marker.emit(
        "lms_edited",
        provider="builtin",
        operations=edit.operations,
        swap_out=edit.swap_out,
        swap_in=edit.swap_in,
        bytes_out=edit.bytes_out,
        bytes_in=edit.bytes_in,
        ms=edit.milliseconds,
        parameters=parameters._asdict(),
    )


def announce_moves(verb, moved, parameters):
    """Says what our own provider moves in a step, where no graph is edited.

    verb: "Swapped" or "Swapping". moved: has `swap_out`, `swap_in`, `bytes_out`, `bytes_in`.
        parameters: `Parameters`.
    """
    from common import marker

    words = "{} {} tensors out ({:.4f} GiB) and {} tensors in ({:.4f} GiB) in a step"
    counts = moved.swap_out, moved.bytes_out / GIB, moved.swap_in, moved.bytes_in / GIB
    sys.stderr.write("INFO [LMS][0] {}\n".format(words.format(verb, *counts)))
    sys.stderr.flush()
    marker.emit(
        "lms_edited",
        provider="builtin",
        operations=None,
        swap_out=moved.swap_out,
        swap_in=moved.swap_in,
        bytes_out=moved.bytes_out,
        bytes_in=moved.bytes_in,
        ms=None,
        parameters=parameters._asdict(),
    )


def log(logger, text):
    """Writes a line in the form in which TFLMS writes its own."""
    logger.info("[LMS][0] %s", text)


def summary(edit):
    """TFLMS's line on what was added. Sizes that are not known are left out."""
    return (
        "Added {} operations to the model ({} swap-out operations{} and {} swap-in operations{})"
    ).format(
        edit.operations,
        edit.swap_out,
        _gib(edit.bytes_out),
        edit.swap_in,
        _gib(edit.bytes_in),
    )


def _gib(size):
    return "" if size is None else " ({:.4f} GiB)".format(size / GIB)
