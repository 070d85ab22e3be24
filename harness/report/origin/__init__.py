"""Where phases ran, as reports say it: on which GPUs, in which runs."""
