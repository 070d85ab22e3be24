"""For a canary on jax: LMS announces what it would swap, and the step has no policy."""

import typing

from providers.jax.moves import Moves
from providers.jax.policy import OffloadPolicy, under_policy


class DryRun(OffloadPolicy):
    """Traces the step under the policy to count its moves, and compiles it without."""

    def _apply(self, model: typing.Any) -> None:
        plain_loss, plain_step = model.compute_loss_and_updates, model.train_step
        policy = self.policy(model)

        def train_step(state: typing.Any, data: typing.Any) -> typing.Any:
            import jax

            model.compute_loss_and_updates = under_policy(plain_loss, policy)
            try:
                # Another function each time: jax keeps what it traced by the function.
                closed = jax.make_jaxpr(lambda *arguments: plain_step(*arguments))(state, data)
            finally:
                model.compute_loss_and_updates = plain_loss
            moves = Moves(execute=False)
            moves.evaluate(closed, jax.tree_util.tree_leaves((state, data)))
            self._report(moves)
            return plain_step(state, data)

        self._renew(model, train_step)
