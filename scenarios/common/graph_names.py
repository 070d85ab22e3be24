"""Names in TensorFlow's graphs: of swap operations, and of devices."""

# A provider names its swap operations like this, with something after it and no further slash.
# The meters count them by it.
SWAP_OUT = "lms/swapout"
SWAP_IN = "lms/swapin"


def swapped(operation: str) -> str:
    """`'conv_Relu_0'` of `'lms/swapout_conv_Relu_0'`: what is swapped, as far as the name tells."""
    return operation[operation.index(SWAP_OUT) + len(SWAP_OUT) :].strip("_") or operation


def unit(device: str) -> str:
    """`'CPU:1'` of `'/job:localhost/replica:0/task:0/device:CPU:1'` or of `'/cpu:1'`."""
    last = device.rsplit("/", 1)[-1].upper()
    return last[len("DEVICE:") :] if last.startswith("DEVICE:") else last
