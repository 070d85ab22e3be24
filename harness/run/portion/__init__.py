"""A part of a plan in the place of the whole: one shard, or what did not pass in another run."""
