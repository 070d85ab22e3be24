"""What is derived from a record: counts and exit code, JUnit, the summary.

Imports `base`, `history` and `record`.
"""
