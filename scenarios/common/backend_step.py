"""One step of a Keras 3 model on torch or jax, as the backend's own records show it."""


def measure(runtime, name, run):
    """What one step did, with the keys that `step` marks.

    name: `'train'` or `'predict'`. run: runs the step once. On jax it has run before, with a batch
        of the same size and no other size after it: the program that is looked at is the one that
        was compiled last.

    What the backend's meter does not know is None. On jax graph_swap_out and graph_swap_in are the
    moves in the program that was executed, and it makes each of them once.
    """
    on_gpu = runtime.phase.on_gpu
    if runtime.phase.backend == "torch":
        from . import meter_torch

        return meter_torch.measure(run, on_gpu)
    from . import meter_jax

    measured = meter_jax.measure(run, on_gpu, function=name + "_step")
    return dict(
        measured,
        meter="compiled program",
        graph_swap_out=measured["swap_out_executed"],
        graph_swap_in=measured["swap_in_executed"],
    )
