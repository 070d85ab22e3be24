"""The run as pages for a browser: an overview with a heat map, and a page for each case.

Imports `base`, `record`, and `report` with its timelines.
"""
