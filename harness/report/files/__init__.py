"""All reports of a run as files of its directory, written and written again.

Imports `base`, `history`, `record`, and `report` with its pages.
"""
