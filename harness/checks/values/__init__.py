"""How values differ that are meant to be equal: numbers by a tolerance, tensors by their digests.

Imports `base` and `record`.
"""
