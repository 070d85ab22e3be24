"""Keras 3 on torch, for the fork server, which is not given the variables of a phase."""

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras  # noqa: F401
