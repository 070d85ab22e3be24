"""The meter of jax for a GPU that is not there: a training step, compiled for it and never run.

XLA compiles for a GPU that it is only told of, with neither CUDA nor a driver. What the program
takes is what it would take there, but for the workspaces of cuDNN and cuBLAS: which of their
algorithms is used is seen on a GPU alone.
"""

import os
import typing

from common import marker
from frameworks import jax_backend
from meters import jax_program
from meters.measurement import Compiled

NAME = "NVIDIA H100"
_DESCRIPTION = os.path.join(os.path.dirname(__file__), "h100.txtpb")


def measure(
    model: typing.Any, x: typing.Any, y: typing.Any, scale: int
) -> typing.Optional[Compiled]:
    """What the training step of a model would take on the GPU; None where that is not known.

    x, y: numpy, a batch as the step is trained with. scale: how many times as large the batch is
        on the GPU, at least 1.

    Where a provider executes its moves itself, as on the CPU, the step that leaves them to the
    compiler is the attribute `for_gpu` of the model's `train_step`.

    It is not known without XLA's compiler for GPUs, and where that refuses the step: a note says
    why.
    """
    if not jax_backend.load_compiler():
        return None
    try:
        return _measured(model, x, y, scale)
    except Exception as problem:
        # Whatever it is: it is of this meter, and the phase has done its work.
        why = (str(problem).splitlines() or [""])[0][:200]
        marker.note(f"not compiled for {NAME}: {type(problem).__name__}: {why}")
        return None


def _measured(model: typing.Any, x: typing.Any, y: typing.Any, scale: int) -> Compiled:
    import jax
    from jax.experimental import topologies
    from jax.experimental.compilation_cache import compilation_cache
    from jax.sharding import SingleDeviceSharding

    # jax would keep the program, and without a GPU it cannot read what it has kept.
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    with open(_DESCRIPTION) as file:
        topology = topologies.get_topology_desc(
            NAME, platform="cuda", topology="1x1x1", target_config=file.read()
        )
    there = SingleDeviceSharding(topology.devices[0])

    def array(value: typing.Any, times: int = 1) -> typing.Any:
        shape = (value.shape[0] * times, *value.shape[1:]) if times > 1 else value.shape
        kind = jax.dtypes.canonicalize_dtype(value.dtype)
        return jax.ShapeDtypeStruct(shape, kind, sharding=there)

    state = tuple(
        [array(variable.value) for variable in variables]
        for variables in (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
    )
    step = getattr(model.train_step, "for_gpu", model.train_step)

    def train_step(state: typing.Any, data: typing.Any) -> typing.Any:
        return step(state, data)

    with jax.default_matmul_precision(jax_backend.PRECISION):
        lowered = jax.jit(train_step, donate_argnums=0).lower(
            state, (array(x, scale), array(y, scale))
        )
        # Whoever assembles it: it is never run.
        compiled = lowered.compile({"xla_gpu_disable_gpuasm_optimizations": True})
    stats = compiled.memory_analysis()
    return Compiled(
        target=NAME,
        peak_bytes=jax_program.taken(stats),
        host_peak_bytes=stats.host_temp_size_in_bytes,
        copies=jax_program.copies(compiled.as_text()),
    )
