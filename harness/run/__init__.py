"""A run: a plan executed through an engine, its cases judged, its record kept up to date.

Imports every package but `cli`.
"""
