"""A run beside a baseline: what of each is compared, and what is another. Pure but for `source`.

Imports `base` and `record`.
"""
