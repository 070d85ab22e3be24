"""The memory timeline of a judged phase: as data, as SVG, for a terminal.

Imports `base`, `measure` and `record`.
"""
