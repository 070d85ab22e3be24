"""The embedded default: each phase as a process of an environment that `uv` made.

Imports `engine` and what that imports.
"""
