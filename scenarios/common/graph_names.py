"""Names in TensorFlow's graphs: of swap operations, and of devices."""

# A provider names its swap operations like this, with something after it and no further slash.
# The meters count them by it.
SWAP_OUT = "lms/swapout"
SWAP_IN = "lms/swapin"


def unit(device: str) -> str:
    """`'CPU:1'` of `'/job:localhost/replica:0/task:0/device:CPU:1'` or of `'/cpu:1'`."""
    last = device.rsplit("/", 1)[-1].upper()
    return last[len("DEVICE:") :] if last.startswith("DEVICE:") else last
