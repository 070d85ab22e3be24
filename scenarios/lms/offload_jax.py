"""Our own provider for Keras 3 on jax: an offload policy over the training step.

Keras differentiates `model.compute_loss_and_updates`; here it does so under `jax.checkpoint`,
with a policy that has everything offloaded that the backward pass would otherwise find saved, and
nothing computed again but what needs no arithmetic, such as a broadcast.

On a GPU the compiler makes copies to pinned host memory and back of it. jax's CPU backend lowers
the same moves to nothing; there `offload_jax_callback` executes them.

Prediction keeps nothing for later: there is nothing to swap.
"""

from .parameters import Parameters
from .report import announce_moves

# Broadcasts and other views are repeated: in memory they would be what they are made from again.
_VIEWS = frozenset(["broadcast_in_dim", "expand_dims", "reshape", "squeeze", "transpose"])
# Vectors, such as the statistics of a batch normalisation, stay, as with TFLMS.
_LEAST_RANK = 2


class OffloadPolicy(object):
    """Puts an offload policy around the training step of a model; a mixin of a Keras 3 callback.

    Set `is_training` to False before the first use where the model will only predict. The
    compiler times the moves, so the parameters of Large Model Support have no effect.
    """

    def __init__(self, runtime, parameters, batch_size=None):
        """parameters: text of a JSON object. Raises ValueError with one line."""
        super(OffloadPolicy, self).__init__()
        self.is_training = True
        self.parameters = Parameters.from_json(parameters)
        self.batch_size = batch_size
        self._runtime = runtime
        self._edited = None
        self._reported = False

    def set_model(self, model):
        """Called by Keras when training starts, or by a script before it loads weights.

        Raises ValueError where jax does not compile the step.
        """
        super(OffloadPolicy, self).set_model(model)
        if not self.is_training:
            self.run()
            return
        if self._edited is model:  # Keras calls it again when training starts
            return
        if not model.jit_compile or model.run_eagerly:
            raise ValueError("LMS needs jit_compile=True and run_eagerly=False on jax")
        self._edited = model
        self._apply(model)

    def run(self, graph=None):
        """For a script that only predicts: says that there is nothing to swap."""
        if self._reported:
            return
        self._reported = True
        from common import marker

        marker.emit(
            "note",
            text="jax keeps no activation while a model predicts: there is nothing to swap",
        )

    def _apply(self, model):
        model.compute_loss_and_updates = _under_policy(model.compute_loss_and_updates)
        self._renew(model, self._step(model.train_step))

    def _renew(self, model, step):
        if self._runtime.phase.edit_in_place:
            return
        # jax keeps what it compiled by the function that it was given, and a model's bound
        # methods are equal: only another function is traced again.
        model.train_step = step
        model.train_function = None

    def _step(self, original):
        from . import offload_jax_callback as callback

        phase = self._runtime.phase

        def train_step(state, data):
            import jax

            closed, shapes = jax.make_jaxpr(original, return_shape=True)(state, data)
            values = jax.tree_util.tree_leaves((state, data))
            moves = callback.Moves(execute=not phase.on_gpu, corrupt=phase.corrupt)
            results = moves.evaluate(closed, values)
            self._report(moves)
            return jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(shapes), results)

        return train_step

    def _report(self, moved):
        if self._reported:
            return
        self._reported = True
        announce_moves("Swapping", moved, self.parameters)


class Untouched(OffloadPolicy):
    """The control: makes Keras trace a step of its own as well, with no policy and no moves."""

    def run(self, graph=None):
        """Nothing to say of what the control would not do anyway."""

    def _apply(self, model):
        original = model.train_step

        def train_step(state, data):
            return original(state, data)

        self._renew(model, train_step)


def _under_policy(original):
    def compute_loss_and_updates(
        trainable_variables,
        non_trainable_variables,
        metrics_variables,
        x,
        y,
        sample_weight,
        training=False,
        optimizer_variables=None,
    ):
        import jax

        def body(*arguments):
            return original(*arguments[:-1], training=training, optimizer_variables=arguments[-1])

        if training:
            body = jax.checkpoint(body, policy=policy())
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


def policy():
    """An offload policy of `jax.checkpoint` for values of whatever name.

    jax has one for values with a name; its verdict on such a value is given for every value of
    rank 2 and more. A value with a lower rank is saved, and a view is made again.
    """
    import jax

    of_name = jax.checkpoint_policies.save_and_offload_only_these_names(
        names_which_can_be_saved=[],
        names_which_can_be_offloaded=["lms"],
        offload_src="device",
        offload_dst="pinned_host",
    )
    named = jax.make_jaxpr(lambda value: jax.ad_checkpoint.checkpoint_name(value, "lms"))(0.0)
    name = named.jaxpr.eqns[0].primitive

    def decide(primitive, *operands, **params):
        if primitive.name in _VIEWS:
            return False
        results = _results(primitive, operands, params)
        if all(len(result.shape) >= _LEAST_RANK for result in results):
            return of_name(name, name="lms")
        return True

    return decide


def _results(primitive, operands, params):
    """Shapes and types of what an operation gives."""
    inner = params.get("call_jaxpr") or params.get("jaxpr")
    if inner is not None:
        return [variable.aval for variable in getattr(inner, "jaxpr", inner).outvars]
    results, _ = primitive.abstract_eval(*operands, **params)
    return results if primitive.multiple_results else [results]
