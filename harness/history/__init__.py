"""Verdicts and numbers of each case over runs, in one small database beside the runs.

Imports `base` and `record`.
"""
