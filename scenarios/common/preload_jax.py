"""Keras 3 on jax, for the fork server, which is not given the variables of a phase."""

import os

os.environ["KERAS_BACKEND"] = "jax"

import keras  # noqa: F401
