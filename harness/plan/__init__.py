"""Which phases run, in which order, and which cases are judged on them.

Pure. Imports `base`, `record` and `catalog`.
"""
