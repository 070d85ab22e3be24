"""Verdicts: pure functions from records to checks, one module a check, named like its id.

Imports `base`, `record`, `catalog` and `logs`.
"""
