"""The proof on a GPU that a case swaps: a ceiling between two peaks.

Imports `run` and what that imports.
"""
