"""The foreign provider `jax_offload`: jax's own offload policies of `jax.checkpoint`.

What a policy names goes to pinned host memory and comes back for the backward pass; all else that
the backward pass needs is computed again. Two policies are taken as users take them, each over the
whole of Keras' loss:

- `jax_offload`: `save_and_offload_only_these_names`, with the name of each layer on its output.
- `jax_offload-dots`: `offload_dot_with_no_batch_dims`: what matrix products give. It is for models
  of such, as transformers are: a convolution is none.

`-remat3` is the same with jax's next implementation of `jax.checkpoint`, by its flag `jax_remat3`.
"""

import functools
import typing

from common.runtime import Runtime
from providers.jax.moves import Equation, Moves, Value
from providers.jax.policy import OffloadPolicy

_MEMORIES = {"offload_src": "device", "offload_dst": "pinned_host"}


class OffloadNames(OffloadPolicy):
    """Names what each layer gives, and has those names offloaded."""

    name = "jax_offload"
    modes = ("function",)
    backends = ("jax",)
    roles = ("train",)
    # The compiler fuses what is computed again with other neighbours.
    rounds = True

    def policy(self, model: typing.Any) -> typing.Callable[..., typing.Any]:
        """jax's policy for the names of the model's layers, which their outputs have from now."""
        import jax

        layers = [layer for layer in model._flatten_layers() if not layer._layers]
        for layer in layers:
            layer.call = _named(layer.call, layer.name)
        offload: typing.Callable[..., typing.Any] = (
            jax.checkpoint_policies.save_and_offload_only_these_names(
                names_which_can_be_saved=[],
                names_which_can_be_offloaded=[layer.name for layer in layers],
                **_MEMORIES,
            )
        )
        return offload

    def _make_moves(self, closed: typing.Any, execute: bool) -> Moves:
        return _Recomputing(execute)


class OffloadDots(OffloadNames):
    """Has offloaded what matrix products give."""

    name = "jax_offload-dots"

    def policy(self, model: typing.Any) -> typing.Callable[..., typing.Any]:
        """jax's policy for products that are not batched."""
        import jax

        offload: typing.Callable[..., typing.Any] = (
            jax.checkpoint_policies.offload_dot_with_no_batch_dims(**_MEMORIES)
        )
        return offload


class OffloadNamesRemat3(OffloadNames):
    """The names, with jax's next implementation."""

    name = "jax_offload-remat3"

    def __init__(self, runtime: Runtime, batch_size: typing.Optional[int] = None) -> None:
        super().__init__(runtime, batch_size)
        _set_remat3()


class OffloadDotsRemat3(OffloadDots):
    """The products, with jax's next implementation."""

    name = "jax_offload-dots-remat3"

    def __init__(self, runtime: Runtime, batch_size: typing.Optional[int] = None) -> None:
        super().__init__(runtime, batch_size)
        _set_remat3()


def _set_remat3() -> None:
    """Sets jax's flag; by its variable it would be too late where jax is imported already."""
    import jax

    if not hasattr(jax.config, "jax_remat3"):
        raise ValueError(f"jax {jax.__version__} has no flag jax_remat3")
    jax.config.update("jax_remat3", True)


class _Recomputing(Moves):
    """Keeps apart what is computed again from what was computed before, as jax's lowering does."""

    def _run_inner(self, equation: Equation, inputs: typing.List[Value]) -> typing.List[Value]:
        import jax

        if equation.params.get("differentiated") and equation.params.get("prevent_cse"):
            present = [index for index, value in enumerate(inputs) if isinstance(value, jax.Array)]
            behind = jax.lax.optimization_barrier([inputs[index] for index in present])
            inputs = list(inputs)
            for index, value in zip(present, behind):
                inputs[index] = value
        return super()._run_inner(equation, inputs)


def _named(call: typing.Callable[..., typing.Any], name: str) -> typing.Callable[..., typing.Any]:
    """A layer's `call`, whose output has a name for policies."""

    @functools.wraps(call)
    def named(*arguments: typing.Any, **options: typing.Any) -> typing.Any:
        from jax.ad_checkpoint import checkpoint_name

        return checkpoint_name(call(*arguments, **options), name)

    return named
