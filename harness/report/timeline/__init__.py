"""The memory timeline of a judged phase: as data, as SVG, as lines of text.

Imports `base`, `measure` and `record`.
"""
