"""The foreign provider `jax_offload`: jax's own offload policies of `jax.checkpoint`.

What a policy names goes to pinned host memory and comes back for the backward pass; all else that
the backward pass needs is computed again. Two policies are taken as users take them:

- `jax_offload`: `save_and_offload_only_these_names` over the whole loss, with the name of each
  layer on its output.
- `jax_offload-dots`: `offload_dot_with_no_batch_dims` over each layer: what matrix products give.
  It is for models of such, as transformers are; a convolution is none, and is computed again. Over
  the whole loss it would have all between the products computed again at once.

`-remat3` is the same with jax's next implementation of `jax.checkpoint`, by its flag `jax_remat3`.
"""

import functools
import typing

from common.runtime import Runtime
from providers.jax import moves
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

        layers = _leaves(model)
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
    """Has offloaded what the matrix products of each layer give.

    A layer that sets a state in a step, such as a count of masks, stays as it is: what is computed
    again must not do so.
    """

    name = "jax_offload-dots"

    def _apply(self, model: typing.Any) -> None:
        import jax

        policy = jax.checkpoint_policies.offload_dot_with_no_batch_dims(**_MEMORIES)
        for layer in _leaves(model):
            if not layer.non_trainable_variables:
                layer.call = _checkpointed(layer.call, policy)
        self._renew(model, self._step(model.train_step))


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
    """Evaluates as jax does: without what nobody needs, and with what is computed again kept apart
    from what was computed before.
    """

    def evaluate(self, closed: typing.Any, values: typing.Sequence[Value]) -> typing.List[Value]:
        """As in `Moves`."""
        import jax
        from jax.extend import core

        needed = _without_unused(closed)
        if not self._execute:
            return super().evaluate(needed, values)
        moving = jax.make_jaxpr(functools.partial(self._moved, needed))(*values)
        needed = _without_unused(moving)
        self._count_again(needed)
        return list(core.jaxpr_as_fun(needed)(*values))

    def _moved(self, closed: typing.Any, *values: Value) -> typing.List[Value]:
        return self.run(closed, values)

    def _count_again(self, closed: typing.Any) -> None:
        """Counts those moves that are left where what they were for is not needed."""
        self.swap_out = self.swap_in = self.bytes_out = self.bytes_in = 0
        left = [entry for entry in moves.equations(closed.jaxpr) if "slot" in entry.params]
        for equation in left:
            equation.params["slot"].readers = 0
        for equation in left:
            slot = equation.params["slot"]
            is_back = equation.primitive.name == moves.SWAP_IN
            slot.readers += is_back
            self._count("in" if is_back else "out", slot.aval)

    def _run_inner(self, equation: Equation, inputs: typing.List[Value]) -> typing.List[Value]:
        import jax

        if equation.params.get("differentiated") and equation.params.get("prevent_cse"):
            present = [index for index, value in enumerate(inputs) if isinstance(value, jax.Array)]
            behind = jax.lax.optimization_barrier([inputs[index] for index in present])
            inputs = list(inputs)
            for index, value in zip(present, behind):
                inputs[index] = value
        return super()._run_inner(equation, inputs)


def _without_unused(closed: typing.Any) -> typing.Any:
    """A program without operations whose results nobody uses; its inputs are the same."""
    from jax.interpreters import partial_eval

    used = [True] * len(closed.jaxpr.outvars)
    program, _ = partial_eval.dce_jaxpr(closed.jaxpr, used, instantiate=True)
    return closed.replace(jaxpr=program)


def _leaves(model: typing.Any) -> typing.List[typing.Any]:
    return [layer for layer in model._flatten_layers() if not layer._layers]


def _checkpointed(
    call: typing.Callable[..., typing.Any], policy: typing.Callable[..., typing.Any]
) -> typing.Callable[..., typing.Any]:
    """A layer's `call` under a policy. What it is told by name, such as `training`, is no array."""

    @functools.wraps(call)
    def checkpointed(*arguments: typing.Any, **options: typing.Any) -> typing.Any:
        import jax

        return jax.checkpoint(functools.partial(call, **options), policy=policy)(*arguments)

    return checkpointed


def _named(call: typing.Callable[..., typing.Any], name: str) -> typing.Callable[..., typing.Any]:
    """A layer's `call`, whose output has a name for policies."""

    @functools.wraps(call)
    def named(*arguments: typing.Any, **options: typing.Any) -> typing.Any:
        from jax.ad_checkpoint import checkpoint_name

        return checkpoint_name(call(*arguments, **options), name)

    return named
