"""One plan run again and again: what differs between its repeats.

Imports `run` and what that imports.
"""
