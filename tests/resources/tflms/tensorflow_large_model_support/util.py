"""How the stand-in, like TFLMS, tells the devices apart."""


def is_cpu_op(op):
    return "CPU" in op.device.upper()
