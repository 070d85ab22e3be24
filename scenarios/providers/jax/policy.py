"""Our own provider for Keras 3 on jax: an offload policy over the training step.

Keras differentiates `model.compute_loss_and_updates`; here it does so under `jax.checkpoint`,
with a policy that has everything offloaded that the backward pass would otherwise find saved, and
nothing computed again but what needs no arithmetic, such as a broadcast.

On a GPU the compiler makes copies to pinned host memory and back of it. jax's CPU backend lowers
the same moves to nothing; there `moves` executes them.

Prediction keeps nothing for later: there is nothing to swap.
"""

import typing

from common import marker
from common.runtime import Runtime
from providers.announcement import Swaps
from providers.interface import Provider
from providers.jax.moves import Moves

# Broadcasts and other views are repeated: in memory they would be what they are made from again.
_VIEWS = frozenset(["broadcast_in_dim", "expand_dims", "reshape", "squeeze", "transpose"])
# Vectors, such as the statistics of a batch normalisation, stay, as with TFLMS.
_LEAST_RANK = 2


class OffloadPolicy(Provider):
    """Puts an offload policy around the training step of a model.

    The compiler times the moves, so the parameters of Large Model Support have no effect.
    """

    name = "builtin"
    modes = ("function",)
    backends = ("jax",)

    def __init__(self, runtime: Runtime, batch_size: typing.Optional[int] = None) -> None:
        super().__init__(runtime, batch_size)
        self._edited: typing.Any = None
        self._reported = False

    def set_model(self, model: typing.Any) -> None:
        """Called by Keras when training starts, or by a script before it loads weights.

        Raises ValueError where jax does not compile the step.
        """
        super().set_model(model)
        if not self.is_training:
            self.run()
            return
        if self._edited is model:  # Keras calls it again when training starts
            return
        if not model.jit_compile or model.run_eagerly:
            raise ValueError("LMS needs jit_compile=True and run_eagerly=False on jax")
        self._edited = model
        self._apply(model)

    def run(self, graph: typing.Any = None) -> None:
        """For a script that only predicts: says that there is nothing to swap."""
        if self._reported:
            return
        self._reported = True
        marker.note("jax keeps no activation while a model predicts: there is nothing to swap")

    def _apply(self, model: typing.Any) -> None:
        model.compute_loss_and_updates = under_policy(
            model.compute_loss_and_updates, self.policy(model)
        )
        self._renew(model, self._step(model.train_step))

    def policy(self, model: typing.Any) -> typing.Callable[..., typing.Any]:
        """The policy of `jax.checkpoint` for a model; a subclass has another one."""
        return every_value()

    def _renew(self, model: typing.Any, step: typing.Any) -> None:
        if self._runtime.phase.edit_in_place:
            return
        # jax keeps what it compiled by the function that it compiled, and a model's bound
        # methods are equal: only another function is traced again.
        model.train_step = step
        model.train_function = None

    def _step(self, original: typing.Any) -> typing.Any:
        on_gpu = self._runtime.phase.on_gpu
        step = self._moving(original, execute=not on_gpu)
        # For who compiles it for a GPU that is not there.
        step.for_gpu = self._moving(original, execute=False)
        return step

    def _moving(self, original: typing.Any, execute: bool) -> typing.Any:
        """A training step with its moves. execute: as of `Moves`."""

        def train_step(state: typing.Any, data: typing.Any) -> typing.Any:
            import jax

            closed, shapes = jax.make_jaxpr(original, return_shape=True)(state, data)
            values = jax.tree_util.tree_leaves((state, data))
            moves = self._make_moves(closed, execute)
            results = moves.evaluate(closed, values)
            self._report(moves)
            return jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(shapes), results)

        return train_step

    def _make_moves(self, closed: typing.Any, execute: bool) -> Moves:
        return Moves(execute)

    def _report(self, moves: Moves) -> None:
        if self._reported:
            return
        self._reported = True
        swaps = Swaps(moves.swap_out, moves.swap_in, moves.bytes_out, moves.bytes_in)
        self.announce(swaps)


def under_policy(
    original: typing.Callable[..., typing.Any], policy: typing.Callable[..., typing.Any]
) -> typing.Callable[..., typing.Any]:
    """Keras' `compute_loss_and_updates` of a model, under a policy where it trains."""

    def compute_loss_and_updates(
        trainable_variables: typing.Any,
        non_trainable_variables: typing.Any,
        metrics_variables: typing.Any,
        x: typing.Any,
        y: typing.Any,
        sample_weight: typing.Any,
        training: bool = False,
        optimizer_variables: typing.Any = None,
    ) -> typing.Any:
        import jax

        def body(*arguments: typing.Any) -> typing.Any:
            return original(*arguments[:-1], training=training, optimizer_variables=arguments[-1])

        if training:
            body = jax.checkpoint(body, policy=policy)
        return body(
            trainable_variables,
            non_trainable_variables,
            metrics_variables,
            x,
            y,
            sample_weight,
            optimizer_variables,
        )

    return compute_loss_and_updates


def every_value() -> typing.Callable[..., typing.Any]:
    """An offload policy of `jax.checkpoint` for values of whatever name.

    jax has one for values with a name; its verdict on such a value is that on every value of
    rank 2 and more. A value with a lower rank is saved, and a view is made again.
    """
    import jax
    from jax.ad_checkpoint import checkpoint_name

    of_name = jax.checkpoint_policies.save_and_offload_only_these_names(
        names_which_can_be_saved=[],
        names_which_can_be_offloaded=["lms"],
        offload_src="device",
        offload_dst="pinned_host",
    )
    named = jax.make_jaxpr(lambda value: checkpoint_name(value, "lms"))(0.0)
    name = named.jaxpr.eqns[0].primitive

    def decide(primitive: typing.Any, *operands: typing.Any, **params: typing.Any) -> typing.Any:
        if primitive.name in _VIEWS:
            return False
        results = _results(primitive, operands, params)
        if all(len(result.shape) >= _LEAST_RANK for result in results):
            return of_name(name, name="lms")
        return True

    return decide


def _results(
    primitive: typing.Any, operands: typing.Any, params: typing.Any
) -> typing.List[typing.Any]:
    """Shapes and types of what an operation gives."""
    inner = params.get("call_jaxpr") or params.get("jaxpr")
    if inner is not None:
        return [variable.aval for variable in getattr(inner, "jaxpr", inner).outvars]
    results, _ = primitive.abstract_eval(*operands, **params)
    return results if primitive.multiple_results else [results]
