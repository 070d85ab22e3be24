"""A run as systems for continuous integration want it: CTRF, and GitHub's commands.

Imports `base`, `record` and `report`.
"""
