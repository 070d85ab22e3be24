"""For a canary on jax: LMS announces what it would swap, and the step has no policy."""

from . import offload_jax_callback as callback
from .offload_jax import OffloadPolicy, _under_policy


class Pretender(OffloadPolicy):
    """Traces the step under the policy for the ledger alone, and compiles it without."""

    def _apply(self, model):
        plain_loss, plain_step = model.compute_loss_and_updates, model.train_step

        def train_step(state, data):
            import jax

            model.compute_loss_and_updates = _under_policy(plain_loss)
            try:
                # Another function each time: jax keeps what it traced by the function.
                closed = jax.make_jaxpr(lambda *arguments: plain_step(*arguments))(state, data)
            finally:
                model.compute_loss_and_updates = plain_loss
            moves = callback.Moves(execute=False)
            moves.evaluate(closed, jax.tree_util.tree_leaves((state, data)))
            self._report(moves)
            return plain_step(state, data)

        self._renew(model, train_step)
