"""The record of a run, the one source of truth: models of what was run, said and judged; its file.

Imports `base`.
"""
