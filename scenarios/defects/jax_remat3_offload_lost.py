"""jax: what an offload policy of jax.checkpoint moves, with and without the flag jax_remat3."""

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

to_host = {"offload_src": "device", "offload_dst": "pinned_host"}
policies = {
    "names": jax.checkpoint_policies.save_and_offload_only_these_names(
        names_which_can_be_saved=[], names_which_can_be_offloaded=["hidden"], **to_host
    ),
    "dots": jax.checkpoint_policies.offload_dot_with_no_batch_dims(**to_host),
}


def moves(policy):
    def loss(x):
        hidden = checkpoint_name(x @ x, "hidden")
        return jnp.sum(jnp.sin(hidden) * hidden)

    program = jax.make_jaxpr(jax.grad(jax.checkpoint(loss, policy=policy)))(jnp.ones((8, 8)))
    return str(program).count("device_put[")


for name, policy in policies.items():
    for flag in (False, True):
        jax.config.update("jax_remat3", flag)
        print(jax.__version__, name, "jax_remat3:", flag, "moves in the gradient:", moves(policy))
