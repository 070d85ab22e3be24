"""Hash-locked requirements: the lock files of a checkout, and those that are derived from them."""
