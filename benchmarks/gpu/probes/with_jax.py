"""What jax does here: a phase that asks it, started as the harness starts any other.

What does not need a GPU is asked on the virtual accelerator as well.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import convolutions
from answers import Answers, WrongAnswerError
from convolutions import Stack

MIB = 2**20


def main() -> int:
    """Asks; returns 0 where every answer is as it has to be."""
    # What is asked first has to be what a phase finds.
    from common.phase import Phase

    directory = Path(os.environ["OUTPUT_DIR"])
    answers = Answers(directory)
    phase = Phase.from_environment()
    print(f"XLA_FLAGS={os.environ.get('XLA_FLAGS', '')}")
    if not answers.ask("jax starts as in a phase", lambda: _started(phase)):
        return answers.code
    if not answers.ask("jax compiles and runs", _computed):
        return answers.code
    answers.ask("jax's devices", _devices)
    if phase.on_gpu:
        answers.ask("copies to page-locked memory", _copies)
    for stack in convolutions.stacks(phase.on_gpu):
        name = f"{stack} offloaded"
        answers.ask(name, lambda stack=stack: offloaded(stack, phase.on_gpu, directory))
    answers.ask("statistics of the allocator", lambda: _statistics(phase.on_gpu))
    answers.ask("import keras", _keras)
    return answers.code


def _started(phase: Any) -> str:
    from frameworks import jax_backend

    devices = jax_backend.start(phase.resources)
    import jax

    return f"jax {jax.__version__}, {', '.join(devices)}; XLA_FLAGS={os.environ.get('XLA_FLAGS')}"


def _keras() -> str:
    import keras

    return f"{keras.__version__} on {keras.backend.backend()}"


def _computed() -> str:
    import jax
    import jax.numpy as jnp

    return str(float(jax.jit(lambda a: jnp.tanh(a @ a).sum())(jnp.ones((512, 512)))))


def _devices() -> str:
    import jax

    device = jax.devices()[0]
    kinds = [memory.kind for memory in device.addressable_memories()]
    return f"{device} {device.device_kind}, memories {kinds}"


def _copies() -> str:
    import jax
    import jax.numpy as jnp
    from jax.sharding import SingleDeviceSharding

    value = jax.block_until_ready(jnp.ones((256, MIB), jnp.uint8))
    parts = []
    for kind, name in (("pinned_host", "out"), ("device", "in")):
        target = SingleDeviceSharding(jax.devices()[0], memory_kind=kind)
        jax.block_until_ready(jax.device_put(value, target))
        began = time.perf_counter()
        value = jax.block_until_ready(jax.device_put(value, target))
        parts.append(f"{name} {0.25 / (time.perf_counter() - began):.1f} GiB/s")
    return ", ".join(parts)


def _statistics(on_gpu: bool) -> str:
    """What a second meter beside NVML would read."""
    import jax

    stats = jax.devices()[0].memory_stats()
    if on_gpu and not (stats or {}).get("peak_bytes_in_use"):
        raise WrongAnswerError(f"{stats}")
    return f"{stats}"


def offloaded(stack: Stack, on_gpu: bool, directory: Path) -> str:
    """The provider's own policy without Keras: memory and copies of the compiled program.

    On the virtual accelerator jax lowers the moves to nothing: there only the gradients tell.

    Raises:
        WrongAnswerError: the program has no copies, takes as much as without, or gives another
            gradient.
    """
    import jax
    import jax.numpy as jnp

    from meters import jax_program
    from providers.jax import policy

    def network(weights: list[Any], x: Any) -> Any:
        for weight in weights:
            x = jax.nn.relu(jax.lax.conv(x, weight, (1, 1), "SAME"))
        return jnp.mean(x * x)

    key = jax.random.key(0)
    shape = (stack.channels, stack.channels, 3, 3)
    weights = [
        0.1 * jax.random.normal(jax.random.fold_in(key, number), shape)
        for number in range(stack.layers)
    ]
    x = jax.random.uniform(key, (stack.batch, stack.channels, stack.side, stack.side))

    def compiled(function: Callable[..., Any], name: str) -> tuple[Any, Any, Any, float]:
        made = jax.jit(jax.grad(function)).lower(weights, x).compile()
        text = made.as_text()
        file = directory / f"{stack.channels}-{name}.hlo.txt"
        file.write_text(text, encoding="utf-8")
        jax.block_until_ready(made(weights, x))
        began = time.perf_counter()
        gradients = jax.block_until_ready(made(weights, x))
        ms = 1000 * (time.perf_counter() - began)
        return gradients, made.memory_analysis(), jax_program.copies(text), ms

    plain, before, _, plain_ms = compiled(network, "plain")
    checkpointed = jax.checkpoint(network, policy=policy.every_value())
    ours, after, found, ms = compiled(checkpointed, "offloaded")
    pairs = list(zip(plain, ours, strict=True))
    differs = max(float(jnp.abs(one - other).max() / jnp.abs(one).max()) for one, other in pairs)
    equal = all(bool(jnp.array_equal(one, other)) for one, other in pairs)
    high, low = before.temp_size_in_bytes, after.temp_size_in_bytes
    answer = (
        f"temporary {high / MIB:.0f} -> {low / MIB:.0f} MiB ({low / max(high, 1):.2f}),"
        f" {after.host_temp_size_in_bytes / MIB:.0f} MiB in host memory, {found.out} out and"
        f" {found.back} in, {(found.out_bytes or 0) / MIB:.0f} MiB out,"
        f" step {plain_ms:.1f} -> {ms:.1f} ms,"
        f" gradients {'bit-equal' if equal else f'within {differs:.1e}'}"
    )
    if differs > 1e-5 or (on_gpu and (not found.out or not found.back or low >= high)):
        raise WrongAnswerError(answer)
    return answer


if __name__ == "__main__":
    sys.exit(main())
